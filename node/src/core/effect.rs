//! What comes out of a node's core, in the order in which it must be performed.

use chain::{Alarm, BlobRequest, Destination, Fatal, RefereeTask, Ticket, Work};
use consensus::log::Record;
use consensus::message::Promise;
use consensus::{Fault, Halt, Request};
use types::hash::{BlockId, TransactionId, ValidatorId};
use types::number::View;
use types::time::Monotonic;

use super::wire::Frame;

/// Something to be done. Effects are performed in order; if one fails, none after it may be performed.
#[derive(Debug)]
pub enum Effect {
    /// Append to the consensus log and sync. What waits for that is said by [`super::LogGate`] alone.
    Persist(Vec<Record>),
    /// Send a frame over the connections that exist; nothing is sent again.
    Send {
        /// Validators that it goes to.
        to: Destination,
        /// Channel and encoded message.
        frame: Frame,
        /// What it says of ours: that must be on disk when it leaves.
        promise: Promise,
    },
    /// Do this on another thread, after all work that was asked for before, and answer with the event it gives.
    Work(Box<Work>),
    /// The log needs nothing of this view and below any more.
    Release(View),
    /// Answer a validator from the store, or not at all: a block by id, or final blocks from a height on. Either way the
    /// core is told by [`super::Event::Served`].
    Serve {
        /// The validator that asks.
        to: ValidatorId,
        /// Block or range that was asked for.
        request: Request,
    },
    /// Answer a submission; each is answered once.
    Answer {
        /// Name under which the submission came in.
        ticket: Ticket,
        /// For each transaction in its place its id, or why it was not taken.
        results: Vec<Result<TransactionId, vm::MempoolError>>,
    },
    /// Remember on disk that execution of this block failed here.
    Quarantine(BlockId),
    /// Tell the operator at once.
    Alarm(Alarm),
    /// Fetch, read or remove a blob; the answer is an event about that blob.
    Blob(BlobRequest),
    /// Run a task in dispute; the answer is an event about it.
    Referee(Box<RefereeTask>),
    /// Wake the core with [`super::Event::Timer`] at this time; replaces the one before.
    SetTimer(Monotonic),
    /// A validator broke the protocol: for the operator's log.
    Report {
        /// Validator that broke the protocol.
        by: ValidatorId,
        /// The rule it broke.
        fault: Fault,
    },
    /// A validator misbehaved too often: close its connection and take none of it for that time.
    Ban {
        /// Validator that it is about.
        validator: ValidatorId,
        /// For how long from now, in milliseconds.
        for_ms: u64,
    },
    /// Stop at once: going on could only do harm. Nothing after this may be performed.
    Stop(StopReason),
}

/// Why a node must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// Consensus cannot go on.
    #[error(transparent)]
    Consensus(#[from] Halt),
    /// The chain cannot go on.
    #[error(transparent)]
    Chain(#[from] Fatal),
}
