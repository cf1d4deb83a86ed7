//! The vote collector: checks signatures beside the engine, lazily and in batches, and gathers certificates.
//!
//! A vote is taken only from the connection of its signer, so a forged one hurts nobody else. It is kept unverified
//! until the votes on its statement could make a quorum; then all of them are verified at once, and where that fails
//! the batch is halved until the forged ones are found. Verified at once are the second vote of a slot, the votes the
//! engine acts upon alone, and those of a validator that forged before.
//!
//! Admission bounds what is kept: per validator, kind and view one vote (two if they conflict), for views from R below
//! the highest final one to A above the current one.

use std::collections::{BTreeMap, BTreeSet};

use types::committee::{Committee, ValidatorSet};
use types::hash::{ChainId, Hash32};
use types::key::{Signed, verify_batch};
use types::number::{Epoch, ValidatorIndex, View};
use types::vote::{Certificate, CertificateError, Proposal, Statement, Subject, Term, Vote};

use crate::config::Config;
use crate::effect::Fault;
use crate::evidence::{Evidence, contradict};

mod compare;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

/// R: views below the highest final one for which votes are still counted and kept.
pub const VIEWS_BELOW_FINAL: u64 = 64;
/// A: views above the current one for which votes are taken.
pub const VIEWS_AHEAD: u64 = 64;

/// The kinds of votes, as slots are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Notarize,
    Nullify,
    Finalize,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Notarize, Self::Nullify, Self::Finalize];

    fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Notarize { .. } => Self::Notarize,
            Subject::Nullify => Self::Nullify,
            Subject::Finalize { .. } => Self::Finalize,
        }
    }
}

/// Where a vote is kept: its view, its kind and its signer.
type SlotKey = (View, Kind, ValidatorIndex);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kept {
    vote: Vote,
    verified: bool,
}

/// What came of a vote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collected {
    /// A certificate that it completed.
    pub certificate: Option<Certificate>,
    /// Who broke the protocol.
    pub faults: Vec<(ValidatorIndex, Fault)>,
    /// True if the vote was taken and its signature is known to be good.
    pub verified: bool,
}

/// Gathers votes into certificates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Collector {
    chain: ChainId,
    epoch: Epoch,
    committee: Committee,
    secret: Hash32,
    slots: BTreeMap<SlotKey, Vec<Kept>>,
    /// Statements whose certificate is known.
    done: BTreeSet<Statement>,
    forgers: ValidatorSet,
    current: View,
    last_final: View,
}

impl Collector {
    /// An empty collector. `secret` must be unpredictable to other validators: batches are combined with it.
    #[must_use]
    pub fn new(config: &Config, secret: Hash32) -> Self {
        Self {
            chain: config.chain,
            epoch: config.epoch,
            committee: config.committee.clone(),
            secret,
            slots: BTreeMap::new(),
            done: BTreeSet::new(),
            forgers: ValidatorSet::default(),
            current: View(1),
            last_final: View::ZERO,
        }
    }

    /// Moves the window of views that are taken, and forgets what fell out of it.
    pub fn advance(&mut self, current: View, last_final: View) {
        (self.current, self.last_final) = (current, last_final);
        let oldest = last_final.saturating_sub(VIEWS_BELOW_FINAL);
        if let Some(slot) = self.slots.first_key_value().map(|(slot, _)| *slot)
            && slot.0 <= oldest
        {
            self.slots.retain(|(view, _, _), _| *view > oldest);
            self.done.retain(|statement| statement.view > oldest);
        }
    }

    /// Takes a vote from its signer's connection. `at_once` verifies it now.
    pub fn insert(&mut self, from: ValidatorIndex, vote: Vote, at_once: bool) -> Collected {
        if vote.signer != from {
            return Collected {
                faults: vec![(from, Fault::NotItsOwn)],
                ..Collected::default()
            };
        }
        if self.committee.member(from).is_none() {
            return Collected::default();
        }
        self.keep(vote, at_once || self.forgers.contains(from), false)
    }

