//! The seam between a partner and what runs its tasks: worker processes of this machine today, a batch system later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use executor::class::Compiler;
use executor::worker::{CodeExchange, WorkerHandle, WorkerJob, WorkerKiller, WorkerLimits};
use executor::{NoResult, TaskRun};
use types::hash::BlobId;
use types::job::{TaskState, Workload};
use types::number::TaskIndex;

use super::CodeCache;
use super::room::TaskRoom;
use super::side_by_side::{NewsSender, TakeRun, WorkerNews, dealt, run_all};
use crate::meters::WorkerMetrics;

/// What a back end is to run.
#[derive(Debug)]
pub struct BackendJob {
    /// Workload whose tasks are run.
    pub workload: Workload,
    /// Which tasks of it, ascending.
    pub tasks: Vec<TaskIndex>,
    /// What the task before the first of these left; empty where tasks are independent, and before the first of a chain.
    pub state: TaskState,
    /// Maximum time for one task.
    pub task_wall: Duration,
    /// The module, the inputs and the state on this disk, all complete.
    pub files: BTreeMap<BlobId, PathBuf>,
}

/// Runs tasks. What it gives is committed to, so it must give the same bytes on every machine.
pub trait ExecutionBackend: std::fmt::Debug + Send + Sync {
    /// Runs the tasks and hands over each result as it comes. Blocks until the last one, an error, or `cancel`.
    fn run(&self, job: BackendJob, cancel: &Cancel, take: TakeRun<'_>) -> Result<(), NoResult>;
}

/// Runs tasks in worker processes of this machine: one per job, and more as far as there is room.
#[derive(Debug)]
pub struct WorkerProcess {
    /// The program whose `worker` command runs tasks.
    pub program: PathBuf,
    /// True if tasks may run where this machine gives no filter of system calls.
    pub may_lack_seccomp: bool,
    /// What of this machine all executions together may take.
    pub room: TaskRoom,
    /// Compiled code of modules that ran before, if it is kept.
    pub code: Option<CodeCache>,
    /// What its workers record.
    pub metrics: WorkerMetrics,
}

impl ExecutionBackend for WorkerProcess {
    fn run(&self, job: BackendJob, cancel: &Cancel, take: TakeRun<'_>) -> Result<(), NoResult> {
        let is_chain = job.workload.state.is_chain();
        let side_by_side = if is_chain { 1 } else { job.tasks.len() };
        let room = self.room.enter(&job.workload, side_by_side);
        let parts = dealt(&job.tasks, room.workers());
        let (module, class) = (job.workload.module, job.workload.class);
        let cache = self.code.as_ref();
        let compiles = cache.is_some_and(|cache| cache.file(module, class).is_none());
        run_all(
            parts,
            compiles,
            |part, news| self.run_part(&job, part, cancel, news),
            || cancel.end_workers(),
            take,
        )
    }
}

impl WorkerProcess {
    /// Runs some of a job's tasks in a worker of their own.
    fn run_part(
        &self,
        job: &BackendJob,
        tasks: Vec<TaskIndex>,
        cancel: &Cancel,
        news: &NewsSender,
    ) -> Result<(), NoResult> {
        let limits = WorkerLimits {
            may_lack_seccomp: self.may_lack_seccomp,
            ..WorkerLimits::of(&job.workload, job.task_wall)
        };
        let handle = WorkerHandle::spawn(&self.program, &["worker"], limits)?;
        cancel.arm(handle.killer())?;
        let job = WorkerJob {
            workload: job.workload.clone(),
            tasks,
            state: job.state.clone(),
            witness_draw: None,
            files: job.files.clone(),
        };
        let (module, class) = (job.workload.module, job.workload.class);
        let file = self
            .code
            .as_ref()
            .and_then(|cache| cache.file(module, class));
        let _running = self.metrics.starts(file.is_some());
        let preparation = handle.preparation();
        let ended = self.converse(handle, &job, file.as_deref(), news);
        let compiler = ended.as_ref().copied();
        self.metrics.ended(preparation.total(), compiler);
        ended.map(|compiler| say_compiler(&job, compiler))
    }

    /// Has a worker run its part of the job.
    fn converse(
        &self,
        handle: WorkerHandle,
        job: &WorkerJob,
        file: Option<&Path>,
        news: &NewsSender,
    ) -> Result<Compiler, NoResult> {
        let tell = |task, run: TaskRun| {
            self.metrics.ran(&run);
            if news.tell(WorkerNews::Ran(task, Box::new(run))) {
                Ok(())
            } else {
                Err(NoResult::Cancelled)
            }
        };
        let Some(cache) = &self.code else {
            return handle.run_job(job, tell);
        };
        let (module, class) = (job.workload.module, job.workload.class);
        let mut keep = |code: Vec<u8>| {
            // The job does not need it.
            if let Err(error) = cache.keep(module, class, &code) {
                tracing::warn!(%error, "compiled code is not kept");
            }
            news.tell(WorkerNews::CodeKept);
        };
        let exchange = CodeExchange {
            file,
            keep: &mut keep,
        };
        handle.run_job_with_code(job, Some(exchange), tell)
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
    /// True once its workers were ended because one of them failed.
    ended: bool,
    killers: Vec<WorkerKiller>,
}

impl CancelState {
    fn kill(&mut self) {
        for killer in self.killers.drain(..) {
            killer.kill();
        }
    }
}

impl Cancel {
    fn state(&self) -> MutexGuard<'_, CancelState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it: a running worker is killed, one that would start is not.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        state.kill();
    }

    /// One of its workers failed: the others are killed, and none starts any more. It counts as failed, not as cancelled.
    fn end_workers(&self) {
        let mut state = self.state();
        state.ended = true;
        state.kill();
    }

    /// True once it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state().cancelled
    }

    /// From now on cancelling kills a worker; at once if it was cancelled already.
    fn arm(&self, killer: WorkerKiller) -> Result<(), NoResult> {
        let mut state = self.state();
        if state.cancelled || state.ended {
            killer.kill();
            return Err(NoResult::Cancelled);
        }
        state.killers.push(killer);
        Ok(())
    }
}
