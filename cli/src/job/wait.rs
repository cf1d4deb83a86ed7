//! Waiting for a job, with what it is waiting for.

use std::time::Duration;

use rpc::client::JobNews;
use rpc::model::{JobFailure, JobView};
use rpc::{Client, ClientError};
use types::hash::JobId;

use crate::failure::{ExitKind, Failure};
use crate::submit::failure;
use crate::ui::Ui;

/// Waits until a job is settled; one that failed is a failure with its reason.
pub async fn settled(
    client: &Client,
    job: JobId,
    patience: Duration,
    ui: Ui,
) -> Result<JobView, Failure> {
    let progress = ui.spinner("waiting for the job");
    let mut shown = String::new();
    let view = client
        .wait_job(job, patience, |news| {
            let (text, over) = match news {
                // A settled job is final together with its receipt.
                JobNews::State(view) => (describe(view), !view.live),
                JobNews::Trouble(error) => (trouble(error), false),
            };
            if text != shown {
                progress.message(&text);
                shown = text;
            }
            over
        })
        .await;
    progress.finish();
    let view = view.map_err(|error| {
        let hint = format!(
            "the job goes on: gridproof job wait {job}; if it is settled, gridproof job fetch {job}"
        );
        failure(error).hint(hint)
    })?;
    is_settled(&view)?;
    Ok(view)
}

/// One line on why nothing is known.
fn trouble(error: &ClientError) -> String {
    match error {
        ClientError::Refused { .. } => format!("server cannot answer now, retrying: {error}"),
        _ => format!("server unreachable, retrying: {error}"),
    }
}

/// One line on a job's stage.
fn describe(view: &JobView) -> String {
    let sealed = view
        .verifiers
        .iter()
        .filter(|verifier| verifier.committed)
        .count();
    let opened = view
        .verifiers
        .iter()
        .filter(|verifier| verifier.revealed)
        .count();
    let verifiers = view.verifiers.len();
    let stage = match view.stage.as_str() {
        "open" => {
            "open: waiting until validators hold the inputs and a partner is drawn".to_owned()
        }
        "assigned" => format!(
            "assigned: partner {} runs it",
            view.primary.map_or_else(String::new, |p| p.to_string())
        ),
        "committed" => {
            format!("committed: the result is sealed, {verifiers} verifiers announced themselves")
        }
        "announced" => {
            format!("announced: {verifiers} verifiers, the beacon draws those that are missing")
        }
        "verifying" => {
            format!("verifying: {sealed} of {verifiers} verifiers have sealed their claims")
        }
        "revealed" => {
            format!("revealed: {opened} of {verifiers} verifiers have opened their claims")
        }
        "agreed" => "agreed: all claims match, validators take the results".to_owned(),
        other => other.to_owned(),
    };
    if view.attempt.0 == 0 {
        stage
    } else {
        format!("{stage} (attempt {})", view.attempt.0 + 1)
    }
}

/// Refuses a job that is not settled, with the reason and what to do.
pub fn is_settled(view: &JobView) -> Result<(), Failure> {
    if view.receipt.is_some() {
        return Ok(());
    }
    let Some(reason) = view.failure else {
        let message = format!("job {} is {}, not settled yet", view.id, view.stage);
        return Err(Failure::new(ExitKind::TimedOut, "not_settled", message)
            .hint("gridproof job wait")
            .retryable());
    };
    let (code, why, hint) = explain(reason);
    let message = format!("job {} failed: {why}", view.id);
    Err(Failure::new(ExitKind::JobFailed, code, message).hint(hint))
}

fn explain(reason: JobFailure) -> (&'static str, &'static str, &'static str) {
    match reason {
        JobFailure::NoInputs => (
            "no_inputs",
            "its inputs did not reach a quorum of validators in time; it is refunded",
            "submit it again and stay connected until the inputs are uploaded",
        ),
        JobFailure::NoPartner => (
            "no_partner",
            "no partner that fits was free in time; it is refunded",
            "gridproof job estimate shows who could run it and why others could not",
        ),
        JobFailure::Unrunnable => (
            "unrunnable",
            "drawn partners found that the module cannot be run; the customer pays the fee",
            "gridproof job validate compiles the module as a partner would; check resources.memory too",
        ),
        JobFailure::NoCommitment => (
            "no_commitment",
            "all attempts ended without a result; it is refunded",
            "lower resources.fuel if the deadline is too short for partners, or submit it again",
        ),
        JobFailure::Unresolved => (
            "unresolved",
            "the claims of the parties differ, so at least one of them is wrong; it is refunded and nobody is paid",
            "submit it again: other partners will be drawn",
        ),
        JobFailure::Unverified => (
            "unverified",
            "two rounds of verifiers stayed silent; the primary is paid, the rest is refunded",
            "submit it again: other verifiers will be drawn",
        ),
        JobFailure::Unopened => (
            "unopened",
            "the primary did not open what it had sealed; it is refunded",
            "submit it again: another primary will be drawn",
        ),
        JobFailure::NotStored => (
            "not_stored",
            "the results did not reach a quorum of validators in time",
            "submit it again; smaller outputs travel faster",
        ),
    }
}
