//! What must hold at every effect of every honest node: one chain, one word per view, and nothing leaves before what
//! it rests on is on disk.

use std::collections::BTreeMap;

use consensus::log::Record;
use consensus::{Effect, Fault, Message};
use types::hash::{BlockId, ValidatorId};
use types::number::{Height, View};
use types::vote::{Certificate, Statement, Subject, Vote};

use super::{Node, Violation};

/// The kinds of votes.
fn kind(subject: &Subject) -> u8 {
    match subject {
        Subject::Notarize { .. } => 0,
        Subject::Nullify => 1,
        Subject::Finalize { .. } => 2,
    }
}

/// Everything seen so far.
#[derive(Debug, Default)]
pub struct Audit {
    chain: BTreeMap<Height, BlockId>,
    said: BTreeMap<(usize, View, u8), Statement>,
    proposed: BTreeMap<(usize, View), BlockId>,
    disks: BTreeMap<usize, Vec<Record>>,
    deferred: BTreeMap<usize, Vec<Record>>,
    /// View in which each block was first made final by a node, with the time, for figures.
    pub reports: u64,
}

impl Audit {
    /// A node read its log.
    pub fn reopen(&mut self, node: usize, records: &[Record]) {
        self.disks.insert(node, records.to_vec());
        self.deferred.remove(&node);
    }

    /// A node's records wait for the next that are synced.
    pub fn deferred(&mut self, node: usize, records: &[Record]) {
        let deferred = self.deferred.entry(node).or_default();
        deferred.extend_from_slice(records);
    }

    /// A node's records are synced, and before them those that waited.
    pub fn persisted(&mut self, node: usize, records: &[Record]) {
        let disk = self.disks.entry(node).or_default();
        disk.extend(self.deferred.remove(&node).unwrap_or_default());
        disk.extend_from_slice(records);
        // Only what may still be relied upon.
        if disk.len() > 600 {
            disk.drain(..200);
        }
    }

    fn certificates(&self, node: usize) -> impl Iterator<Item = &Certificate> {
        let records = self.disks.get(&node).into_iter().flatten();
        records.filter_map(|record| match record {
            Record::Certificate(certificate) => Some(certificate),
            _ => None,
        })
    }

    /// The notarization and the nullification of a view that are on a node's disk.
    pub fn certificates_of(&self, node: usize, view: View) -> Vec<Certificate> {
        let is_of = |certificate: &&Certificate| {
            let statement = certificate.statement;
            statement.view == view && !matches!(statement.subject, Subject::Finalize { .. })
        };
        self.certificates(node).filter(is_of).cloned().collect()
    }

    /// The votes in all certificates that are on the disks of these nodes.
    pub fn votes_in_certificates(&self, nodes: &[usize]) -> Vec<Vote> {
        let certificates = nodes.iter().flat_map(|node| self.certificates(*node));
        let votes = certificates.flat_map(|certificate| {
            let pairs = certificate.signers.iter().zip(&certificate.signatures);
            pairs.map(|(signer, signature)| Vote {
                statement: certificate.statement,
                signer,
                signature: *signature,
            })
        });
        votes.collect()
    }

    /// An honest node accuses another: never of an honest one.
    pub fn reported(
        &mut self,
        node: usize,
        by: ValidatorId,
        fault: &Fault,
        twins: &[ValidatorId],
    ) -> Result<(), Violation> {
        self.reports += 1;
        if twins.contains(&by) {
            return Ok(());
        }
        Err(format!(
            "node {node} accuses the honest validator {by}: {fault}"
        ))
    }