    /// Takes a vote whose signature is known to be good: our own, or one that a proposal carried.
    pub fn insert_verified(&mut self, vote: Vote) -> Collected {
        self.keep(vote, false, true)
    }

    /// Notes a verified certificate: its statement needs no more counting, its votes are known, and whoever signed it
    /// and said something else is found out.
    pub fn learn(&mut self, certificate: &Certificate) -> Vec<(ValidatorIndex, Fault)> {
        let statement = certificate.statement;
        if !self.admits(&statement) || !self.done.insert(statement) {
            return Vec::new();
        }
        let pairs = certificate.signers.iter().zip(&certificate.signatures);
        pairs
            .flat_map(|(signer, signature)| {
                let vote = Vote {
                    statement,
                    signer,
                    signature: *signature,
                };
                self.keep(vote, false, true).faults
            })
            .collect()
    }

    /// True if that notarize vote of the view's leader, which a proposal carries, differs from the one that is held and
    /// no contradiction is held yet: only then is a second proposal worth verifying.
    #[must_use]
    pub fn would_contradict(&self, statement: &Statement, signer: ValidatorIndex) -> bool {
        let slot = (statement.view, Kind::of(&statement.subject), signer);
        match self.slots.get(&slot).map(Vec::as_slice) {
            Some([first]) => contradict(&first.vote.statement, statement),
            _ => false,
        }
    }

    /// True if a vote on that statement, once taken, is still held.
    #[must_use]
    pub fn remembers(&self, statement: &Statement) -> bool {
        let below = self.last_final.saturating_sub(VIEWS_BELOW_FINAL);
        statement.epoch == self.epoch && statement.view > below
    }

    /// True if that vote of a validator is held.
    #[must_use]
    pub fn holds(&self, statement: &Statement, signer: ValidatorIndex) -> bool {
        let slot = (statement.view, Kind::of(&statement.subject), signer);
        let kept = self.slots.get(&slot);
        kept.is_some_and(|kept| kept.iter().any(|kept| kept.vote.statement == *statement))
    }

    /// True if evidence is about votes of this committee and proves itself.
    #[must_use]
    pub fn verify_evidence(&self, evidence: &Evidence) -> bool {
        evidence.verify(&self.term())
    }

    /// Keeps a vote, compares it with what its signer said before, and gathers the votes on its statement.
    fn keep(&mut self, vote: Vote, at_once: bool, known_good: bool) -> Collected {
        if !self.admits(&vote.statement) {
            return Collected::default();
        }
        let slot = (
            vote.statement.view,
            Kind::of(&vote.statement.subject),
            vote.signer,
        );
        let held = self
            .slots
            .get_mut(&slot)
            .map_or(&mut [][..], Vec::as_mut_slice);
        if let Some(same) = held
            .iter_mut()
            .find(|kept| kept.vote.statement == vote.statement)
        {
            if known_good {
                *same = Kept {
                    vote,
                    verified: true,
                };
            }
            let verified = same.verified;
            let mut collected = if known_good {
                self.gather(vote.statement)
            } else {
                Collected::default()
            };
            collected.verified |= verified;
            return collected;
        }
        match *held {
            [] => {}
            [first] => return self.insert_second(slot, first, vote, known_good),
            _ => return Collected::default(),
        }
        let contradicted = self.opposite(&slot);
        let at_once = at_once || contradicted.is_some();
        if at_once && !known_good && !self.verify(&[vote]) {
            self.forgers.insert(vote.signer);
            return Collected {
                faults: vec![(vote.signer, Fault::BadSignature)],
                ..Collected::default()
            };
        }
        let verified = at_once || known_good;
        self.slots.insert(slot, vec![Kept { vote, verified }]);
        let mut collected = self.gather(vote.statement);
        collected.verified |= verified;
        if let Some(before) = contradicted {
            collected.faults.extend(self.contradiction(before, vote));
        }
        collected
    }

