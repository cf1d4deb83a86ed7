//! How tasks ended: which of them failed by their own doing, in words and in JSON.

use rpc::Client;
use rpc::model::JobView;
use serde_json::{Value, json};
use types::attestation::{Exit, Outcome, Outcomes, Trap};
use types::job::Workload;
use types::number::TaskIndex;
use types::words::counted;

use super::fetch;
use crate::failure::{CommandFailure, ExitKind};

/// Most failed tasks that are shown to people one by one.
const SHOWN: usize = 8;

/// A task that is settled, and that did not do what its customer wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTask {
    task: TaskIndex,
    exit: Exit,
    /// Names of declared outputs that it did not write.
    missing: Vec<String>,
}

impl FailedTask {
    fn of(workload: &Workload, task: TaskIndex, outcome: &Outcome) -> Option<Self> {
        let unwritten = workload
            .outputs
            .iter()
            .zip(&outcome.outputs)
            .filter(|(_, written)| written.is_none());
        let missing: Vec<_> = unwritten
            .map(|(output, _)| output.name.as_str().to_owned())
            .collect();
        let exit = outcome.exit;
        let failed = exit != (Exit::Code { code: 0 }) || !missing.is_empty();
        failed.then_some(Self {
            task,
            exit,
            missing,
        })
    }

    /// The task that failed.
    pub fn task(&self) -> TaskIndex {
        self.task
    }

    fn line(&self) -> String {
        let mut line = format!("task {}: {}", self.task, in_words(self.exit));
        if !self.missing.is_empty() {
            line = format!("{line}; not written: {}", self.missing.join(", "));
        }
        line
    }

    fn object(&self) -> Value {
        json!({ "task": self.task, "exit": object(self.exit), "missing_outputs": self.missing })
    }
}

/// The tasks that ended with another exit than code 0, or left a declared output unwritten, in their order.
pub fn failed_tasks(workload: &Workload, outcomes: &Outcomes) -> Vec<FailedTask> {
    let tasks = workload.tasks.indices();
    tasks
        .zip(&outcomes.0)
        .filter_map(|(task, outcome)| FailedTask::of(workload, task, outcome))
        .collect()
}

/// The tasks that failed, as programs read them.
pub fn objects(failed: &[FailedTask]) -> Value {
    failed.iter().map(FailedTask::object).collect()
}

/// How many tasks did what they should, and the first of those that did not.
pub fn lines(tasks: usize, failed: &[FailedTask]) -> Vec<String> {
    let good = tasks.saturating_sub(failed.len());
    let mut lines = vec![format!(
        " exits      {good} of {} ended with code 0 and wrote all outputs",
        counted(tasks, "task")
    )];
    let shown = failed.iter().take(SHOWN);
    lines.extend(shown.map(|failed| format!("            {}", failed.line())));
    if failed.len() > SHOWN {
        lines.push(format!("            and {} more", failed.len() - SHOWN));
    }
    lines
}

/// The failure of a command whose job is settled, but not as its customer wanted; none if every task did well.
pub fn failure(tasks: usize, failed: &[FailedTask]) -> Option<CommandFailure> {
    let first = failed.first()?;
    let message = format!(
        "{} of {} failed; the first is {}",
        failed.len(),
        counted(tasks, "task"),
        first.line()
    );
    let failure = CommandFailure::new(ExitKind::TasksFailed, "tasks_failed", message).hint(
        "the results are fetched and verified, read the tasks' stderr there; --allow-failed takes this as a success",
    );
    Some(failure)
}

/// How the tasks of a settled job ended, as an endpoint shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownExits {
    /// Number of tasks.
    pub tasks: usize,
    /// Those that failed by their own doing.
    pub failed: Vec<FailedTask>,
}

impl ShownExits {
    /// The exits of a job, if it is settled and the endpoint has the list of them.
    pub async fn of(client: &Client, view: &JobView) -> Option<Self> {
        let workload = view.canonical_spec().ok()?.workload;
        let outcomes = fetch::outcomes_shown(client, view).await?;
        Some(Self {
            tasks: outcomes.0.len(),
            failed: failed_tasks(&workload, &outcomes),
        })
    }
}

/// An exit as programs read it.
pub fn object(exit: Exit) -> Value {
    match exit {
        Exit::Code { code } => json!({ "kind": "code", "code": code }),
        Exit::Trap { trap } => json!({ "kind": "trap", "trap": trap_name(trap) }),
        Exit::OutOfFuel => json!({ "kind": "out_of_fuel" }),
        Exit::OutOfOutput => json!({ "kind": "out_of_output" }),
        Exit::Invalid => json!({ "kind": "invalid" }),
    }
}

fn trap_name(trap: Trap) -> &'static str {
    match trap {
        Trap::Unreachable => "unreachable",
        Trap::OutOfBounds => "out_of_bounds",
        Trap::Arithmetic => "arithmetic",
        Trap::IndirectCall => "indirect_call",
        Trap::StackOverflow => "stack_overflow",
        Trap::Other => "other",
    }
}

fn in_words(exit: Exit) -> String {
    match exit {
        Exit::Code { code } => format!("exit code {code}"),
        Exit::Trap { trap } => {
            let why = match trap {
                Trap::Unreachable => "an instruction that must not be reached (a panic or abort)",
                Trap::OutOfBounds => "memory or a table was read or written out of its bounds",
                Trap::Arithmetic => "a division by zero, or a number that does not fit",
                Trap::IndirectCall => "a call of a function that is not there or has another type",
                Trap::StackOverflow => "the stack overflowed",
                Trap::Other => "the engine stopped it",
            };
            format!("trap: {why}")
        }
        Exit::OutOfFuel => "out of fuel (raise resources.fuel)".to_owned(),
        Exit::OutOfOutput => "out of output bytes (raise resources.output)".to_owned(),
        Exit::Invalid => "the module is not one that the engine can run".to_owned(),
    }
}

#[cfg(test)]
mod tests;
