//! What goes into the engine: time, events, and what a start reads back from disk.

use types::hash::BlockId;
use types::number::{Height, Timestamp, ValidatorIndex, View};
use types::vote::{Certificate, Proposal, Vote};

use crate::log::{LOST, Record};
use crate::message::{Range, Request};
use types::whole::WholeBlock;

/// What the application found about a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It follows the rules.
    Valid {
        /// True if the next block should follow soon: this one carried a transaction other than a beacon output, or
        /// a hook changed an account or a job.
        urgent: bool,
    },
    /// It breaks a rule, or its roots differ from ours.
    Invalid,
}

/// Something that happened. Everything signed in it was verified before, by the [`crate::Collector`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The time of the last [`crate::Effect::SetTimer`] has come. Harmless at any other time.
    Timer,
    /// A proposal of the leader of its view; both its signatures are good. Its certificates come as events before it.
    Proposal {
        /// The proposal without its block.
        view: View,
        /// View of the parent.
        parent_view: View,
        /// The block, or nothing if its body is not the one its header commits to.
        block: Option<WholeBlock>,
    },
    /// A certificate whose signatures and stake were verified.
    Certificate(Certificate),
    /// Several of them that came together: with a proposal, or in answer to our request.
    Certificates(Vec<Certificate>),
    /// The leader of the view gave it up.
    LeaderNullified(View),
    /// A block that somebody sent because we asked.
    Block(WholeBlock),
    /// Final blocks that somebody sent because we asked; the certificate was verified, the path was not.
    Range {
        /// Validator whose connection they came over.
        from: ValidatorIndex,
        /// Blocks, headers and the certificate of the last.
        range: Box<Range>,
    },
    /// A validator asks for something.
    Request {
        /// Validator whose connection it came over.
        from: ValidatorIndex,
        /// What it asks for.
        request: Request,
    },
    /// A validator's answer to our vote recovery; the votes carry our own signature.
    VoteRecovery {
        /// Validator whose connection it came over.
        from: ValidatorIndex,
        /// The start it was asked in.
        session: u64,
        /// Votes of ours that it holds.
        votes: Vec<Vote>,
        /// The view before its own, proven by a certificate; none without one.
        ended: Option<View>,
    },
    /// Answers [`crate::Effect::Execute`].
    Executed {
        /// Id of the executed block.
        block: BlockId,
        /// Whether it follows the rules.
        verdict: Verdict,
    },
    /// Answers [`crate::Effect::Propose`].
    Proposed {
        /// The view it was asked for.
        view: View,
        /// The block that was built, with its body.
        block: WholeBlock,
    },
    /// Whether a transaction other than a beacon output waits.
    Urgent(bool),
}

/// The last block that the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommittedTip {
    /// Id of the block.
    pub id: BlockId,
    /// Its height; 0 for genesis.
    pub height: Height,
    /// Timestamp of the block, Unix milliseconds.
    pub timestamp: Timestamp,
}

/// What a start reads back.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The store's last block.
    pub tip: CommittedTip,
    /// The store's highest finalization; none before the first block is final.
    pub finalization: Option<Certificate>,
    /// What [`crate::log::Log::open`] gave.
    pub records: Vec<Record>,
}

/// Why a validator cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The store ends in a block without proof that it is final.
    #[error(
        "the store ends at height {0}, which neither the store's nor the log's certificates finalise: \
         log and store do not belong together: put back the two that do; where the log is the wrong one, {LOST}"
    )]
    UnprovenTip(Height),
    /// A certificate that the committee did not sign.
    #[error(
        "log or store hold a certificate of view {0} that does not verify: they were changed or are another chain's; put back the right ones"
    )]
    BadCertificate(View),
    /// The log holds a block that is not whole, or votes that exclude each other.
    #[error("the log contradicts itself in view {0}: it was changed; {LOST}")]
    Contradiction(View),
    /// The log is lost, and the other validators are too few to say what was signed.
    #[error(
        "the vote log is lost, and all other validators together have no quorum of the stake: nobody can confirm what \
         this validator has signed. {LOST}"
    )]
    NobodyConfirms,
    /// The log proves, or says, that two conflicting blocks were final.
    #[error(
        "two conflicting blocks were final around view {0}: more than a third of the stake broke the rules, and voting on \
         would help one side of the split. The certificates are in the log: keep it as evidence, and agree with the other \
         validators on a new genesis"
    )]
    Conflict(View),
}

/// A proposal on the wire as an event.
impl From<&Proposal> for Event {
    fn from(proposal: &Proposal) -> Self {
        Self::Proposal {
            view: proposal.view,
            parent_view: proposal.parent_view,
            block: WholeBlock::new(proposal.block.clone()),
        }
    }
}
