//! What is said of a job: for people as lines, for programs as JSON.

mod receipt;

use std::path::Path;
use std::time::Duration;

use indicatif::HumanDuration;
use light::StandingReceipt;
use rpc::model::{
    EstimateView, JobFailure, JobReceiptView, JobView, PolicyView, StageEntryView, WorkloadView,
};
use serde_json::{Value, json};
use types::attestation::unblinded_root;
use types::job::{JobSpec, TaskSet};
use types::number::Amount;
use types::words::counted;

use super::exits::{self, ShownExits};
use super::fixed::decimal;
use super::input::Prepared;
use super::verify::VerifiedFolder;
use receipt::{cost, receipt_lines, standing};

/// How many tasks there are, and of how many.
fn tasks_in_words(tasks: &TaskSet) -> String {
    let count = tasks.count();
    if tasks.is_whole() {
        return count.to_string();
    }
    format!("{count} of an array of {}", tasks.array())
}

/// A spec that is valid.
pub fn prepared(prepared: &Prepared) -> (Value, String) {
    let (spec, workload) = (&prepared.spec, &prepared.spec.workload);
    let shown = WorkloadView::from(workload);
    let object = json!({
        "name": spec.name, "workload": workload.id(), "module": workload.module, "tasks": workload.tasks.count(),
        "inputs": shown.inputs, "outputs": shown.outputs, "price_cap": spec.price_cap,
    });
    let text = format!(
        "the spec is valid\n workload  {}\n tasks     {}\n module    {} ({} bytes)\n inputs    {}\n price     at most {} SQUARE",
        workload.id(),
        tasks_in_words(&workload.tasks),
        workload.module.hash,
        workload.module.length,
        workload.inputs.len(),
        spec.price_cap,
    );
    (object, text)
}

/// What a job would cost.
pub fn estimate(spec: &JobSpec, estimate: &EstimateView) -> (Value, String) {
    let amount = |amount: Option<Amount>| {
        amount.map_or_else(|| "-".to_owned(), |amount| format!("{amount} SQUARE"))
    };
    let mut lines = vec![format!("job {}", spec.name)];
    if let (Some(policy), Some(escrow)) = (&estimate.policy, &estimate.escrow) {
        if let Some((execution, checks)) = likely(estimate) {
            lines.push(format!(
                " likely paid {} SQUARE: execution {execution}, checks {checks}; storage, fees and rent by use on top",
                sum(execution, checks)
            ));
        }
        lines.push(format!(
            " locked      {}, of which what is not used comes back",
            amount(estimate.total)
        ));
        lines.push(format!(
            "  execution  {} SQUARE, of which partners ask for {} or more",
            escrow.execution,
            amount(estimate.lowest_price)
        ));
        lines.push(format!("  checks     {} SQUARE", escrow.verification));
        lines.push(format!(
            "  storage    {} SQUARE, fees {} SQUARE, rent for the longest time {} SQUARE",
            escrow.storage, escrow.fees, escrow.rent
        ));
        lines.extend(estimate.opening_fee.map(|fee| {
            format!("   opening   {fee} SQUARE of the storage is burned at once; the rest is for results, as far as they take room")
        }));
        lines.push(format!(
            "  referees   {} SQUARE, of use only in a dispute",
            escrow.referees
        ));
        lines.extend(policy_lines(policy, spec.verification.confidence_ppm));
    }
    lines.extend(estimate.longest_ms.map(|longest| {
        let longest = Duration::from_secs(longest / 1_000);
        format!(
            " at longest  {} of chain time with all waits and attempts",
            HumanDuration(longest)
        )
    }));
    lines.push(format!(
        " could run   {} now",
        counted(estimate.eligible, "partner")
    ));
    for exclusion in &estimate.exclusions {
        lines.push(format!(
            "  not        {}: {}",
            counted(exclusion.partners, "partner"),
            exclusion.reason
        ));
    }
    (json!(estimate), lines.join("\n"))
}

