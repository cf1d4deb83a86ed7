//! The seam between a partner and what runs its tasks: worker processes of this machine today, a batch system later.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use executor::class::Compiler;
use executor::worker::{CodeExchange, WorkerHandle, WorkerJob, WorkerKiller, WorkerLimits};
use executor::{NoResult, TaskRun};
use types::hash::BlobId;
use types::job::Workload;
use types::number::TaskIndex;

use super::CodeCache;

/// What a back end is to run.
#[derive(Debug)]
pub struct BackendJob {
    /// Workload whose tasks are run.
    pub workload: Workload,
    /// Which tasks of it, ascending.
    pub tasks: Vec<TaskIndex>,
    /// The module and the inputs on this disk, all complete.
    pub files: BTreeMap<BlobId, PathBuf>,
}

/// Takes the result of one task; an error ends the execution.
pub type TakeRun<'a> = &'a mut dyn FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>;

/// Runs tasks. What it gives is committed to, so it must give the same bytes on every machine.
pub trait ExecutionBackend: std::fmt::Debug + Send + Sync {
    /// Runs the tasks in order and hands over each result. Blocks until the last one, an error, or `cancel`.
    fn run(&self, job: BackendJob, cancel: &Cancel, take: TakeRun<'_>) -> Result<(), NoResult>;
}

/// Runs tasks in a worker process of this machine, one process per job.
#[derive(Debug)]
pub struct WorkerProcess {
    /// The program whose `worker` command runs tasks.
    pub program: PathBuf,
    /// Maximum time for one task.
    pub task_wall: Duration,
    /// True if tasks may run where this machine gives no filter of system calls.
    pub may_lack_seccomp: bool,
    /// Compiled code of modules that ran before, if it is kept.
    pub code: Option<CodeCache>,
}

impl ExecutionBackend for WorkerProcess {
    fn run(&self, job: BackendJob, cancel: &Cancel, take: TakeRun<'_>) -> Result<(), NoResult> {
        let limits = WorkerLimits {
            may_lack_seccomp: self.may_lack_seccomp,
            ..WorkerLimits::of(&job.workload, self.task_wall)
        };
        let handle = WorkerHandle::spawn(&self.program, &["worker"], limits)?;
        cancel.arm(handle.killer())?;
        let job = WorkerJob {
            workload: job.workload,
            tasks: job.tasks,
            files: job.files,
        };
        let Some(cache) = &self.code else {
            return handle
                .run_job(&job, take)
                .map(|compiler| say_compiler(&job, compiler));
        };
        let (module, class) = (job.workload.module, job.workload.class);
        let file = cache.file(module, class);
        let mut keep = |code: Vec<u8>| {
            // The job does not need it.
            if let Err(error) = cache.keep(module, class, &code) {
                tracing::warn!(%error, "compiled code is not kept");
            }
        };
        let exchange = CodeExchange {
            file: file.as_deref(),
            keep: &mut keep,
        };
        let compiler = handle.run_job_with_code(&job, Some(exchange), take)?;
        say_compiler(&job, compiler);
        Ok(())
    }
}

/// Tells the operator why a job's tasks ran slowly.
fn say_compiler(job: &WorkerJob, compiler: Compiler) {
    if compiler == Compiler::Baseline {
        let module = job.workload.module.hash;
        tracing::info!(%module, "the module compiles for longer than it pays for: it ran by the baseline compiler");
    }
}

/// Stops an execution from outside.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Mutex<CancelState>>);

#[derive(Debug, Default)]
struct CancelState {
    cancelled: bool,
    killer: Option<WorkerKiller>,
}

impl Cancel {
    fn state(&self) -> MutexGuard<'_, CancelState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it: a running worker is killed, one that would start is not.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        if let Some(killer) = state.killer.take() {
            killer.kill();
        }
    }

    /// True once it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// From now on cancelling kills a worker; at once if it was cancelled already.
    fn arm(&self, killer: WorkerKiller) -> Result<(), NoResult> {
        let mut state = self.state();
        if state.cancelled {
            killer.kill();
            return Err(NoResult::Cancelled);
        }
        state.killer = Some(killer);
        Ok(())
    }
}
