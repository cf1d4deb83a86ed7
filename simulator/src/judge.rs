//! The promises that are checked in every run while it goes on.
//!
//! - S1 to S3, L1: what must hold among certificates, see [`certified`].
//! - S4: honest hosts decide prefixes of one chain, with equal state roots.
//! - S6: no honest key says two things that no correct validator says, across any crash and restart.
//! - No honest validator is accused, and no honest node stops.
//! - No vote leaves an honest host before everything that it wrote to its log is synced, no proposal before its reservation is.
//!
//! S5 (two conflicting finalizations name more than F of the stake) needs more liars than a run has: `bugs` of the tests of `consensus`
//! shows it. L2 (three delays) is shown by its `pace` and measured by `scripts/bench simulated`; L3 and L4 are that runs go on after
//! the calm, and progress under loss is shown by its `scenarios`.

use std::collections::BTreeMap;

use consensus::Message;
use consensus::evidence::contradict;
use consensus::log::Record;
use types::committee::Committee;
use types::hash::{BlockId, ChainId, Hash32};
use types::number::{Epoch, Height, View};
use types::vote::{Certificate, Proposal, Statement, Subject, Term, Vote};

mod certified;

use certified::Certified;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two honest hosts decided different blocks.
    #[error("host {host} decided {found} at height {height}, another decided {decided}")]
    Fork {
        /// The host that decided second.
        host: usize,
        /// The height at which they differ.
        height: Height,
        /// The block that this host decided.
        found: BlockId,
        /// The block that another host decided before.
        decided: BlockId,
    },
    /// Two honest hosts have different states after one block.
    #[error("host {host} has root {found} after height {height}, another has {decided}")]
    Roots {
        /// The host that decided second.
        host: usize,
        /// The height of the block.
        height: Height,
        /// The state root after the block at this host.
        found: Hash32,
        /// The state root after the block at another host.
        decided: Hash32,
    },
    /// An honest key made evidence against itself.
    #[error("honest member {member} said {first:?} and then {second:?}")]
    Equivocation {
        /// Position of the key's owner in the committee.
        member: usize,
        /// The statement that it signed first.
        first: Box<Statement>,
        /// The statement that contradicts the first.
        second: Box<Statement>,
    },
    /// S1: a view has two notarizations.
    #[error("view {view} has two notarizations")]
    TwoNotarizations {
        /// The view with both: quorums that contradict each other.
        view: View,
    },
    /// S4: a view has two finalizations.
    #[error("view {view} has two finalizations")]
    TwoFinalizations {
        /// The view with both: two blocks are final at one height.
        view: View,
    },
    /// S2: a view has a nullification and a finalization.
    #[error("view {view} is nullified and finalized")]
    NullifiedAndFinalized {
        /// The view with both: it ended without a decision, and has one.
        view: View,
    },
    /// S3: a final block or an ancestor of it is not notarized.
    #[error("the block of view {view} is final, or an ancestor of a final one, and not notarized")]
    NotNotarized {
        /// The view of the block.
        view: View,
    },
    /// S3: a view between a final block's ancestor and its parent is not nullified.
    #[error(
        "the block of view {view} is final, or an ancestor of a final one, over view {gap}, which is not nullified"
    )]
    GapNotNullified {
        /// The view of the block.
        view: View,
        /// The view that it passes over.
        gap: View,
    },
    /// L1: after the calm a view ended without a certificate.
    #[error("view {view} is over and has no certificate")]
    ViewWithoutEnd {
        /// The lowest view after the calm that is neither notarized nor nullified.
        view: View,
    },
    /// A vote or proposal left before the log was synced.
    #[error("host {host} sends a vote or proposal while its log has bytes that are not synced")]
    Unsynced {
        /// The host.
        host: usize,
    },
    /// Two proposals of an honest leader in one view.
    #[error("honest member {member} proposed twice in view {view}")]
    TwoProposals {
        /// Position of the leader in the committee.
        member: usize,
        /// The view that it proposed twice in.
        view: View,
    },
    /// A validator accuses an honest one.
    #[error("host {by} says that honest member {member} {fault}")]
    FalseAccusation {
        /// The host that reports misbehaviour.
        by: usize,
        /// Position of the accused in the committee.
        member: usize,
        /// The misbehaviour that is reported.
        fault: String,
    },
    /// An honest node stopped, or did not start.
    #[error("host {host}: {why}")]
    Stopped {
        /// Number of the host that stopped.
        host: usize,
        /// The error that it stopped with.
        why: String,
    },
    /// A job that nothing stood in the way of did not settle.
    #[error("{0}")]
    Job(String),
    /// Too little happened after the faults ended.
    #[error("no progress: {0}")]
    Stuck(String),
}

/// The decisions and votes of honest hosts so far.
#[derive(Debug)]
pub struct Judge {
    chain: ChainId,
    committee: Committee,
    decided: BTreeMap<Height, (BlockId, Hash32)>,
    votes: BTreeMap<(usize, View), Vec<Statement>>,
    proposals: BTreeMap<(usize, View), BlockId>,
    certified: Certified,
    /// Votes to nullify that honest hosts hold, by view.
    nullifying: BTreeMap<View, Vec<Vote>>,
    /// The highest final view when the calm began.
    calm: Option<View>,
}