    /// Checks an effect before it is performed.
    pub fn check(&mut self, node: usize, effect: &Effect, state: &Node) -> Result<(), Violation> {
        let rests_on_disk = matches!(effect, Effect::Commit { .. } | Effect::Send { .. });
        if rests_on_disk && !state.is_synced() {
            return Err(format!(
                "node {node}: its log has bytes that are not synced at {effect:?}"
            ));
        }
        match effect {
            Effect::Commit {
                block,
                finalization,
            } => {
                let height = block.header.height;
                let known = *self.chain.entry(height).or_insert(block.id());
                if known != block.id() {
                    return Err(format!("two blocks are final at height {height}"));
                }
                if finalization.is_some() {
                    return Ok(());
                }
                self.require(node, &format!("commit of height {height}"), |record| {
                    is_finalization(record, View(1))
                })
            }
            Effect::Send {
                message: Message::Vote(vote),
                ..
            } if vote.signer == state.index => self.check_vote(node, vote, state),
            Effect::Send {
                message: Message::Proposal(proposal),
                ..
            } => {
                let (view, id) = (proposal.view, proposal.block.id());
                let first = *self.proposed.entry((node, view)).or_insert(id);
                if first != id {
                    return Err(format!("node {node} proposes two blocks in view {view}"));
                }
                self.require(
                    node,
                    &format!("proposal of view {view}"),
                    |record| matches!(record, Record::Proposal(written) if written == proposal),
                )?;
                let vote = Vote {
                    statement: proposal.notarize_statement(),
                    signer: state.index,
                    signature: proposal.notarize,
                };
                self.check_word(node, &vote)
            }
            _ => Ok(()),
        }
    }

    fn check_vote(&mut self, node: usize, vote: &Vote, state: &Node) -> Result<(), Violation> {
        let view = vote.statement.view;
        self.check_word(node, vote)?;
        let own_proposal = |record: &Record| matches!(record, Record::Proposal(p) if p.notarize_statement() == vote.statement);
        self.require(node, &format!("{:?}", vote.statement), |record| {
            matches!(record, Record::Vote(written) if written == vote) || own_proposal(record)
        })?;
        let stored = state
            .store
            .finality()
            .map_or(View::ZERO, |certificate| certificate.statement.view);
        match vote.statement.subject {
            Subject::Notarize { block, .. } => {
                self.require(node, "the body of a notarized block", |record| match record {
                    Record::Block { block: body, .. } => body.id() == block,
                    Record::Proposal(proposal) => proposal.block.id() == block,
                    _ => false,
                })
            }
            Subject::Finalize { block } => self.require(node, "the notarization under a finalize", |record| {
                matches!(record, Record::Certificate(c) if c.statement.view == view
                    && matches!(c.statement.subject, Subject::Notarize { block: b, .. } if b == block))
            }),
            Subject::Nullify if view == View(1) || stored >= view.saturating_sub(1) => Ok(()),
            Subject::Nullify => self.require(node, "the certificate that let a node into a view", |record| {
                matches!(record, Record::Certificate(c) if c.statement.view == view.saturating_sub(1))
                    || is_finalization(record, view.saturating_sub(1))
            }),
        }
    }

    /// One statement per kind and view, and never both Nullify and Finalize, over all lives of a node.
    fn check_word(&mut self, node: usize, vote: &Vote) -> Result<(), Violation> {
        let (view, kind) = (vote.statement.view, kind(&vote.statement.subject));
        let first = *self
            .said
            .entry((node, view, kind))
            .or_insert(vote.statement);
        if first != vote.statement {
            return Err(format!(
                "node {node} says {:?} after {first:?}",
                vote.statement
            ));
        }
        if self.said.contains_key(&(node, view, 1)) && self.said.contains_key(&(node, view, 2)) {
            return Err(format!(
                "node {node} sends Nullify and Finalize in view {view}"
            ));
        }
        Ok(())
    }

    fn require(
        &self,
        node: usize,
        what: &str,
        found: impl Fn(&Record) -> bool,
    ) -> Result<(), Violation> {
        let on_disk = self
            .disks
            .get(&node)
            .is_some_and(|disk| disk.iter().any(found));
        on_disk
            .then_some(())
            .ok_or_else(|| format!("node {node}: not on disk before it is relied upon: {what}"))
    }
}

fn is_finalization(record: &Record, least: View) -> bool {
    matches!(record, Record::Certificate(c)
        if matches!(c.statement.subject, Subject::Finalize { .. }) && c.statement.view >= least)
}
