//! What goes into the core and what comes out of it.

use chain::{Alarm, BlobRequest, Destination, Fatal, RefereeTask, Ticket, Work};
use types::hash::{BlockId, TransactionId, ValidatorId};
use types::number::{Height, Timestamp};
use types::signed_block::SignedBlock;
use types::time::Monotonic;
use types::vote::Certificate;

use crate::message::SubnetMessage;

/// Names a call of the host until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What the host does with the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing yet.
    #[default]
    Starting,
    /// It fetches a state, or blocks that others have accepted.
    CatchingUp,
    /// It agrees on new blocks.
    Normal,
}

/// What the host asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostCall {
    /// Build a block on the preferred one.
    Build,
    /// Does this block follow the rules?
    Verify(Box<SignedBlock>),
    /// This block is accepted.
    Accept(BlockId),
    /// This block is rejected.
    Reject(BlockId),
    /// Build on this block from now on.
    Prefer(BlockId),
    /// The host does this with the chain from now on.
    SetPhase(Phase),
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallReply {
    /// It is done.
    Done,
    /// A block was built.
    Built(Box<SignedBlock>),
    /// The block follows the rules; its time.
    Verified(Timestamp),
}

/// Why a call is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This node has no validator's key.
    #[error("this node holds no validator key of the chain, so it proposes no block")]
    NoKey,
    /// The key is none of the committee's.
    #[error("validator {0} is not in the committee in office, so it proposes no block")]
    NotInOffice(ValidatorId),
    /// The block is neither the last accepted one nor one that was verified here.
    #[error("block {0} was not verified here")]
    NotVerified(BlockId),
    /// The block breaks a rule, or descends from none that can be accepted.
    #[error("block {0} is invalid")]
    Invalid(BlockId),
    /// The block's time is too far ahead of our clock.
    #[error("the block's time is {block}, later than {latest}")]
    TooFarAhead {
        /// Time of the block.
        block: Timestamp,
        /// The latest time that is taken now.
        latest: Timestamp,
    },
    /// A block is accepted whose parent is not the last accepted one.
    #[error("block {block} is accepted out of order: the last accepted block is {tip}")]
    OutOfOrder {
        /// The block.
        block: BlockId,
        /// The last accepted one.
        tip: BlockId,
    },
    /// No block is wanted on the preferred one.
    #[error("nothing waits for a block on the preferred one")]
    NothingToBuild,
    /// Building failed by a fault of this program.
    #[error("building a block panicked; the log says more")]
    Panicked,
    /// The chain stopped.
    #[error("the chain has stopped on this node; the log says why")]
    Stopped,
}

/// Something that happened: the closed list of what the core is told.
#[derive(Debug)]
pub enum Event {
    /// The host calls.
    Call {
        /// Name under which it is answered.
        id: CallId,
        /// What it asks.
        call: HostCall,
    },
    /// The time of the last [`Effect::SetTimer`] has come. Harmless at any other time.
    Timer,
    /// The host's record names this accepted block now, or could not be written.
    Recorded {
        /// Id of the block.
        block: BlockId,
        /// True if the record was written.
        written: bool,
    },
    /// Another node's VM tells something.
    Message {
        /// The node, by the 20 bytes of its id: the chain names its peers by as many.
        from: ValidatorId,
        /// What it tells.
        message: SubnetMessage,
    },
    /// Something that the chain is told: answers to work, peers, submissions, blobs.
    Chain(chain::Event),
}

/// Something to be done, in the order given.
#[derive(Debug)]
pub enum Effect {
    /// Answer a call; each is answered once.
    Answer {
        /// The call.
        call: CallId,
        /// Its answer.
        reply: Result<CallReply, Refusal>,
    },
    /// Put a block that the host accepts on the host's record, and tell by [`Event::Recorded`] whether that was done.
    Record {
        /// Height of the block.
        height: Height,
        /// Id of the block.
        block: BlockId,
    },
    /// Store this certificate of the accepted block at a height.
    Certified(Height, Certificate),
    /// Whether a block can be built and should be, if that changed.
    Wanted(bool),
    /// Do this on another thread, after all work that was asked for before, and answer with the event it gives.
    Work(Box<Work>),
    /// Send a message to connected nodes; nothing is sent again.
    Send {
        /// SubnetNodes that it goes to.
        to: Destination,
        /// What it says.
        message: SubnetMessage,
    },
    /// Answer a submission; each is answered once.
    Submitted {
        /// Name under which the submission came in.
        ticket: Ticket,
        /// For each transaction in its place its id, or why it was not taken.
        results: Vec<Result<TransactionId, vm::MempoolError>>,
    },
    /// A node passed on a transaction whose signature is not valid: no correct one does.
    Forged(ValidatorId),
    /// Remember on disk that execution of this block failed here.
    Quarantine(BlockId),
    /// Tell the operator at once.
    Alarm(Alarm),
    /// Fetch, read or remove a blob; the answer is an event about that blob.
    Blob(BlobRequest),
    /// Run a task in dispute; the answer is an event about it.
    Referee(Box<RefereeTask>),
    /// Wake the core with [`Event::Timer`] at this time; replaces the one before.
    SetTimer(Monotonic),
    /// Stop the chain: going on could only do harm. Calls are refused from now on.
    Stop(Fatal),
}
