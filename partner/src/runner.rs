//! Doing the work: inputs fetched chunk by chunk, tasks run in a worker process, results kept, uploaded and let go.
//!
//! Inputs are shared by all assignments and live in one store. Results live in a store per assignment, so that letting go of a
//! assignment is removing its folder. Everything that an outcome names is on disk before the outcome is told to the core.

mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use blobs::BlobStore;
use executor::worker::{WorkerHandle, WorkerJob, WorkerKiller, WorkerLimits};
use executor::{NoResult, TaskRun};
use types::attestation::{Outcome, Outcomes};
use types::codec::{Bounded, encode};
use types::hash::{BlobId, Hash32};
use types::number::TaskIndex;

use crate::assignment::{Assignment, AssignmentRole};
use crate::core::{Cause, ExecutionResult, TaskExecution};
use crate::endpoints::Endpoints;

/// The hands of a partner.
#[derive(Debug)]
pub struct JobRunner {
    endpoints: Endpoints,
    inputs: BlobStore,
    results: PathBuf,
    quota: u64,
    worker: PathBuf,
    task_wall: Duration,
}

/// What [`JobRunner`] needs to know.
#[derive(Debug, Clone)]
pub struct JobRunnerSettings {
    /// Most bytes of inputs, and of one assignment's results.
    pub quota: u64,
    /// The program whose `worker` command runs tasks.
    pub worker: PathBuf,
    /// Longest time for one task.
    pub task_wall: Duration,
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

impl JobRunner {
    /// Opens the stores below a partner's directory. Results of assignments other than `kept` are what a crash left.
    pub fn open(
        dir: &Path,
        endpoints: Endpoints,
        settings: JobRunnerSettings,
        kept: &BTreeSet<Assignment>,
    ) -> anyhow::Result<Self> {
        let results = dir.join("results");
        std::fs::create_dir_all(&results)
            .with_context(|| format!("cannot create {}", results.display()))?;
        let kept: BTreeSet<String> = kept.iter().map(ToString::to_string).collect();
        for entry in std::fs::read_dir(&results)? {
            let entry = entry?;
            if !kept.contains(entry.file_name().to_string_lossy().as_ref()) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        let inputs = BlobStore::open(&dir.join("inputs"), settings.quota)?;
        let JobRunnerSettings {
            quota,
            worker,
            task_wall,
        } = settings;
        Ok(Self {
            endpoints,
            inputs,
            results,
            quota,
            worker,
            task_wall,
        })
    }

    fn results_of(&self, assignment: &Assignment) -> anyhow::Result<BlobStore> {
        Ok(BlobStore::open(
            &self.results.join(assignment.to_string()),
            self.quota,
        )?)
    }

    /// Lets go of an assignment's results.
    pub fn forget(&self, assignment: &Assignment) -> std::io::Result<()> {
        match std::fs::remove_dir_all(self.results.join(assignment.to_string())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Lets go of inputs that no execution reads or will read.
    pub fn retain_inputs(&self, wanted: &BTreeSet<BlobId>) -> anyhow::Result<()> {
        self.inputs.retain(wanted)?;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn inputs(&self) -> &BlobStore {
        &self.inputs
    }

    /// Fetches the inputs and runs the tasks. Blocking work is done on threads for it.
    pub async fn execute(
        self: Arc<Self>,
        execution: TaskExecution,
        cancel: Cancel,
    ) -> anyhow::Result<ExecutionResult> {
        self.fetch(&execution.workload.blobs(), &cancel).await?;
        let this = Arc::clone(&self);
        tokio::task::spawn_blocking(move || this.run(execution, &cancel))
            .await
            .context("the execution panicked")?
    }

    fn run(&self, execution: TaskExecution, cancel: &Cancel) -> anyhow::Result<ExecutionResult> {
        let TaskExecution {
            assignment,
            workload,
            tasks,
        } = execution;
        let mut files = BTreeMap::new();
        for blob in workload.blobs() {
            let path = self
                .inputs
                .path(blob)
                .with_context(|| format!("input {} is gone", blob.hash))?;
            files.insert(blob, path);
        }
        let results = match assignment.role {
            AssignmentRole::Primary => {
                self.forget(&assignment)?;
                Some(self.results_of(&assignment)?)
            }
            AssignmentRole::Verifier => None,
        };
        let limits = WorkerLimits::of(&workload, self.task_wall);
        let handle = WorkerHandle::spawn(&self.worker, &["worker"], limits)?;
        cancel.arm(handle.killer())?;
        let job = WorkerJob {
            workload,
            tasks,
            files,
        };
        let mut outcomes: Vec<(TaskIndex, Outcome)> = Vec::with_capacity(job.tasks.len());
        let mut trouble = None;
        let ended = handle.run_job(&job, |task, run| {
            if let Some(results) = &results
                && let Err(error) = keep(results, &run)
            {
                trouble = Some(error);
                return Err(NoResult::Cancelled);
            }
            outcomes.push((task, run.outcome));
            Ok(())
        });
        if let Some(error) = trouble {
            return Err(error.context("cannot keep the results"));
        }
        ended?;
        ensure!(
            outcomes.iter().map(|(task, _)| task).eq(&job.tasks),
            "the worker ran other tasks than it was asked to"
        );
        let list = match results {
            Some(results) => Some(keep_list(&results, &outcomes)?),
            None => None,
        };
        Ok(ExecutionResult {
            assignment,
            workload: job.workload,
            salt: fresh_salt()?,
            outcomes,
            list,
        })
    }
}

/// The signals by which the system ends a process that went wrong by itself. Others are sent by somebody: a system
/// that is short of memory, or an operator.
const OWN_FAULTS: [&str; 6] = [
    "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGXCPU",
];

/// What an error says of the tasks. In doubt nothing: that a job cannot be run costs its customer a fee.
pub fn cause_of(error: &anyhow::Error) -> Cause {
    match error.downcast_ref::<NoResult>() {
        Some(
            NoResult::Workload { .. }
            | NoResult::Engine { .. }
            | NoResult::TimedOut { .. }
            | NoResult::Garbled { .. },
        ) => Cause::Tasks,
        Some(NoResult::Crashed { status })
            if OWN_FAULTS.iter().any(|signal| status.contains(signal)) =>
        {
            Cause::Tasks
        }
        _ => Cause::Machine,
    }
}

/// Puts everything that an outcome names on disk.
fn keep(results: &BlobStore, run: &TaskRun) -> anyhow::Result<()> {
    let outcome = &run.outcome;
    let mut written = vec![(outcome.stdout, &run.stdout), (outcome.stderr, &run.stderr)];
    for (named, bytes) in outcome.outputs.iter().zip(&run.outputs) {
        written.extend(named.zip(bytes.as_ref()));
    }
    for (named, bytes) in written {
        ensure!(
            results.put_bytes(bytes)? == named,
            "the worker names other bytes than it gives"
        );
    }
    Ok(())
}

/// Puts the list of outcomes on disk and names it.
fn keep_list(results: &BlobStore, outcomes: &[(TaskIndex, Outcome)]) -> anyhow::Result<BlobId> {
    let list = Bounded::new(
        outcomes
            .iter()
            .map(|(_, outcome)| outcome.clone())
            .collect(),
    )?;
    Ok(results.put_bytes(&encode(&Outcomes(list)))?)
}

/// Random bytes for a commitment: without them a short list of possible outcomes could be tried through.
fn fresh_salt() -> anyhow::Result<Hash32> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("no randomness from the operating system: {error}"))?;
    Ok(Hash32(bytes))
}

#[cfg(test)]
mod tests;
