//! A job in a child process: the parent's handle, and the child's main function.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use types::hash::BlobId;
use types::job::Workload;
use types::number::TaskIndex;

use crate::task::{NoResult, TaskRun};

/// What the system grants a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Most private memory, in bytes (`RLIMIT_DATA`).
    pub data_bytes: u64,
    /// Most processor time of the process.
    pub cpu: Duration,
    /// Longest time without an answer: until the first task ends (compiling included), then from task to task.
    pub wall: Duration,
}

impl WorkerLimits {
    /// Limits under which every task that stays within the workload's own limits has room, and `wall` per task.
    #[must_use]
    pub fn of(_workload: &Workload, wall: Duration) -> Self {
        Self { data_bytes: 0, cpu: Duration::ZERO, wall }
    }
}

/// A job for a worker.
#[derive(Debug, Clone)]
pub struct WorkerJob {
    /// What to run.
    pub workload: Workload,
    /// Which of its tasks, in this order.
    pub tasks: Vec<TaskIndex>,
    /// Where the child finds the bytes of every blob that [`Workload::blobs`] names.
    pub files: BTreeMap<BlobId, PathBuf>,
}

/// A running worker process.
#[derive(Debug)]
pub struct WorkerHandle {}

/// Kills a worker from another thread.
#[derive(Debug, Clone)]
pub struct WorkerKiller {}

impl WorkerKiller {
    /// Kills the worker; what it was doing ends as [`NoResult::Cancelled`].
    pub fn kill(&self) {}
}

impl WorkerHandle {
    /// Starts `binary` with `arguments`, which must end up in [`main`] (`gridproof worker`).
    pub fn spawn(_binary: &Path, _arguments: &[&str], _limits: WorkerLimits) -> Result<Self, NoResult> {
        Err(NoResult::Cancelled)
    }

    /// What kills this worker.
    #[must_use]
    pub fn killer(&self) -> WorkerKiller {
        WorkerKiller {}
    }

    /// Runs the job and gives each task's run to `each` as it ends. Blocks; the worker ends with it.
    pub fn run_job(
        self,
        _job: &WorkerJob,
        _each: impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<(), NoResult> {
        Err(NoResult::Cancelled)
    }
}

/// The child: reads a job from stdin, answers on stdout, ends.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
