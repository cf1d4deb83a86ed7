//! Waiting for a job, with what it is waiting for.

use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use rpc::client::JobNews;
use rpc::model::{DisputeView, JobFailure, JobView, VerifierView};
use rpc::{Client, ClientError};
use serde_json::{Value, json};
use types::hash::JobId;
use types::words::counted;

use crate::failure::{CommandFailure, ExitKind};
use crate::submit::failure;
use crate::ui::Ui;

/// Waits until a job is settled; one that failed is a failure with its reason.
pub async fn settled(
    client: &Client,
    job: JobId,
    time_limit: Duration,
    ui: Ui,
) -> Result<JobView, CommandFailure> {
    let progress = ui.spinner("waiting for the job");
    let started = Instant::now();
    let (mut shown, mut is_silent) = (String::new(), false);
    let view = client
        .wait_job(job, time_limit, |news| {
            let (text, over) = match news {
                // A settled job is final together with its receipt.
                JobNews::State(view) => (describe(view), !view.live),
                JobNews::Trouble(error) => (trouble(error), false),
            };
            if matches!(news, JobNews::State(_)) && std::mem::take(&mut is_silent) {
                let url = client.url();
                let object = json!({ "server": url, "answers": true });
                ui.progress(&format!("{url} answers again"), object);
                shown.clear();
            }
            is_silent |= matches!(news, JobNews::Trouble(error) if error.is_silence());
            if text != shown {
                let state = match news {
                    JobNews::State(view) => state(view),
                    JobNews::Trouble(_) => json!({ "job": job, "answers": false }),
                };
                progress.report(&text, state, started.elapsed());
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

/// Where a job stands, for programs.
fn state(view: &JobView) -> Value {
    let count = |has: fn(&VerifierView) -> bool| view.verifiers.iter().filter(|v| has(v)).count();
    json!({
        "job": view.id, "stage": view.stage, "attempt": view.attempt, "primary": view.primary,
        "verifiers": view.verifiers.len(), "committed": count(|verifier| verifier.committed),
        "revealed": count(|verifier| verifier.revealed), "deadline_in_ms": view.deadline_in_ms,
        "answers": true,
    })
}

/// One line on why nothing is known.
fn trouble(error: &ClientError) -> String {
    match error {
        ClientError::Refused { .. } => format!("no server can answer now, trying again: {error}"),
        _ => format!("no server answers, trying again: {error}"),
    }
}

/// One line on a job's stage.
pub fn describe(view: &JobView) -> String {
    let committed = view.verifiers.iter().filter(|verifier| verifier.committed);
    let revealed = view.verifiers.iter().filter(|verifier| verifier.revealed);
    let stage = match (view.primary, &view.dispute) {
        (_, Some(dispute)) => describe_dispute(dispute),
        (Some(primary), _) if view.stage == "assigned" => {
            format!("assigned: partner {primary} runs it")
        }
        _ => describe_stage(
            &view.stage,
            view.verifiers.len(),
            committed.count(),
            revealed.count(),
        ),
    };
    let until = view.deadline_in_ms.map_or(String::new(), |left| {
        let left = Duration::from_secs(left / 1_000);
        format!(", at most {}", HumanDuration(left))
    });
    if view.attempt.0 == 0 {
        format!("{stage}{until}")
    } else {
        format!("{stage}{until} (attempt {})", view.attempt.0 + 1)
    }
}

fn describe_dispute(dispute: &DisputeView) -> String {
    let (task, open) = (dispute.task, dispute.opened.len());
    let voted = dispute.committed.len() + open;
    format!(
        "disputed: results differ, validators run task {task} again: votes: {voted}, of which open: {open}"
    )
}

/// What a stage waits for, with the number of verifiers and of those that have committed and revealed.
fn describe_stage(stage: &str, verifiers: usize, committed: usize, revealed: usize) -> String {
    match stage {
        "pending" => {
            "pending: waiting until validators hold the inputs and a partner is drawn".to_owned()
        }
        "assigned" => "assigned: a partner runs it".to_owned(),
        "announcing" => format!(
            "announcing: the primary has committed, {} announced",
            counted(verifiers, "verifier")
        ),
        "appointing" => format!(
            "appointing: {}, the beacon appoints those that are missing",
            counted(verifiers, "verifier")
        ),
        "verifying" => format!(
            "verifying: committed {committed} of {}",
            counted(verifiers, "verifier")
        ),
        "revealing" => format!(
            "revealing: revealed {revealed} of {}",
            counted(verifiers, "verifier")
        ),
        "disputed" => "disputed: results differ, validators run a task again".to_owned(),
        "storing" => "storing: all results match, validators take them".to_owned(),
        "challenged" => {
            "challenged: a partner says that the settled result is wrong, and is to show what it found".to_owned()
        }
        other => other.to_owned(),
    }
}

/// Refuses a job that is not settled, with the reason and what to do.
pub fn is_settled(view: &JobView) -> Result<(), CommandFailure> {
    if view.receipt.is_some() && view.failure.is_none() {
        return Ok(());
    }
    let Some(reason) = view.failure else {
        let message = format!("job {} is {}, not settled yet", view.id, view.stage);
        return Err(
            CommandFailure::new(ExitKind::NotSettled, "not_settled", message)
                .hint(format!("gridproof job wait {} waits until it is", view.id)),
        );
    };
    let (code, why, hint) = explain(reason);
    let message = format!("job {} failed: {why}", view.id);
    Err(CommandFailure::new(ExitKind::JobFailed, code, message).hint(hint))
}

pub fn explain(reason: JobFailure) -> (&'static str, &'static str, &'static str) {
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
            "drawn partners found that the module cannot be run; it is refunded",
            "gridproof job validate compiles the module as a partner would; check resources.memory too",
        ),
        JobFailure::NoCommitment => (
            "no_commitment",
            "all attempts ended without a result; it is refunded",
            "lower resources.fuel if the deadline is too short for partners, or submit it again",
        ),
        JobFailure::Refuted => (
            "refuted",
            "validators found that the last primary's result is wrong: it lost its bond, and the job is refunded",
            "submit it again: other partners will be drawn",
        ),
        JobFailure::NonCanonical => (
            "non_canonical",
            "validators could not agree on a result of this program, so no job may run it any more; whoever ran it is paid",
            "report the program: the engine gives it more than one result",
        ),
        JobFailure::Unverified => (
            "unverified",
            "too few verifiers answered; the primary is paid since validators or a verifier found what it did, the rest is refunded",
            "submit it again: other verifiers will be drawn",
        ),
        JobFailure::Unopened => (
            "unopened",
            "the primary did not reveal what it had committed to; it is refunded",
            "submit it again: another primary will be drawn",
        ),
        JobFailure::Cancelled => (
            "cancelled",
            "its customer cancelled it; who had worked is paid, the rest is refunded",
            "submit it again if it is wanted after all",
        ),
        JobFailure::Revoked => (
            "revoked",
            "it had settled, and validators found later that its result is wrong: the receipt is revoked",
            "do not use the results; submit it again, other partners will be drawn",
        ),
        JobFailure::NotStored => (
            "not_stored",
            "the results did not reach a quorum of validators in time",
            "submit it again; smaller outputs travel faster",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_live_stage_says_what_is_waited_for() {
        for stage in [
            "pending",
            "assigned",
            "announcing",
            "appointing",
            "verifying",
            "revealing",
            "disputed",
            "storing",
            "challenged",
        ] {
            let text = describe_stage(stage, 3, 2, 1);
            assert!(text.starts_with(&format!("{stage}: ")), "{text}");
        }
        assert_eq!(describe_stage("settled", 0, 0, 0), "settled");
    }
}