fn policy_lines(policy: &PolicyView, confidence_ppm: u32) -> Vec<String> {
    let mut lines = vec![
        format!(
            " checked by  {} verifiers in expectation (mu), at least {}, {} tasks each (k)",
            decimal(policy.expected_verifiers.0),
            policy.min_verifiers,
            policy.tasks_per_verifier
        ),
        format!(
            " so that     each task is run {} times more (x), one wrong task is found with probability {} (q)",
            decimal(policy.expected_checks.0),
            decimal(policy.detection.0)
        ),
        format!(" at stake    {} SQUARE of the primary's bond", policy.bond),
    ];
    if confidence_ppm > 0 {
        let digits = format!("{confidence_ppm:06}");
        let digits = digits.trim_end_matches('0');
        lines.insert(
            2,
            format!(" asked for   a probability of at least 0.{digits} (verification.confidence)"),
        );
    }
    lines
}

/// Whose genesis it was verified against, for people.
fn genesis_line(source: &str) -> &'static str {
    match source {
        "given" => " genesis    the one that was given",
        _ => " genesis    the endpoint's own: give --genesis so that nobody's word is taken",
    }
}

/// Where a job stands, or how it ended.
pub fn status(view: &JobView, exits: Option<&ShownExits>) -> (Value, String) {
    let mut object = json!(view);
    let mut lines = vec![
        format!("job {} ({})", view.id, view.name),
        format!(" stage      {}", view.stage),
    ];
    if view.live {
        lines.push(format!(" now        {}", super::wait::describe(view)));
    }
    lines.extend(
        view.failure
            .map(|why| format!(" reason     {}", reason(why))),
    );
    lines.push(format!(" attempt    {}", view.attempt.0 + 1));
    lines.extend(party_lines(view));
    lines.extend(
        view.deadline_in_ms
            .filter(|_| view.live)
            .map(|left| format!(" deadline   in {} of chain time", seconds(left))),
    );
    match view.refunded {
        None => lines.push(format!(" locked     {} SQUARE", view.locked)),
        Some(refunded) => {
            let cost = view.locked.saturating_sub(refunded);
            object["cost"] = json!(cost);
            lines.push(format!(
                " cost       {cost} SQUARE of {} that were locked, {refunded} came back",
                view.locked
            ));
        }
    }
    if let Some(exits) = exits {
        object["failed_tasks"] = exits::objects(&exits.failed);
        lines.extend(exits::lines(exits.tasks, &exits.failed));
    }
    lines.extend(phase_lines(&view.history));
    (object, lines.join("\n"))
}

/// Who runs and checks a job and why it was they, who is out, and how often referees decided.
fn party_lines(view: &JobView) -> Vec<String> {
    let drawn = "drawn by the beacon, by bond and price, of those that fit and were free";
    let primary = view.primary;
    let primary = primary.map(|primary| format!(" primary    {primary} ({drawn})"));
    let mut lines: Vec<_> = primary.into_iter().collect();
    for verifier in &view.verifiers {
        let how = if verifier.appointed {
            "appointed by the beacon"
        } else {
            "selected by sortition"
        };
        let tasks = counted(verifier.tasks, "task");
        lines.push(format!(" verifier   {} ({tasks}, {how})", verifier.partner));
    }
    lines.extend(view.no_results.iter().map(|partner| {
        format!(" no result  {partner} was to verify and found none, for want of time or memory")
    }));
    let others = view.excluded.iter();
    let others = others.filter(|partner| !view.no_results.contains(partner));
    lines.extend(others.map(|partner| {
        format!(
            " excluded   {partner}: primary of an earlier attempt, or a verifier that was silent or found no result"
        )
    }));
    if view.verdicts > 0 {
        let verdicts = counted(view.verdicts, "verdict");
        lines.push(format!(" referees   {verdicts} on its results"));
    }
    lines
}

/// Why a job failed, in words.
pub fn reason(why: JobFailure) -> &'static str {
    super::wait::explain(why).1
}

