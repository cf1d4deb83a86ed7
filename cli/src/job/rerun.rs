//! `gridproof job rerun`: the tasks of a settled job that failed, as a new job over the same array, each under its own index.
//!
//! A task has one outcome, so the same spec fails in the same way: what is new is the program, an input or a limit, in the
//! spec that is given. The failed tasks are those of the outcomes that the receipt names, proven against the genesis.

use std::path::{Path, PathBuf};

use clap::Args;
use keys::keyfile::KeyKind;
use keys::source::KeySource;
use rpc::model::JobView;
use rpc::{Client, RequestSigner};
use serde_json::json;
use types::job::{JobSpec, TaskSet};
use types::number::Amount;
use types::words::counted;

use super::book::JobBook;
use super::exits::FailedTask;
use super::input::Prepared;
use super::name::JobName;
use super::{exits, fetch, submit, wait};
use crate::failure::{CommandFailure, ExitKind};
use crate::submit::{FeeArgs, RpcArgs};
use crate::trust::TrustArgs;
use crate::ui::Ui;

/// What `gridproof job rerun --help` shows.
pub const HELP: &str = "Examples:
  gridproof job rerun 7f..3a --failed --spec better.yaml --key alice.key --genesis genesis.bin --rpc http://127.0.0.1:26601
  gridproof job rerun 7f..3a --failed --key alice.key --genesis genesis.bin --rpc http://127.0.0.1:26601

The new job has the spec's array, of which it runs the failed tasks alone, each with the index that it had. Its price cap is the
part of the spec's that falls on them. A task has one outcome: with the same program, inputs and limits it fails again.
Without --spec validators must still hold the job's module and inputs.";

/// Which job's tasks are run again, and how.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// The settled job's id, or at least 4 digits that it begins with.
    job: JobName,
    /// Run the tasks that failed: those with another exit than code 0, or with an output that is missing.
    #[arg(long, required = true)]
    failed: bool,
    /// The job spec, YAML, that they are run with; the job's own if it is left out.
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// The account that pays: a key file, env:NAME or fd:NUMBER.
    #[arg(long, value_name = "KEY")]
    key: KeySource,
    /// The most that may be locked for the job, in SQUARE.
    #[arg(long, value_name = "SQUARE")]
    max_cost: Option<Amount>,
    #[command(flatten)]
    fee: FeeArgs,
}

/// Submits the failed tasks of a settled job as a new one.
pub async fn rerun(
    what: &RerunArgs,
    rpc: &RpcArgs,
    trust: &TrustArgs,
    ui: Ui,
) -> Result<(), CommandFailure> {
    let client = rpc.client(ui)?;
    let key = what.key.read_secret(KeyKind::Account, &ui.passphrases())?;
    let view = super::view(&client, &what.job).await?;
    wait::is_settled(&view)?;
    let trusted = trust.resolve(&client, ui).await?;
    let (workload, outcomes) = fetch::outcomes(&client, &trusted.light, &view, ui).await?;
    let failed = exits::failed_tasks(&workload, &outcomes);
    if failed.is_empty() {
        let text = format!("no task of job {} failed: nothing was submitted", view.id);
        ui.result(&json!({ "job": null, "of": view.id, "tasks": [] }), &text);
        return Ok(());
    }
    let indices: Vec<_> = failed.iter().map(FailedTask::task).collect();
    let tasks = TaskSet::named(workload.tasks.array(), &indices)
        .map_err(|error| CommandFailure::new(ExitKind::Other, "tasks", error.to_string()))?;
    let mut prepared = prepared(&view, what.spec.as_deref(), &client, ui).await?;
    narrow(&mut prepared.spec, tasks)?;
    let chain = trusted.light.chain();
    let client = client.signed_by(RequestSigner::new(key.clone(), chain));
    let terms = submit::Terms {
        signing: what.fee.terms(Some(chain)),
        max_cost: what.max_cost,
        again: false,
        book: &JobBook::of_user(),
    };
    let job = submit::submit(&client, &key, &terms, &prepared, ui).await?;
    let text = format!(
        "job {job} runs {} of the {} of job {} again\nfollow it with: gridproof job wait {job} --rpc {rpc}",
        indices.len(),
        counted(workload.tasks.count(), "task"),
        view.id
    );
    let object =
        json!({ "job": job, "of": view.id, "tasks": indices, "genesis": trusted.source() });
    ui.result(&object, &text);
    Ok(())
}

/// The spec that is given with its files, or the job's own, whose files validators must hold.
async fn prepared(
    view: &JobView,
    spec: Option<&Path>,
    client: &Client,
    ui: Ui,
) -> Result<Prepared, CommandFailure> {
    if let Some(spec) = spec {
        return Prepared::read(spec, Some(client), ui).await;
    }
    let (yaml, label) = (
        super::written(view)?,
        format!("the spec of job {}", view.id),
    );
    Prepared::of_text(Path::new(&label), &yaml, Some(client), ui).await
}

/// Leaves some tasks of a spec's array, and the part of the price cap that falls on them, rounded up.
fn narrow(spec: &mut JobSpec, tasks: TaskSet) -> Result<(), CommandFailure> {
    let asked = &spec.workload.tasks;
    if asked.array() != tasks.array() {
        let message = format!(
            "the spec has an array of {}, the job has one of {}",
            counted(asked.array(), "task"),
            tasks.array()
        );
        return Err(
            CommandFailure::new(ExitKind::BadInput, "other_array", message)
                .hint("give tasks.array as the job has it: gridproof job spec shows it"),
        );
    }
    let (all, some) = (u128::from(asked.count().max(1)), u128::from(tasks.count()));
    let cap = spec.price_cap.0;
    // In two parts, so that nothing overflows: whole shares of a task, then what is left of the division.
    let share = (cap / all).saturating_mul(some);
    let rest = (cap % all).saturating_mul(some).div_ceil(all);
    spec.price_cap = Amount(share.saturating_add(rest));
    spec.workload.tasks = tasks;
    Ok(())
}

#[cfg(test)]
mod tests {
    use types::number::TaskIndex;

    use super::*;

    fn spec(tasks: u32, cap: u128) -> JobSpec {
        let mut spec = types::testing::job_spec(types::testing::workload(b"module", tasks));
        spec.price_cap = Amount(cap);
        spec
    }

    #[test]
    fn the_price_cap_is_that_of_the_tasks_that_are_left() {
        let some = TaskSet::named(100, &[TaskIndex(7), TaskIndex(27)]).unwrap();
        for (cap, expected) in [(100, 2), (101, 3), (1, 1), (0, 0)] {
            let mut spec = spec(100, cap);
            narrow(&mut spec, some.clone()).unwrap();
            assert_eq!(spec.price_cap, Amount(expected), "{cap}");
            assert_eq!(spec.workload.tasks, some);
        }
        let mut largest = spec(100, u128::MAX);
        narrow(&mut largest, some).unwrap();
        assert_eq!(largest.price_cap, Amount(u128::MAX / 50 + 1));
    }

    #[test]
    fn another_array_has_other_tasks() {
        let some = TaskSet::named(100, &[TaskIndex(7)]).unwrap();
        let refused = narrow(&mut spec(99, 1), some).unwrap_err();
        assert_eq!(refused.code, "other_array");
    }
}
