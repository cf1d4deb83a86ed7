//! The checks that this partner is bound to and has not committed to: which of them comes first, and whether another one can be
//! done in time beside them.
//!
//! An announcement binds, and silence after it costs a part of the bond. So what counts is the time left for each check and the
//! time that its tasks take at the lowest speed that the class admits, of which the network gives three times as much. A check
//! with less time left begins beside a longer one that has the place: jobs that run for hours keep nobody from checking short
//! ones.

use types::job::{JobRecord, JobTerms, Stage};
use types::number::ChainTime;
use types::params::RUN_FACTOR;

use super::super::duties::left_ms;
use super::super::{Core, ProvenState};
use super::own_assignment;
use crate::assignment::{Assignment, AssignmentRole};

/// How many times as many checks as there are places run at the same time at most, since some have less time left than others.
pub(super) const OVERTAKING: usize = 2;

/// A check that has no result yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueuedCheck {
    pub assignment: Assignment,
    /// Time left for its commitment, in milliseconds of chain time.
    pub left_ms: u64,
    /// Time that its tasks and their inputs take at the lowest admitted speed, in milliseconds.
    pub work_ms: u64,
    /// True if its tasks run now.
    pub runs: bool,
}

/// True if so many places are enough for every check to be done in the time that is left for it.
pub(super) fn all_fit(checks: &[QueuedCheck], places: u16) -> bool {
    checks.iter().enumerate().all(|(at, check)| {
        let earlier = checks
            .iter()
            .enumerate()
            .filter(|(other_at, other)| (other.left_ms, *other_at) < (check.left_ms, at));
        let before: u64 = earlier
            .map(|(_, other)| other.work_ms)
            .fold(0, u64::saturating_add);
        let own = (before / u64::from(places.max(1))).saturating_add(check.work_ms);
        // What overtakes shares the machine with what it overtakes.
        let overtakes = !check.runs && checks.iter().any(|other| is_overtaken(other, check));
        let needed = own.saturating_mul(if overtakes { 2 } else { 1 });
        needed <= check.left_ms
    })
}

/// True if a check that runs has more time left than another one.
pub(super) fn is_overtaken(running: &QueuedCheck, by: &QueuedCheck) -> bool {
    running.runs && running.left_ms > by.left_ms
}

impl Core {
    /// The checks that have no result yet: bound, or announced and not on chain yet.
    pub(super) fn queued_checks(&self, proven: &ProvenState) -> Vec<QueuedCheck> {
        let own = self.identity.address();
        let queued = |record: &JobRecord| {
            let tasks = match (&record.stage, record.stage.verifier(&own)) {
                (Stage::Announcing(_), None) if self.is_announcing(record) => {
                    record.policy.tasks_per_verifier
                }
                (
                    Stage::Announcing(_) | Stage::Appointing(_) | Stage::Verifying(_),
                    Some(verifier),
                ) if verifier.commitment.is_none() => {
                    u32::try_from(verifier.tasks.len()).unwrap_or(u32::MAX)
                }
                _ => return None,
            };
            let check = self.queued_check(proven, record, tasks);
            (!self.commitments.contains_key(&check.assignment)).then_some(check)
        };
        proven.jobs.values().filter_map(queued).collect()
    }

    /// A check of so many tasks of a job.
    pub(super) fn queued_check(
        &self,
        proven: &ProvenState,
        record: &JobRecord,
        tasks: u32,
    ) -> QueuedCheck {
        let assignment = own_assignment(record, AssignmentRole::Verifier);
        let (work_ms, window_ms) = times(proven, &record.terms, tasks);
        let left = |until: ChainTime| left_ms(proven, until);
        let left_ms = match &record.stage {
            Stage::Verifying(verifying) => left(verifying.duties.until),
            // The window to verify follows that to announce.
            Stage::Announcing(_) => record.deadline.map_or(0, left).saturating_add(window_ms),
            _ => window_ms,
        };
        QueuedCheck {
            assignment,
            left_ms,
            work_ms,
            runs: self.running.contains(&assignment),
        }
    }
}

/// What so many tasks of a job take at the lowest admitted speed, and the window that the network gives them, in
/// milliseconds.
// Rule C21.
fn times(proven: &ProvenState, terms: &JobTerms, tasks: u32) -> (u64, u64) {
    let compute = &proven.params.compute;
    let fuel = u128::from(terms.fuel.0).saturating_mul(tasks.into());
    let run = compute.run_window_ms(terms.class, fuel);
    let speed = compute
        .class(terms.class)
        .map_or(1, |class| class.lowest_bytes_per_ms.max(1));
    let transfer = terms.input_bytes.div_ceil(speed);
    let ms = |ms: u128| u64::try_from(ms).unwrap_or(u64::MAX);
    let work_ms = ms(run.div_ceil(RUN_FACTOR)).saturating_add(transfer);
    let window_ms = compute
        .execute_window_ms
        .saturating_add(ms(run))
        .saturating_add(transfer);
    (work_ms, window_ms)
}

#[cfg(test)]
mod tests {
    use types::hash::{Hash32, JobId};
    use types::number::Attempt;

    use super::*;

    fn check(left_ms: u64, work_ms: u64, runs: bool) -> QueuedCheck {
        let assignment = Assignment {
            job: JobId(Hash32([1; 32])),
            attempt: Attempt(0),
            role: AssignmentRole::Verifier,
        };
        QueuedCheck {
            assignment,
            left_ms,
            work_ms,
            runs,
        }
    }

    #[test]
    fn checks_fit_while_each_is_done_in_its_time() {
        let same = |count| vec![check(60, 20, false); count];
        assert!(all_fit(&[], 1));
        assert!(all_fit(&same(3), 1));
        assert!(!all_fit(&same(4), 1));
        assert!(all_fit(&same(5), 2));
        assert!(!all_fit(&same(6), 2));
    }

    #[test]
    fn the_one_with_the_least_time_left_comes_first_whatever_came_first() {
        let long = check(10_000, 3_000, false);
        assert!(all_fit(&[long, check(60, 20, false)], 1));
        assert!(!all_fit(&[long, check(19, 20, false)], 1));
        // Many short ones take the time of the long one.
        let mut all = vec![check(9_000, 100, false); 70];
        assert!(all_fit(&all, 1));
        all.push(long);
        assert!(all_fit(&all, 1));
        all.push(check(9_500, 100, false));
        assert!(!all_fit(&all, 1));
    }

    #[test]
    fn what_overtakes_shares_the_machine() {
        let runs = check(10_000, 3_000, true);
        assert!(all_fit(&[runs, check(40, 20, false)], 1));
        assert!(!all_fit(&[runs, check(39, 20, false)], 1));
        // What has more time left than all that runs waits for a place.
        assert!(all_fit(&[runs, check(10_001, 3_000, false)], 1));
        assert!(!all_fit(&[runs, check(10_001, 7_002, false)], 1));
    }
}
