//! Shares of verdicts: they are paid out by themselves when the appeal window is over, long after the duty has ended.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::hash::JobId;
use types::number::ChainTime;

use super::{BookedState, LedgerEntry};
use crate::core::ProvenState;

/// How much later than reckoned a share may be seen, in milliseconds: chain time is known a little too late or too early.
const SLACK_MS: u64 = 5_000;

/// A share of a verdict that may be due to the partner, in a job in which it had a part and lost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedShare {
    /// The job.
    pub job: JobId,
    /// Chain time at which it is paid out at the earliest: the verdict came after the look before.
    pub from: ChainTime,
    /// Chain time by which it is paid out.
    pub to: ChainTime,
}

impl AwaitedShare {
    /// True until it must have been seen.
    fn is_open(&self, now: ChainTime) -> bool {
        self.to.0.saturating_add(SLACK_MS) >= now.0
    }
}

/// The shares that are awaited after a look: those of before that are not paid out yet, and those of verdicts that came since.
pub(super) fn awaited(
    before: &BookedState,
    after: &BookedState,
    proven: &ProvenState,
    entries: &[LedgerEntry],
) -> Vec<AwaitedShare> {
    let window_ms = proven.params.compute.appeal_window_ms;
    let paid_out = |at: ChainTime| ChainTime(at.0.saturating_add(window_ms));
    let decided = before
        .duties
        .iter()
        .filter(|duty| duty.ended.is_none() && duty.has_verdict(proven.jobs.get(&duty.job)));
    let new = decided.map(|duty| AwaitedShare {
        job: duty.job,
        from: paid_out(before.chain_time),
        to: paid_out(after.chain_time),
    });
    let old = before.shares.iter().copied();
    let open = old.filter(|share| share.is_open(after.chain_time));
    // Who lost has no share, and what came is awaited no more.
    let is_settled = |entry: &&LedgerEntry| entry.cause.is_some() || entry.share_of_verdict;
    let settled: BTreeSet<_> = entries.iter().filter(is_settled).map(|e| e.job).collect();
    open.chain(new)
        .filter(|share| !settled.contains(&Some(share.job)))
        .collect()
}

/// The jobs whose shares were due between two looks.
pub(super) fn due(before: &BookedState, after: &BookedState) -> Vec<JobId> {
    let all = before.shares.iter();
    let due =
        all.filter(|share| share.from <= after.chain_time && share.is_open(before.chain_time));
    due.map(|share| share.job).collect()
}
