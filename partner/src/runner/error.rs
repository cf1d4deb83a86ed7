//! Why an execution or an upload gave nothing.

use executor::NoResult;
use types::codec::CodecError;
use types::hash::BlobId;
use types::number::TaskIndex;

use crate::core::Cause;
use crate::error::PartnerError;

/// Why the tasks of an assignment gave no result, or why its results could not be brought to an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The back end ran nothing, or did not finish.
    #[error(transparent)]
    NoResult(#[from] NoResult),
    /// Inputs or results cannot be kept on disk.
    #[error(transparent)]
    Store(#[from] blobs::BlobStoreError),
    /// The results of an earlier execution cannot be removed.
    #[error(transparent)]
    Clear(#[from] PartnerError),
    /// An input that was fetched is gone.
    #[error("input {} is gone", .0.hash)]
    InputGone(BlobId),
    /// The list of states that a primary handed on ends before what a task begins with.
    #[error("the list of states does not say what task {0} begins with")]
    NoState(TaskIndex),
    /// The back end names other bytes than it gives.
    #[error("the result names blob {} and gives blob {}", named.hash, given.hash)]
    OtherBytes {
        /// What the outcome names.
        named: BlobId,
        /// Blob of the bytes that the endpoint gave.
        given: BlobId,
    },
    /// The back end ran other tasks than it was asked to.
    #[error("{found} tasks were run that are not the {expected} asked for")]
    OtherTasks {
        /// How many tasks it was asked to run.
        expected: usize,
        /// How many results it gave.
        found: usize,
    },
    /// More outcomes than a list of them may hold, or a list of states that is none.
    #[error(transparent)]
    TooManyOutcomes(#[from] CodecError),
    /// The system gives no randomness for the commitment's salt.
    #[error("no randomness from the operating system: {0}")]
    NoRandomness(getrandom::Error),
    /// Blocking work ended early: it panicked, or the process ends.
    #[error("blocking work did not end: {0}")]
    Blocking(#[from] tokio::task::JoinError),
}

impl RunnerError {
    /// What it says of the tasks. In doubt nothing: that a job cannot be run costs its customer a fee.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::NoResult(no_result) => cause_of(no_result),
            _ => Cause::Machine,
        }
    }
}

fn cause_of(no_result: &NoResult) -> Cause {
    match no_result {
        NoResult::Workload(_)
        | NoResult::Engine { .. }
        | NoResult::TimedOut { .. }
        | NoResult::Garbled(_) => Cause::Tasks,
        NoResult::Crashed(end) if end.is_own_doing() => Cause::Tasks,
        _ => Cause::Machine,
    }
}
