//! Running the tasks of an assignment: inputs fetched chunk by chunk, tasks run by a back end, results kept, uploaded and
//! let go.
//!
//! Inputs are shared by all assignments and live in one store. Results live in a store per assignment, so that letting go
//! of an assignment is removing its folder. Everything that an outcome names is on disk before the outcome is told to the
//! core.

mod backend;
mod chain_check;
mod code_cache;
mod error;
mod room;
mod side_by_side;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blobs::BlobStore;
use executor::{NoResult, TaskRun};
use types::attestation::{Outcome, Outcomes};
use types::codec::{Bounded, encode};
use types::hash::{BlobId, Hash32};
use types::job::{TaskState, Workload};
use types::number::TaskIndex;

use crate::assignment::{Assignment, AssignmentRole};
use crate::core::{ExecutionResult, RanTask, TaskExecution};
use crate::endpoints::Endpoints;
use crate::error::PartnerError;

pub use backend::{BackendJob, Cancel, ExecutionBackend, WorkerProcess};
pub use code_cache::CodeCache;
pub use error::RunnerError;
pub use room::TaskRoom;
pub use side_by_side::TakeRun;

/// Runs the tasks of assignments and moves their inputs and results.
#[derive(Debug)]
pub struct JobRunner {
    endpoints: Endpoints,
    backend: Box<dyn ExecutionBackend>,
    inputs: BlobStore,
    results: PathBuf,
    quota: u64,
}

impl JobRunner {
    /// Opens the stores below a partner's directory, each with `quota` bytes. Results of assignments other than `kept`
    /// are what a crash left, and are removed.
    pub fn open(
        dir: &Path,
        endpoints: Endpoints,
        backend: Box<dyn ExecutionBackend>,
        quota: u64,
        kept: &BTreeSet<Assignment>,
    ) -> Result<Self, PartnerError> {
        let results = dir.join("results");
        std::fs::create_dir_all(&results).map_err(PartnerError::io("create", &results))?;
        let kept: BTreeSet<String> = kept.iter().map(ToString::to_string).collect();
        let list = || PartnerError::io("list", &results);
        for entry in std::fs::read_dir(&results).map_err(list())? {
            let entry = entry.map_err(list())?;
            if !kept.contains(entry.file_name().to_string_lossy().as_ref()) {
                let left = entry.path();
                std::fs::remove_dir_all(&left).map_err(PartnerError::io("remove", left))?;
            }
        }
        let inputs = BlobStore::open(&dir.join("inputs"), quota)?;
        Ok(Self {
            endpoints,
            backend,
            inputs,
            results,
            quota,
        })
    }

    fn results_of(&self, assignment: &Assignment) -> Result<BlobStore, blobs::BlobStoreError> {
        BlobStore::open(&self.results.join(assignment.to_string()), self.quota)
    }

