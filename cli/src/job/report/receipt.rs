//! What is said of a receipt.

use light::StandingReceipt;
use serde_json::{Value, json};
use types::job::{JobReceipt, Policy};
use types::number::Amount;
use types::words::counted;

use super::seconds;
use crate::job::fixed::decimal;

/// What the customer paid, all together.
pub fn cost(receipt: &JobReceipt) -> Amount {
    Amount::sum([receipt.price, receipt.verification_paid, receipt.burned])
        .unwrap_or(Amount(u128::MAX))
}

/// Who checked. Several verifiers may run one task, so the runs are not a share of the tasks.
fn checked_line(verifiers: usize, runs: u32, tasks: u32, paid: Amount) -> String {
    format!(
        " checked by {}, in {} of a job of {}, for {paid} SQUARE",
        counted(verifiers, "verifier"),
        counted(runs, "run"),
        counted(tasks, "task")
    )
}

/// What a receipt says, in lines: who paid, ran and checked it, what was at stake, and how it is proven.
pub fn receipt_lines(proven: &StandingReceipt) -> Vec<String> {
    let receipt = &proven.receipt;
    let mut lines = vec![
        format!(" paid by    {}", receipt.customer),
        format!(
            " ran it     {} for {} SQUARE, with {} fuel",
            receipt.primary, receipt.price, receipt.fuel
        ),
        checked_line(
            receipt.verifiers.len(),
            receipt.tasks_rerun,
            receipt.tasks.count(),
            receipt.verification_paid,
        ),
    ];
    for verifier in &receipt.verifiers {
        let how = if verifier.appointed {
            "appointed by the beacon"
        } else {
            "selected by sortition"
        };
        lines.push(format!(
            "            {} ({}, {how})",
            verifier.partner,
            counted(verifier.tasks, "task")
        ));
    }
    let at_risk = (receipt.value_at_risk, receipt.task_value_at_risk);
    lines.extend(stake_lines(&receipt.policy, at_risk));
    lines.push(format!(
        " cost       {} SQUARE, of which {} burned for storage and fees",
        cost(receipt),
        receipt.burned
    ));
    lines.push(format!(
        " proof      block {} of {}, finalized by stake {}",
        proven.header.height, proven.header.chain_id, proven.signed_stake
    ));
    lines.push(standing_line(proven));
    lines
}

/// What the primary would have lost, and how surely a wrong task would have been found.
fn stake_lines(policy: &Policy, (result, task): (Amount, Amount)) -> [String; 2] {
    [
        format!(
            " at stake   {} SQUARE of the primary's bond; a wrong result could cost {result} SQUARE, one wrong task {task}",
            policy.bond
        ),
        format!(
            " certainty  one wrong task would be found with probability {} (q), since each task is run {} times more (x)",
            decimal(policy.detection.0),
            decimal(policy.expected_checks.0)
        ),
    ]
}

/// As of when a receipt stands, and until when it can be revoked.
pub fn standing(proven: &StandingReceipt) -> Value {
    let standing = &proven.standing;
    json!({
        "height": standing.height, "chain_time": standing.chain_time,
        "revocable_until": proven.receipt.revocable_until, "final": standing.is_final,
    })
}

fn standing_line(proven: &StandingReceipt) -> String {
    let standing = &proven.standing;
    if standing.is_final {
        return format!(
            " stands     for good: nobody could challenge it any more at height {}",
            standing.height
        );
    }
    let left = proven
        .receipt
        .revocable_until
        .0
        .saturating_sub(standing.chain_time.0);
    format!(
        " stands     as of height {}; it can be challenged for {} of chain time from there on: fetch it anew after that",
        standing.height,
        seconds(left)
    )
}

#[cfg(test)]
mod tests {
    use types::number::SQUARE;

    use super::*;

    #[test]
    fn more_runs_than_tasks_are_no_share_of_them() {
        let line = checked_line(4, 8, 4, Amount(0));
        assert!(!line.contains("8 of 4"), "{line}");
        assert!(line.contains("8 runs of a job of 4 tasks"), "{line}");
    }

    #[test]
    fn a_receipt_says_what_was_at_stake_and_how_surely_it_was_checked() {
        let mut policy = crate::job::fake::policy();
        policy.bond = Amount(7 * SQUARE.0);
        let [stake, certainty] = stake_lines(&policy, (SQUARE, Amount(SQUARE.0 / 4)));
        assert!(stake.contains(" 7 SQUARE of the primary's bond"), "{stake}");
        assert!(
            stake.ends_with("cost 1 SQUARE, one wrong task 0.25"),
            "{stake}"
        );
        assert!(certainty.contains("probability 0.500 (q)"), "{certainty}");
    }
}