/// What a job will cost, before it is submitted.
pub fn cost_line(estimate: &EstimateView) -> String {
    let locked = estimate.total.unwrap_or_default();
    match likely(estimate) {
        Some((execution, checks)) => {
            let likely = sum(execution, checks);
            format!(
                "it locks {locked} SQUARE; about {likely} will be paid (execution from {execution}, checks {checks}) and what storage, \
                 fees and rent use; the rest comes back"
            )
        }
        None => format!("it locks {locked} SQUARE; what is not used comes back"),
    }
}

fn sum(one: Amount, other: Amount) -> Amount {
    one.checked_add(other).unwrap_or(Amount(u128::MAX))
}

/// The lowest price of execution, and what verifiers get in expectation: at least the smallest number of them.
fn likely(estimate: &EstimateView) -> Option<(Amount, Amount)> {
    let policy = estimate.policy.as_ref()?;
    let expected = policy
        .expected_verifiers
        .0
        .max(u128::from(policy.min_verifiers) << 64);
    // The fee in units of 2^-32, so that the product fits.
    let fee = policy.verifier_fee.0.checked_mul(expected >> 32)? >> 32;
    Some((estimate.lowest_price?, Amount(fee)))
}

/// A receipt that was verified offline, without the results that it settles.
pub fn verified_receipt(proven: &StandingReceipt, genesis: &str) -> (Value, String) {
    let receipt = &proven.receipt;
    let object = json!({
        "verified": true, "genesis": genesis, "receipt": JobReceiptView::from(receipt),
        "standing": standing(proven), "cost": cost(receipt),
        "files": null,
    });
    let mut lines = vec![
        "the receipt is verified; results were not looked at (--outputs)".to_owned(),
        format!(
            " settles    job {} of {}",
            receipt.job,
            counted(receipt.tasks.count(), "task")
        ),
        format!(
            "            workload {}, outcomes {}",
            receipt.workload, receipt.outcomes.hash
        ),
    ];
    lines.extend(receipt_lines(proven));
    lines.push(genesis_line(genesis).to_owned());
    (object, lines.join("\n"))
}

/// A job that was verified offline.
pub fn verified(folder: &VerifiedFolder, genesis: &str) -> (Value, String) {
    let proven = &folder.job.proven;
    let (tasks, failed) = (folder.tasks(), folder.failed_tasks());
    let object = json!({
        "verified": true, "genesis": genesis, "receipt": JobReceiptView::from(&proven.receipt), "standing": standing(proven),
        "cost": cost(&proven.receipt), "files": folder.job.files, "failed_tasks": exits::objects(&failed),
    });
    let mut lines = vec!["verified".to_owned()];
    lines.extend(receipt_lines(proven));
    lines.extend(exits::lines(tasks, &failed));
    lines.push(genesis_line(genesis).to_owned());
    (object, lines.join("\n"))
}

/// A job that was run, fetched and verified.
pub fn finished(
    view: &JobView,
    folder: &VerifiedFolder,
    genesis: &str,
    out: &Path,
) -> (Value, String) {
    let proven = &folder.job.proven;
    let receipt = &proven.receipt;
    let (outcomes, failed) = (&folder.job.outcomes, folder.failed_tasks());
    // Two runs of one workload share it, whoever ran them and whatever salt they chose.
    let unblinded = unblinded_root(&outcomes.leaves(&folder.workload));
    let object = json!({
        "job": receipt.job, "unblinded_root": unblinded, "stage": view.stage, "verified": true,
        "genesis": genesis, "out": out, "receipt": JobReceiptView::from(receipt),
        "standing": standing(proven), "cost": cost(receipt), "phases": phases(&view.history), "files": folder.job.files,
        "exits": outcomes.0.iter().map(|outcome| exits::object(outcome.exit)).collect::<Vec<_>>(),
        "failed_tasks": exits::objects(&failed),
    });
    let mut lines = vec![format!("job {} is settled and verified", receipt.job)];
    lines.extend(receipt_lines(proven));
    lines.extend(exits::lines(folder.tasks(), &failed));
    lines.push(genesis_line(genesis).to_owned());
    lines.extend(phase_lines(&view.history));
    lines.push(format!(
        " results    {} in {}",
        counted(folder.job.files, "file"),
        out.display()
    ));
    (object, lines.join("\n"))
}