    /// Lets go of an assignment's results.
    pub fn forget(&self, assignment: &Assignment) -> Result<(), PartnerError> {
        let folder = self.results.join(assignment.to_string());
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(PartnerError::io("remove", folder)(error))
            }
            _ => Ok(()),
        }
    }

    /// Lets go of inputs that no execution reads or will read.
    pub fn retain_inputs(&self, wanted: &BTreeSet<BlobId>) -> Result<(), blobs::BlobStoreError> {
        self.inputs.retain(wanted)
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
    ) -> Result<ExecutionResult, RunnerError> {
        let blobs = execution.workload.blobs();
        self.fetch(&self.inputs, &blobs, &cancel).await?;
        if let Some(list) = execution.states {
            return self.check_chain(execution, list, &cancel).await;
        }
        let this = Arc::clone(&self);
        tokio::task::spawn_blocking(move || this.run(execution, &cancel)).await?
    }

    fn run(
        &self,
        execution: TaskExecution,
        cancel: &Cancel,
    ) -> Result<ExecutionResult, RunnerError> {
        let TaskExecution {
            assignment,
            workload,
            tasks,
            task_wall_ms,
            ..
        } = execution;
        let results = match assignment.role {
            AssignmentRole::Primary => {
                self.forget(&assignment)?;
                Some(self.results_of(&assignment)?)
            }
            AssignmentRole::Verifier => None,
        };
        let job = BackendJob {
            workload: workload.clone(),
            tasks: tasks.clone(),
            state: TaskState::default(),
            task_wall: Duration::from_millis(task_wall_ms),
            files: self.input_files(&workload)?,
        };
        let outcomes = self.run_and_keep(job, results.as_ref(), cancel)?;
        if !outcomes.iter().map(|(task, _)| task).eq(&tasks) {
            return Err(RunnerError::OtherTasks {
                expected: tasks.len(),
                found: outcomes.len(),
            });
        }
        let (list, states) = match &results {
            Some(results) => {
                let list = outcomes_of(&outcomes)?;
                let states = keep_states(results, &workload, &list)?;
                (Some(results.put_bytes(&encode(&list))?), states)
            }
            None => (None, Vec::new()),
        };
        Ok(ExecutionResult {
            assignment,
            salt: fresh_salt()?,
            outcomes: RanTask::linked(&workload, outcomes),
            list,
            states,
            workload,
        })
    }

    /// Where the bytes of module and inputs are.
    fn input_files(&self, workload: &Workload) -> Result<BTreeMap<BlobId, PathBuf>, RunnerError> {
        let mut files = BTreeMap::new();
        for blob in workload.blobs() {
            let path = self.inputs.path(blob);
            files.insert(blob, path.ok_or(RunnerError::InputGone(blob))?);
        }
        Ok(files)
    }

    /// Runs a job; for a primary keeps what each outcome names before the next one is taken. Ascending by task.
    fn run_and_keep(
        &self,
        job: BackendJob,
        results: Option<&BlobStore>,
        cancel: &Cancel,
    ) -> Result<Vec<(TaskIndex, Outcome)>, RunnerError> {
        let mut outcomes = Vec::with_capacity(job.tasks.len());
        let mut not_kept = None;
        let ended = self.backend.run(job, cancel, &mut |task, run| {
            if let Some(results) = results
                && let Err(error) = keep(results, &run)
            {
                not_kept = Some(error);
                return Err(NoResult::Cancelled);
            }
            outcomes.push((task, run.outcome));
            Ok(())
        });
        if let Some(error) = not_kept {
            Err(error)
        } else {
            ended?;
            // Workers give them as they end.
            outcomes.sort_by_key(|(task, _)| *task);
            Ok(outcomes)
        }
    }
}

/// Puts everything that an outcome names on disk.
fn keep(results: &BlobStore, run: &TaskRun) -> Result<(), RunnerError> {
    let outcome = &run.outcome;
    let mut written = vec![(outcome.stdout, &run.stdout), (outcome.stderr, &run.stderr)];
    for (named, bytes) in outcome.outputs.iter().zip(&run.outputs) {
        written.extend(named.zip(bytes.as_ref()));
    }
    for (named, bytes) in written {
        let given = results.put_bytes(bytes)?;
        if given != named {
            return Err(RunnerError::OtherBytes { named, given });
        }
    }
    Ok(())
}

/// The list of outcomes.
fn outcomes_of(outcomes: &[(TaskIndex, Outcome)]) -> Result<Outcomes, RunnerError> {
    let list = outcomes.iter().map(|(_, outcome)| outcome.clone());
    Ok(Outcomes(Bounded::new(list.collect())?))
}

/// Puts the list of a chain's states on disk and names it, and after it every file that it names; nothing where there is no
/// chain.
// Rule C80.
fn keep_states(
    results: &BlobStore,
    workload: &Workload,
    outcomes: &Outcomes,
) -> Result<Vec<BlobId>, RunnerError> {
    if !workload.state.is_chain() {
        return Ok(Vec::new());
    }
    let states = outcomes.states(&workload.state);
    let files: BTreeSet<_> = states.files().collect();
    let list = results.put_bytes(&encode(&states))?;
    Ok(std::iter::once(list).chain(files).collect())
}

/// Random bytes for a commitment: without them a short list of possible outcomes could be tried through.
fn fresh_salt() -> Result<Hash32, RunnerError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(RunnerError::NoRandomness)?;
    Ok(Hash32(bytes))
}

#[cfg(test)]
mod tests;
