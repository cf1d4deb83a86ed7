//! Waiting for a job, with what it is waiting for.

use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use rpc::client::JobNews;
use rpc::model::{DisputeView, JobAwaits, JobFailure, JobView, VerifierView};
use rpc::{Client, ClientError};
use serde_json::{Value, json};
use types::hash::{Address, JobId};
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
        "job": view.id, "stage": view.stage, "awaits": view.awaits, "attempt": view.attempt, "primary": view.primary,
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
    let counts = VerifierCounts {
        bound: view.verifiers.len(),
        committed: committed.count(),
        revealed: revealed.count(),
    };
    let stage = match (&view.dispute, view.awaits) {
        (Some(dispute), _) => describe_dispute(dispute),
        (None, Some(awaits)) => format!(
            "{}: {}",
            view.stage,
            what_it_awaits(awaits, view.primary, counts)
        ),
        // A server of before says the stage alone, as one does of a job that ended.
        (None, None) => view.stage.clone(),
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

/// How many verifiers there are, have committed and have revealed.
#[derive(Debug, Clone, Copy)]
struct VerifierCounts {
    bound: usize,
    committed: usize,
    revealed: usize,
}

/// What a job waits for, in words.
fn what_it_awaits(
    awaits: JobAwaits,
    primary: Option<Address>,
    verifiers: VerifierCounts,
) -> String {
    let VerifierCounts {
        bound,
        committed,
        revealed,
    } = verifiers;
    let all = counted(bound, "verifier");
    let partner = primary.map_or_else(|| "a partner".to_owned(), |one| format!("partner {one}"));
    match awaits {
        JobAwaits::Inputs => "waiting until validators hold the inputs".to_owned(),
        JobAwaits::Draw => "the inputs are there, the beacon is to draw a partner".to_owned(),
        JobAwaits::Place => {
            "queued: no partner that fits has a place and enough free bond now".to_owned()
        }
        JobAwaits::Acknowledgement => format!("{partner} was drawn, and is to take it"),
        JobAwaits::Commitment => format!("{partner} runs it"),
        JobAwaits::States => {
            format!("{partner} has run it, validators fetch the states of the chain")
        }
        JobAwaits::Sortition => {
            "the primary has committed, the beacon is to say who may verify".to_owned()
        }
        JobAwaits::Announcements => format!("the primary has committed, {all} announced"),
        JobAwaits::Appointment => format!("{all}, the beacon appoints those that are missing"),
        JobAwaits::VerifierCommitments => format!("committed {committed} of {all}"),
        JobAwaits::Opening => format!("the primary is to reveal, then {all}"),
        JobAwaits::VerifierOpenings => format!("revealed {revealed} of {all}"),
        JobAwaits::Referees | JobAwaits::Votes | JobAwaits::VoteOpenings => {
            "results differ, validators run a task again".to_owned()
        }
        JobAwaits::Results => "all results match, validators take them".to_owned(),
        JobAwaits::Contradiction => {
            "a partner says that the settled result is wrong, and is to show what it found"
                .to_owned()
        }
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
    fn what_looks_alike_by_its_stage_is_told_apart() {
        let primary = Some(Address([7; 20]));
        let text = |awaits| {
            let counts = VerifierCounts {
                bound: 3,
                committed: 2,
                revealed: 1,
            };
            what_it_awaits(awaits, primary, counts)
        };
        let says = [
            (JobAwaits::Inputs, "hold the inputs"),
            (JobAwaits::Draw, "is to draw"),
            (JobAwaits::Place, "queued"),
            (JobAwaits::Acknowledgement, "is to take it"),
            (JobAwaits::Commitment, "runs it"),
            (JobAwaits::States, "states of the chain"),
            (JobAwaits::Sortition, "who may verify"),
            (JobAwaits::Announcements, "3 verifiers announced"),
            (JobAwaits::Appointment, "appoints"),
            (JobAwaits::VerifierCommitments, "committed 2 of 3 verifiers"),
            (JobAwaits::Opening, "the primary is to reveal"),
            (JobAwaits::VerifierOpenings, "revealed 1 of 3 verifiers"),
            (JobAwaits::Votes, "results differ"),
            (JobAwaits::Results, "all results match"),
            (JobAwaits::Contradiction, "settled result is wrong"),
        ];
        for (awaits, words) in says {
            let text = text(awaits);
            assert!(text.contains(words), "{text}");
            let others = says.iter().filter(|(other, _)| *other != awaits);
            assert!(
                !others.clone().any(|(_, words)| text.contains(words)),
                "{text}"
            );
        }
    }
}