/// How long each stage took: until the next was entered.
fn phases(history: &[StageEntryView]) -> Vec<Value> {
    history
        .windows(2)
        .map(|pair| {
            let milliseconds = pair[1].time.0.saturating_sub(pair[0].time.0);
            json!({ "stage": pair[0].stage, "attempt": pair[0].attempt, "milliseconds": milliseconds, "height": pair[0].height })
        })
        .collect()
}

fn phase_lines(history: &[StageEntryView]) -> Vec<String> {
    let mut lines: Vec<_> = history
        .windows(2)
        .map(|pair| {
            let took = pair[1].time.0.saturating_sub(pair[0].time.0);
            format!(
                " phase      {:<10} {:>9}   from block {}",
                pair[0].stage,
                seconds(took),
                pair[0].height
            )
        })
        .collect();
    if let (Some(first), Some(last)) = (history.first(), history.last()) {
        lines.push(format!(
            " in all     {:>20}",
            seconds(last.time.0.saturating_sub(first.time.0))
        ));
    }
    lines
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03} s", milliseconds / 1_000, milliseconds % 1_000)
}

#[cfg(test)]
mod tests {
    use types::hash::{Address, JobId};
    use types::job::{Pending, Stage};
    use types::number::{Attempt, ChainTime, Height, Timestamp};

    use super::*;

    #[test]
    fn an_estimate_says_what_confidence_was_asked_for() {
        let policy = PolicyView::from(&super::super::fake::policy());
        assert!(
            policy_lines(&policy, 950_000)
                .iter()
                .any(|line| line.contains("at least 0.95 (verification.confidence)"))
        );
        assert!(
            !policy_lines(&policy, 0)
                .iter()
                .any(|line| line.contains("confidence"))
        );
    }

    #[test]
    fn a_status_tells_what_it_waits_for_who_is_out_and_how_often_referees_decided() {
        let spec = types::testing::job_spec(types::testing::workload(b"module", 1));
        let stage = Stage::Pending(Pending::default());
        let mut record = types::testing::job_record(JobId::default(), &spec, stage);
        (record.queued, record.verdicts) = (Some(ChainTime(9)), 1);
        record.excluded = vec![Address([7; 20])];
        let view = JobView::new(&record, &spec, None, ChainTime(1), Height(9));
        let (object, text) = status(&view, None);
        assert_eq!(object["awaits"], "place");
        for says in [
            "now        pending: queued",
            "excluded   0707070707070707070707070707070707070707: primary of an earlier",
            "referees   1 verdict on its results",
        ] {
            assert!(text.contains(says), "no {says:?} in {text}");
        }
    }

    #[test]
    fn whose_genesis_it_was_is_said() {
        assert!(
            genesis_line("endpoint").contains("--genesis")
                && genesis_line("given").contains("given")
        );
    }

    #[test]
    fn phases_last_until_the_next_stage() {
        let entry = |stage: &str, time| StageEntryView {
            stage: stage.into(),
            attempt: Attempt(0),
            height: Height(time),
            time: Timestamp(time),
        };
        let history = [
            entry("pending", 1_000),
            entry("assigned", 1_250),
            entry("settled", 4_000),
        ];
        let lines = phase_lines(&history);
        assert!(
            lines[0].contains("pending") && lines[0].contains("0.250 s"),
            "{lines:?}"
        );
        assert!(
            lines[1].contains("assigned") && lines[1].contains("2.750 s"),
            "{lines:?}"
        );
        assert!(lines[2].contains("3.000 s"), "{lines:?}");
        assert_eq!(phases(&history).len(), 2);
    }
}
