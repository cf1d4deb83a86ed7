//! Shares of verdicts: they are paid out by themselves when the appeal window is over, long after the duty has ended.

use serde::{Deserialize, Serialize};
use types::hash::JobId;
use types::number::Timestamp;

use super::{BookedState, LedgerEntry};
use crate::core::ProvenState;

/// How much later than reckoned a share may be seen at least, in milliseconds.
const SLACK_MS: u64 = 5_000;
/// And for windows that are longer, which part of them: chain time falls behind the timestamps of blocks where these come late.
const SLACK_PART: u64 = 16;

/// A share of a verdict that may be due to the partner, in a job in which it had a part and lost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedShare {
    /// The job.
    pub job: JobId,
    /// Timestamp at which it is paid out at the earliest: the verdict came after the look before, and chain time never gains on
    /// timestamps.
    pub from: Timestamp,
    /// Timestamp by which it is paid out.
    pub to: Timestamp,
}

/// The shares that are awaited after a look: those of before that are not paid out yet, and those of verdicts that came since.
pub(super) fn awaited(
    before: &BookedState,
    after: &BookedState,
    proven: &ProvenState,
    entries: &[LedgerEntry],
) -> Vec<AwaitedShare> {
    let mut all: Vec<_> = before.shares.clone();
    for entry in entries.iter().filter(|entry| entry.share_of_verdict) {
        // What came is awaited no more; another verdict on the same job has a share of its own.
        let paid = all.iter().position(|share| Some(share.job) == entry.job);
        paid.map(|at| all.remove(at));
    }
    all.retain(|share| share.to >= after.time);
    let window_ms = proven.params.compute.appeal_window_ms;
    let late_ms = SLACK_MS.saturating_add(window_ms / SLACK_PART);
    let paid_out = |at: Timestamp, ms: u64| Timestamp(at.0.saturating_add(ms));
    let decided = before.duties.iter().filter(|duty| {
        let is_new = duty.ended.is_none();
        is_new && duty.has_verdict(proven.jobs.get(&duty.job))
    });
    let new = decided.map(|duty| AwaitedShare {
        job: duty.job,
        from: paid_out(before.time, window_ms),
        to: paid_out(after.time, window_ms.saturating_add(late_ms)),
    });
    let has_lost = |job: JobId| {
        let mut lost = entries.iter().filter(|entry| entry.cause.is_some());
        lost.any(|entry| entry.job == Some(job))
    };
    all.extend(new.filter(|share| !has_lost(share.job)));
    all
}

/// The jobs whose shares were due between two looks, each once.
pub(super) fn due(before: &BookedState, after: &BookedState) -> Vec<JobId> {
    let all = before.shares.iter();
    let due = all.filter(|share| share.from <= after.time && share.to >= before.time);
    let mut jobs: Vec<_> = due.map(|share| share.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    jobs
}
