//! Checking tasks of a chain: each row of drawn tasks begins with the state that the primary handed on before it.
//!
//! Within a row a task begins with what the one before it left here. Where that is not what the primary handed on, the rest of
//! the row begins anew with the primary's state: each task is judged by what the primary says it began with, so that one wrong
//! task does not make those that follow it look wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blobs::BlobStore;
use executor::NoResult;
use types::codec::decode;
use types::hash::BlobId;
use types::job::{TaskState, TaskStates};
use types::limits::MAX_STATES_BYTES;
use types::number::TaskIndex;

use super::{BackendJob, Cancel, JobRunner, RunnerError, fresh_salt};
use crate::core::{ExecutionResult, RanTask, TaskExecution};

/// A row of tasks, and what it begins with.
struct TaskRow {
    tasks: Vec<TaskIndex>,
    before: TaskState,
    files: BTreeMap<BlobId, PathBuf>,
}

impl JobRunner {
    /// Runs the tasks, ascending, over the list of states that the primary handed on; what is fetched for that goes again.
    pub(super) async fn check_chain(
        self: Arc<Self>,
        execution: TaskExecution,
        list: BlobId,
        cancel: &Cancel,
    ) -> Result<ExecutionResult, RunnerError> {
        let assignment = execution.assignment;
        self.forget(&assignment)?;
        let store = self.results_of(&assignment)?;
        self.fetch(&store, &[list], cancel).await?;
        let states: Arc<TaskStates> = Arc::new(decode(&store.read(list)?, MAX_STATES_BYTES)?);
        let execution = Arc::new(execution);
        let mut outcomes = Vec::with_capacity(execution.tasks.len());
        while let Some(left) = execution.tasks.get(outcomes.len()..)
            && let Some(first) = left.first()
        {
            let before = states.before(*first).ok_or(RunnerError::NoState(*first))?;
            let blobs: Vec<_> = before.iter().flatten().copied().collect();
            self.fetch(&store, &blobs, cancel).await?;
            let row = TaskRow {
                tasks: row(left),
                files: self.files_of(&execution, &store, &blobs)?,
                before,
            };
            let (this, states) = (Arc::clone(&self), Arc::clone(&states));
            let (execution, cancel) = (Arc::clone(&execution), cancel.clone());
            let ran = tokio::task::spawn_blocking(move || {
                this.run_row(&execution, row, &states, &cancel)
            });
            outcomes.extend(ran.await??);
        }
        drop(store);
        self.forget(&assignment)?;
        Ok(ExecutionResult {
            assignment,
            workload: execution.workload.clone(),
            salt: fresh_salt()?,
            outcomes,
            list: None,
            states: Vec::new(),
        })
    }

    /// Where the bytes of a job's blobs and of a state are.
    fn files_of(
        &self,
        execution: &TaskExecution,
        store: &BlobStore,
        state: &[BlobId],
    ) -> Result<BTreeMap<BlobId, PathBuf>, RunnerError> {
        let mut files = self.input_files(&execution.workload)?;
        for blob in state {
            let path = store.path(*blob);
            files.insert(*blob, path.ok_or(RunnerError::InputGone(*blob))?);
        }
        Ok(files)
    }

    /// Runs a row, as far as what its tasks leave is what the primary handed on; at least its first task.
    fn run_row(
        &self,
        execution: &TaskExecution,
        row: TaskRow,
        states: &TaskStates,
        cancel: &Cancel,
    ) -> Result<Vec<RanTask>, RunnerError> {
        let workload = &execution.workload;
        let TaskRow {
            tasks,
            mut before,
            files,
        } = row;
        let job = BackendJob {
            workload: workload.clone(),
            tasks: tasks.clone(),
            state: before.clone(),
            task_wall: Duration::from_millis(execution.task_wall_ms),
            files,
        };
        let mut ran: Vec<RanTask> = Vec::with_capacity(tasks.len());
        let mut has_parted = false;
        self.backend.run(job, cancel, &mut |task, run| {
            if has_parted {
                return Ok(());
            }
            if tasks.get(ran.len()) != Some(&task) {
                return Err(NoResult::Cancelled);
            }
            let after = run.outcome.state(&workload.state);
            has_parted = states
                .after(task)
                .is_some_and(|handed_on| *handed_on != after);
            ran.push(RanTask {
                task,
                before: std::mem::replace(&mut before, after),
                outcome: run.outcome,
            });
            Ok(())
        })?;
        if ran.is_empty() || (!has_parted && ran.len() < tasks.len()) {
            return Err(RunnerError::OtherTasks {
                expected: tasks.len(),
                found: ran.len(),
            });
        }
        Ok(ran)
    }
}

/// The tasks at the beginning of a list that follow each other.
fn row(tasks: &[TaskIndex]) -> Vec<TaskIndex> {
    let first = tasks.first().map_or(0, |task| task.0);
    let in_a_row = (first..).zip(tasks).take_while(|(at, task)| *at == task.0);
    in_a_row.map(|(_, task)| *task).collect()
}

#[cfg(test)]
mod tests;
