//! What comes out of the engine, in the order in which it must be performed.

use types::hash::{BlockId, ValidatorId};
use types::number::{Height, Timestamp, View};
use types::vote::Certificate;

use crate::evidence::Evidence;
use crate::log::Record;
use crate::message::{Message, Request};
use types::time::Monotonic;
use types::whole::WholeBlock;

/// Who gets a message. Never ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipients {
    /// Every other validator of the committee.
    All,
    /// One validator alone.
    One(ValidatorId),
    /// These, in ascending order of position in the committee.
    Some(Vec<ValidatorId>),
}

/// Something to be done. Effects are performed in order; if one fails, none after it may be performed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Run the block after its parent's state and answer with [`crate::Event::Executed`]. The parent was executed or
    /// is the last committed block. Checks everything about the block that needs state.
    Execute(WholeBlock),
    /// Append to the log and sync, see [`crate::log::Log::append`]. At most one per step; whatever comes after it
    /// relies on it as [`Message::promise`] says.
    Persist(Vec<Record>),
    /// Send a message. It may be lost; what matters is asked for again.
    Send {
        /// Validators that it goes to.
        to: Recipients,
        /// Message of the consensus channel.
        message: Message,
    },
    /// Build a block and answer with [`crate::Event::Proposed`]; its header must carry these values.
    Propose {
        /// The view it is for.
        view: View,
        /// Id of the parent, which was executed here.
        parent: BlockId,
        /// The new block's height.
        height: Height,
        /// The new block's timestamp.
        timestamp: Timestamp,
    },
    /// The block is final: write it and what its execution changed. Ascending, each once per start.
    Commit {
        /// The final block with its body.
        block: WholeBlock,
        /// The certificate that finalises this very block; none if only a descendant of it was finalised. Once the
        /// store has synced a block with its finalization, [`crate::log::Log::release`] its view.
        finalization: Option<Certificate>,
    },
    /// Answer from the store with [`Message::Block`] or [`Message::Range`] (see [`crate::Range::pack`]), or not at all
    /// if the store does not have it; either way tell [`crate::Replica::served`] how long the answer was.
    Serve {
        /// Validator that asked and gets the answer.
        to: ValidatorId,
        /// [`Request::Block`] or [`Request::Range`].
        request: Request,
    },
    /// Wake the engine with [`crate::Event::Timer`] at this time; replaces the one before.
    SetTimer(Monotonic),
    /// A validator broke the protocol; for the log and for the peer's score. Decides nothing.
    Report {
        /// Validator that broke the protocol.
        by: ValidatorId,
        /// Rule that it broke.
        fault: Fault,
    },
    /// A validator misbehaved too often: its messages are not taken for that time. Whoever carries them closes its
    /// connection and takes none of it, so that they cost nothing.
    Ban {
        /// Validator that it is about.
        validator: ValidatorId,
        /// For how long from now, in milliseconds.
        for_ms: u64,
    },
    /// The node must stop: going on could only do harm.
    Stop(Halt),
}

/// What a validator did that no correct one does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A signature that does not verify.
    #[error("sent a signature that does not verify")]
    BadSignature,
    /// A vote in another's name, or a proposal by another than the leader.
    #[error("sent a message that is not its own to send")]
    NotItsOwn,
    /// Two statements in one view that exclude each other, with the proof.
    #[error("said two things in view {}", .0.view())]
    Equivocation(Box<Evidence>),
    /// A certificate without a quorum or with a bad signature.
    #[error("sent a certificate that proves nothing")]
    BadCertificate,
    /// A proposal that cannot be right.
    #[error("proposed a block in view {0} that breaks the rules")]
    BadProposal(View),
    /// An answer that does not fit what was asked.
    #[error("sent blocks that are not the ones asked for")]
    BadAnswer,
    /// Bytes that are no message of the channel they came on.
    #[error("sent bytes that are no message")]
    BadFrame,
    /// Transactions whose signatures do not verify.
    #[error("sent transactions whose signatures do not verify")]
    BadTransactions,
}

impl Fault {
    /// The rule that was broken, in one word for counts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::NotItsOwn => "not_its_own",
            Self::Equivocation(_) => "equivocation",
            Self::BadCertificate => "bad_certificate",
            Self::BadProposal(_) => "bad_proposal",
            Self::BadAnswer => "bad_answer",
            Self::BadFrame => "bad_frame",
            Self::BadTransactions => "bad_transactions",
        }
    }
}

impl From<Evidence> for Fault {
    fn from(evidence: Evidence) -> Self {
        Self::Equivocation(Box::new(evidence))
    }
}

/// Why a node must stop.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Halt {
    /// A final block fails here.
    #[error("state diverged: block {block} at height {height} is final but fails to execute here")]
    Diverged {
        /// Id of the final block.
        block: BlockId,
        /// Height of the final block.
        height: Height,
    },
    /// Two conflicting blocks are final: more than a third of the stake broke the rules.
    #[error(
        "two conflicting blocks are final around view {view}: more than a third of the stake broke the rules"
    )]
    Conflict {
        /// View of the second finalization.
        view: View,
    },
    /// A vote with this validator's signature that it did not cast since its peers let it vote, and that its log lacks.
    #[error(
        "somebody voted in view {view} with this validator's key, and this log lacks that vote: another process signs with \
         the key, or the log was cut or put back"
    )]
    ForeignVote {
        /// View of the vote.
        view: View,
    },
}

/// The effects of one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// What need not wait for the disk.
    pub(crate) early: Vec<Effect>,
    /// What must be on disk before anything in `late`.
    pub(crate) records: Vec<Record>,
    /// What waits for the disk.
    pub(crate) late: Vec<Effect>,
    /// Time of the next [`Effect::SetTimer`]; none leaves the timer as it is.
    pub(crate) timer: Option<Monotonic>,
}

impl Effects {
    /// Joins the effects of a later step into this one: still one write, before everything that waits for it.
    pub(crate) fn merge(&mut self, later: Self) {
        self.early.extend(later.early);
        self.records.extend(later.records);
        self.late.extend(later.late);
        self.timer = later.timer.or(self.timer);
    }

    /// Adds a certificate to what must be on disk, if there is one.
    pub(crate) fn log_certificate(&mut self, certificate: Option<Certificate>) {
        self.records.extend(certificate.map(Record::Certificate));
    }

    pub(crate) fn send(&mut self, to: Recipients, message: Message) {
        self.late.push(Effect::Send { to, message });
    }
}

impl IntoIterator for Effects {
    type Item = Effect;
    type IntoIter = std::vec::IntoIter<Effect>;

    /// The effects in the order in which they must be performed.
    fn into_iter(self) -> Self::IntoIter {
        let persist = (!self.records.is_empty()).then_some(Effect::Persist(self.records));
        let mut all = self.early;
        all.extend(persist);
        all.extend(self.late);
        all.extend(self.timer.map(Effect::SetTimer));
        all.into_iter()
    }
}