    /// The slot of nullify for a finalize vote and the other way round, if a vote is held in it.
    fn opposite(&self, slot: &SlotKey) -> Option<SlotKey> {
        let kind = match slot.1 {
            Kind::Notarize => return None,
            Kind::Nullify => Kind::Finalize,
            Kind::Finalize => Kind::Nullify,
        };
        let opposite = (slot.0, kind, slot.2);
        self.slots.contains_key(&opposite).then_some(opposite)
    }

    /// What a good vote and those of another slot of its signer prove: a contradiction, or that those were forged.
    fn contradiction(&mut self, before: SlotKey, vote: Vote) -> Vec<(ValidatorIndex, Fault)> {
        let mut faults = Vec::new();
        if self.drop_forged(before) {
            faults.push((vote.signer, Fault::BadSignature));
        }
        let first = self.slots.get(&before).and_then(|kept| kept.first());
        let evidence = first.and_then(|first| Evidence::new(first.vote, vote));
        faults.extend(evidence.map(|evidence| (vote.signer, evidence.into())));
        faults
    }

    /// Verifies a certificate of this committee, see [`Certificate::verify`].
    pub fn verify_certificate(&self, certificate: &Certificate) -> Result<(), CertificateError> {
        certificate.verify(&self.term(), Some(&self.secret))
    }

    /// Verifies a proposal of the leader of its view.
    #[must_use]
    pub fn verify_proposal(&self, proposal: &Proposal, leader: ValidatorIndex) -> bool {
        proposal.verify(&self.term(), leader).is_ok()
    }

