//! A job in a child process: the parent's handle, and the child's main function.
//!
//! The parent starts its own binary again, writes one job to the child's stdin and reads one answer per task from its
//! stdout, all in length-prefixed frames of bounded size. The child opens the job's blobs and enters the cage
//! ([`crate::cage`]) before it reads any byte of them, so that a compiler or an engine that goes wrong takes down the
//! child and nothing else. It ends when the parent does, and is killed with all that it started.
//!
//! The parent trusts no answer: it counts the bytes and hashes them against the outcome again.

mod child;
mod clock;
mod frame;
mod parent;
mod process;
mod protocol;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use types::hash::{BlobId, Hash32};
use types::job::{TaskState, Workload};
use types::number::TaskIndex;

pub use child::main;
pub use clock::CompileTime;
pub use parent::{CodeExchange, PreparationTime, WorkerHandle};
pub use process::WorkerKiller;
pub use protocol::ChildAnswer;

/// Memory of the process itself, beside everything that grows with the job.
const BASE_DATA_BYTES: u64 = 1 << 30;
/// Memory that compiling takes, per byte of the module: some hundreds for a Go program of 2.8 MB, and room.
const COMPILE_FACTOR: u64 = 1_024;
/// Most memory for compiling; a module that needs more cannot be run.
const MAX_COMPILE_BYTES: u64 = 8 << 30;
/// How often outputs are held at the same time: in the tree and encoded, each in up to twice the memory that they need,
/// because it doubles as they grow.
const OUTPUT_FACTOR: u64 = 4;

/// Longest time for entering the cage and saying so.
const INSPECTION_WALL: Duration = Duration::from_secs(20);

/// What the system grants a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Most private memory, in bytes (`RLIMIT_DATA`).
    pub data_bytes: u64,
    /// Most processor time of the process.
    pub cpu: Duration,
    /// Longest time without an answer: until the module is compiled, then until each task ends.
    pub wall: Duration,
    /// Processor time of the optimising compiler, beyond which the baseline compiler takes its place.
    pub compile: CompileTime,
    /// True if tasks may run where this machine gives no filter of system calls.
    pub may_lack_seccomp: bool,
}

impl WorkerLimits {
    /// Limits for a worker that only shows its cage ([`WorkerHandle::inspect`]).
    #[must_use]
    pub fn for_inspection() -> Self {
        Self {
            data_bytes: BASE_DATA_BYTES,
            cpu: INSPECTION_WALL,
            wall: INSPECTION_WALL,
            compile: CompileTime::default(),
            may_lack_seccomp: true,
        }
    }

    /// Limits under which every task that stays within the workload's own limits has room, with `wall` per task. The
    /// filter of system calls may not be missing.
    #[must_use]
    pub fn of(workload: &Workload, wall: Duration) -> Self {
        // Each blob is read and held once.
        let inputs = workload
            .blobs()
            .iter()
            .fold(0u64, |sum, blob| sum.saturating_add(blob.length));
        // What a task left is held while the next one runs.
        let state = if workload.state.is_chain() {
            workload.limits.output_bytes
        } else {
            0
        };
        let data_bytes = BASE_DATA_BYTES
            .saturating_add(workload.limits.memory_bytes)
            .saturating_add(inputs)
            .saturating_add(workload.limits.output_bytes.saturating_mul(OUTPUT_FACTOR))
            .saturating_add(state)
            .saturating_add(
                workload
                    .module
                    .length
                    .saturating_mul(COMPILE_FACTOR)
                    .min(MAX_COMPILE_BYTES),
            );
        Self {
            data_bytes,
            cpu: wall.saturating_mul(workload.tasks.count().saturating_add(1)),
            wall,
            compile: CompileTime::default(),
            may_lack_seccomp: false,
        }
    }
}

/// A job for a worker.
#[derive(Debug, Clone)]
pub struct WorkerJob {
    /// Workload whose tasks are to be run.
    pub workload: Workload,
    /// Which of its tasks, in this order; of a chain tasks that follow each other.
    pub tasks: Vec<TaskIndex>,
    /// What the task before the first of these left; empty where tasks are independent, and before the first of a chain.
    pub state: TaskState,
    /// Draws the fuel point of each task's witness; without it there is none. A witness takes a second run, within the same
    /// time and processor time.
    pub witness_draw: Option<Hash32>,
    /// Where the child finds the bytes of every blob that [`Workload::blobs`] and the state name.
    pub files: BTreeMap<BlobId, PathBuf>,
}