impl Judge {
    /// Nothing was said yet.
    #[must_use]
    pub fn new(chain: ChainId, committee: Committee) -> Self {
        Self {
            chain,
            committee,
            decided: BTreeMap::new(),
            votes: BTreeMap::new(),
            proposals: BTreeMap::new(),
            certified: Certified::default(),
            nullifying: BTreeMap::new(),
            calm: None,
        }
    }

    fn term(&self) -> Term<'_> {
        Term {
            chain: self.chain,
            epoch: Epoch::FIRST,
            committee: &self.committee,
        }
    }

    /// An honest host received a liar's vote.
    pub fn hears_vote(&mut self, vote: &Vote) -> Result<(), Violation> {
        let signed = vote.signed(&self.committee, self.chain);
        let holds = signed.map(|signed| signed.key.verify(&signed.message, &signed.signature));
        match holds {
            Some(Ok(())) => self.gathers(vote),
            _ => Ok(()),
        }
    }

    /// A quorum of votes to nullify is a nullification, also where no honest host shows or writes one: whoever has the
    /// view's notarization already has no need to.
    fn gathers(&mut self, vote: &Vote) -> Result<(), Violation> {
        let (statement, view) = (vote.statement, vote.statement.view);
        if statement.subject != Subject::Nullify || self.certified.is_nullified(view) {
            return Ok(());
        }
        let votes = self.nullifying.entry(view).or_default();
        votes.push(*vote);
        let certificate = Certificate::from_votes(statement, votes);
        if certificate.check_shape(&self.term()).is_ok() {
            self.certified.add(&certificate)?;
        }
        Ok(())
    }

    /// An honest host received a liar's proposal: it may rest on nullifications that nobody else ever shows.
    pub fn hears(&mut self, proposal: &Proposal) -> Result<(), Violation> {
        let term = Term {
            chain: self.chain,
            epoch: Epoch::FIRST,
            committee: &self.committee,
        };
        for certificate in &proposal.nullifications {
            let nullifies = certificate.statement.subject == Subject::Nullify;
            let view = certificate.statement.view;
            if nullifies
                && !self.certified.is_nullified(view)
                && certificate.verify(&term, None).is_ok()
            {
                self.certified.add(certificate)?;
            }
        }
        Ok(())
    }

    /// An honest host wrote records.
    pub fn writes(&mut self, records: &[Record]) -> Result<(), Violation> {
        let mut certificates = records.iter().filter_map(certified::in_record);
        certificates.try_for_each(|certificate| self.certified.add(certificate))
    }

    /// No fault is injected from now on.
    pub fn calms(&mut self) {
        let view = self.certified.final_view();
        self.calm.get_or_insert(view);
    }

    /// The run is over.
    pub fn ends(&self) -> Result<(), Violation> {
        let calm = self.calm.unwrap_or(View(u64::MAX - 1));
        self.certified.check_path(calm)
    }

    /// An honest host decided a block.
    pub fn decides(
        &mut self,
        host: usize,
        height: Height,
        block: BlockId,
        root: Hash32,
    ) -> Result<(), Violation> {
        let (decided, decided_root) = *self.decided.entry(height).or_insert((block, root));
        if decided != block {
            return Err(Violation::Fork {
                host,
                height,
                found: block,
                decided,
            });
        }
        if decided_root != root {
            return Err(Violation::Roots {
                host,
                height,
                found: root,
                decided: decided_root,
            });
        }
        Ok(())
    }

    /// An honest member's key signed a message that left its host.
    pub fn says(&mut self, member: usize, message: &Message) -> Result<(), Violation> {
        for certificate in certified::in_message(message) {
            self.certified.add(certificate)?;
        }
        match message {
            Message::Vote(vote) => {
                self.gathers(vote)?;
                self.votes(member, vote.statement)
            }
            Message::Proposal(proposal) => {
                let (view, block) = (proposal.view, proposal.block.id());
                if *self.proposals.entry((member, view)).or_insert(block) != block {
                    return Err(Violation::TwoProposals { member, view });
                }
                self.votes(member, proposal.notarize_statement())
            }
            _ => Ok(()),
        }
    }

    fn votes(&mut self, member: usize, second: Statement) -> Result<(), Violation> {
        let said = self.votes.entry((member, second.view)).or_default();
        if said.contains(&second) {
            return Ok(());
        }
        if let Some(first) = said.iter().find(|first| contradict(first, &second)) {
            return Err(Violation::Equivocation {
                member,
                first: Box::new(*first),
                second: Box::new(second),
            });
        }
        said.push(second);
        Ok(())
    }

    /// The height up to which some honest host decided.
    #[must_use]
    pub fn height(&self) -> Height {
        self.decided
            .last_key_value()
            .map_or(Height::ZERO, |(height, _)| *height)
    }
}