    fn term(&self) -> Term<'_> {
        Term {
            chain: self.chain,
            epoch: self.epoch,
            committee: &self.committee,
        }
    }

    /// True if a vote is one of ours by its signature.
    #[must_use]
    pub fn is_by(&self, vote: &Vote, signer: ValidatorIndex) -> bool {
        vote.signer == signer && vote.statement.epoch == self.epoch && self.verify(&[*vote])
    }

    /// The latest vote of each kind that is held of a validator, with good signatures. A vote that is verified for it
    /// stays verified or goes, so that asking again costs nothing; one that goes makes its signer a forger.
    pub fn latest_of(&mut self, signer: ValidatorIndex) -> (Vec<Vote>, Option<Fault>) {
        let (mut latest, mut forged) = (Vec::new(), false);
        for kind in Kind::ALL {
            let slots = self
                .slots
                .keys()
                .rev()
                .filter(|(_, k, s)| *k == kind && *s == signer);
            for slot in slots.copied().collect::<Vec<_>>() {
                forged |= self.drop_forged(slot);
                if let Some(kept) = self.slots.get(&slot).and_then(|kept| kept.first()) {
                    latest.push(kept.vote);
                    break;
                }
            }
        }
        (latest, forged.then_some(Fault::BadSignature))
    }

    /// Verifies the votes of a slot. True if one was forged; it is gone then, and its signer is a forger.
    fn drop_forged(&mut self, slot: SlotKey) -> bool {
        let Some(mut kept) = self.slots.remove(&slot) else {
            return false;
        };
        let before = kept.len();
        kept.retain_mut(|kept| {
            kept.verified = kept.verified || self.verify(&[kept.vote]);
            kept.verified
        });
        let forged = kept.len() < before;
        if forged {
            self.forgers.insert(slot.2);
        }
        if !kept.is_empty() {
            self.slots.insert(slot, kept);
        }
        forged
    }

    /// Votes kept, for tests of the bound.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.values().map(Vec::len).sum()
    }

    /// True if no vote is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// True if votes on that statement are taken: its view is neither long final nor far ahead.
    #[must_use]
    pub fn admits(&self, statement: &Statement) -> bool {
        let above = self.current.saturating_add(VIEWS_AHEAD);
        self.remembers(statement) && statement.view <= above
    }

    /// A second vote of a slot, which differs from the first: taken if its signature is good. If the first one's is, too,
    /// they are evidence.
    fn insert_second(
        &mut self,
        slot: SlotKey,
        first: Kept,
        vote: Vote,
        known_good: bool,
    ) -> Collected {
        let from = vote.signer;
        if !known_good && !self.verify(&[vote]) {
            self.forgers.insert(from);
            return Collected {
                faults: vec![(from, Fault::BadSignature)],
                ..Collected::default()
            };
        }
        let good = |vote| Kept {
            vote,
            verified: true,
        };
        let first_is_good = first.verified || self.verify(&[first.vote]);
        let kept = if first_is_good {
            vec![good(first.vote), good(vote)]
        } else {
            vec![good(vote)]
        };
        self.slots.insert(slot, kept);
        let mut collected = self.gather(vote.statement);
        if first_is_good {
            let evidence = Evidence::new(first.vote, vote);
            collected
                .faults
                .extend(evidence.map(|evidence| (from, evidence.into())));
        } else {
            self.forgers.insert(from);
            collected.faults.push((from, Fault::BadSignature));
        }
        collected.verified = true;
        collected
    }

    /// Makes the certificate of a statement if the votes on it reach a quorum and their signatures hold.
    fn gather(&mut self, statement: Statement) -> Collected {
        let mut collected = Collected::default();
        if self.done.contains(&statement) {
            return collected;
        }
        let kind = Kind::of(&statement.subject);
        let from = (statement.view, kind, ValidatorIndex(0));
        let to = (statement.view, kind, ValidatorIndex(u16::MAX));
        let on_it = |kept: &&Kept| kept.vote.statement == statement;
        let votes: Vec<Kept> = self
            .slots
            .range(from..=to)
            .filter_map(|(_, kept)| kept.iter().find(on_it))
            .copied()
            .collect();
        let signers = votes.iter().map(|kept| kept.vote.signer);
        if self.committee.smallest_quorum(signers).is_none() {
            return collected;
        }
        let unverified: Vec<Vote> = votes
            .iter()
            .filter(|kept| !kept.verified)
            .map(|kept| kept.vote)
            .collect();
        let forged = self.forged(&unverified);
        for kept in self.slots.range_mut(from..=to).flat_map(|(_, kept)| kept) {
            kept.verified |= kept.vote.statement == statement;
        }
        for signer in &forged {
            self.forgers.insert(*signer);
            let slot = (statement.view, kind, *signer);
            if let Some(kept) = self.slots.get_mut(&slot) {
                kept.retain(|kept| kept.vote.statement != statement);
            }
            collected.faults.push((*signer, Fault::BadSignature));
        }
        let good: Vec<Vote> = votes
            .iter()
            .map(|kept| kept.vote)
            .filter(|vote| !forged.contains(&vote.signer))
            .collect();
        collected.certificate = self.certify(statement, good);
        collected
    }

    /// The certificate with the smallest quorum of these votes, if they hold one.
    fn certify(&mut self, statement: Statement, mut votes: Vec<Vote>) -> Option<Certificate> {
        let signers = votes.iter().map(|vote| vote.signer);
        let quorum = self.committee.smallest_quorum(signers)?;
        votes.retain(|vote| quorum.contains(vote.signer));
        self.done.insert(statement);
        Some(Certificate::from_votes(statement, &votes))
    }

    /// The signers whose votes do not verify, found by halving.
    fn forged(&self, votes: &[Vote]) -> Vec<ValidatorIndex> {
        if votes.is_empty() || self.verify(votes) {
            return Vec::new();
        }
        if let [vote] = votes {
            return vec![vote.signer];
        }
        let (left, right) = votes.split_at(votes.len() / 2);
        let mut forged = self.forged(left);
        forged.extend(self.forged(right));
        forged
    }

    fn verify(&self, votes: &[Vote]) -> bool {
        let signed: Option<Vec<Signed>> = votes
            .iter()
            .map(|vote| vote.signed(&self.committee, self.chain))
            .collect();
        signed.is_some_and(|items| verify_batch(&items, &self.secret))
    }
}
