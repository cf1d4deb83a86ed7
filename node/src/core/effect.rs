//! What comes out of a node's core, in the order in which it must be performed.

use consensus::log::Record;
use consensus::{Fault, Halt, Request};
use state::StateError;
use types::hash::{TransactionId, ValidatorId};
use types::number::View;
use types::time::Monotonic;

use super::blob_book::BlobRequest;
use super::input::Ticket;
use super::wire::Frame;
use super::work::Work;

/// To whom a frame goes. Never to ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One validator.
    One(ValidatorId),
    /// Every validator but perhaps the one that it came from.
    All {
        /// Left out.
        except: Option<ValidatorId>,
    },
}

/// Something to be done. Effects are performed in order; if one fails, none after it may be performed.
#[derive(Debug)]
pub enum Effect {
    /// Append to the consensus log and sync, before anything after this.
    Persist(Vec<Record>),
    /// Send a frame.
    Send {
        /// To whom.
        to: Target,
        /// What.
        frame: Frame,
    },
    /// Do this on another thread, after all work that was asked for before, and answer with the event it gives.
    Work(Box<Work>),
    /// The log needs nothing of this view and below any more.
    Release(View),
    /// Answer a validator from the store, or not at all: a block by id, or final blocks from a height on.
    Serve {
        /// Who asks.
        to: ValidatorId,
        /// What.
        request: Request,
    },
    /// Answer a submission.
    Answer {
        /// Of which one.
        ticket: Ticket,
        /// Its transaction's id, or why it was not taken.
        result: Result<TransactionId, vm::MempoolError>,
    },
    /// Something about blobs.
    Blob(BlobRequest),
    /// Wake the core with [`super::Event::Timer`] at this time; replaces the one before.
    SetTimer(Monotonic),
    /// A validator broke the protocol: for the log of what happened.
    Report {
        /// Who.
        by: ValidatorId,
        /// What.
        fault: Fault,
    },
    /// Stop at once: going on could only do harm. Nothing after this may be performed.
    Stop(Stop),
}

/// Why a node must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// Consensus cannot go on.
    #[error(transparent)]
    Consensus(#[from] Halt),
    /// State cannot be read, or contradicts itself.
    #[error(transparent)]
    State(#[from] vm::Fault),
    /// Execution panicked.
    #[error("the execution of a block panicked: {0}; the node stops before it votes on it")]
    Panicked(String),
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error.into())
    }
}
