//! Which jobs are live, and which of them a block moves on.
//!
//! The end hook looks at many jobs in one block: what it needs of all of them is read once, before the first, and
//! written once, after the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use state::{StateRead, read_as};
use types::account::PartnerSnapshot;
use types::hash::{Address, JobId};
use types::job::JobRecord;
use types::limits::MAX_LIVE_JOBS;
use types::number::{BeaconStep, Epoch};
use types::state_key::StateKey;

use super::JobError;
use crate::deadlines::{Draw, JobDeadline, JobDeadlines, LoadedJobs, job_deadlines, live_jobs};
use crate::{Abort, Context, Corruption};

/// A job's record in any state.
pub fn job(state: &dyn StateRead, id: &JobId) -> Result<Option<JobRecord>, Abort> {
    Ok(read_as(state, &StateKey::Job(*id))?)
}

/// The refusal if as many jobs are live, or as many of one customer's, as may be.
// Rule C12.
pub(super) fn full(
    deadlines: &JobDeadlines,
    customer: Option<&Address>,
    max_of_customer: u16,
) -> Option<JobError> {
    if deadlines.len() >= MAX_LIVE_JOBS {
        return Some(JobError::TooManyJobs(MAX_LIVE_JOBS));
    }
    let own = deadlines
        .values()
        .filter(|entry| Some(&entry.customer) == customer)
        .count();
    (own >= usize::from(max_of_customer))
        .then_some(JobError::TooManyJobsOfCustomer(max_of_customer))
}

/// Reads what the end hook needs of all jobs; [`finish`] writes it back. Nothing in between fails but by an abort.
pub(super) fn begin(context: &mut Context<'_>) -> Result<(), Abort> {
    let (live, deadlines) = (
        live_jobs(&context.overlay)?,
        job_deadlines(&context.overlay)?,
    );
    context.loaded = Some(LoadedJobs {
        live,
        deadlines,
        changed: false,
        snapshots: BTreeMap::new(),
    });
    Ok(())
}

/// Writes back what [`begin`] read, if it changed.
pub(super) fn finish(context: &mut Context<'_>) {
    if let Some(loaded) = context.loaded.take().filter(|loaded| loaded.changed) {
        context.overlay.put(StateKey::LiveJobs, &loaded.live);
        context
            .overlay
            .put(StateKey::JobDeadlines, &loaded.deadlines);
    }
}

/// The jobs that move on in this block, oldest first and at most `max`: their draw's beacon is there, or their window is
/// over. Notes if a job waits for a draw.
// Rule C24.
pub(super) fn ready(context: &mut Context<'_>, max: usize) -> Vec<(JobId, JobDeadline)> {
    let Some(loaded) = &context.loaded else {
        return Vec::new();
    };
    let (mut ready, mut waiting) = (Vec::new(), false);
    for (id, entry) in &loaded.deadlines {
        waiting |= entry.draw.is_some();
        let over = entry.deadline.filter(|_| is_over(context, entry));
        let drawn = drawn(context, entry).map(|draw| draw.since);
        let since = over.into_iter().chain(drawn).min();
        ready.extend(since.map(|since| (since, *id, *entry)));
    }
    // A job that is left for a later block comes before every job that gets ready later.
    ready.sort_unstable_by_key(|(since, id, _)| (*since, *id));
    ready.truncate(max);
    // The beacon moves with the blocks: they come at the fast pace while a job waits for it.
    context.changed |= waiting;
    ready
        .into_iter()
        .map(|(_, id, entry)| (id, entry))
        .collect()
}

/// True if the job's window is over.
// Rule C22.
pub(super) fn is_over(context: &Context<'_>, entry: &JobDeadline) -> bool {
    let reached = entry
        .deadline
        .is_some_and(|deadline| deadline <= context.chain_time);
    reached && context.may_close(entry.opened)
}

/// The draw that the job waits for, if its beacon step is over.
pub(super) fn drawn(context: &Context<'_>, entry: &JobDeadline) -> Option<Draw> {
    entry.draw.filter(|draw| draw.step <= context.beacon.step)
}

/// Refuses an entry that does not say the same as the job's record.
pub(super) fn check(record: &JobRecord, entry: &JobDeadline) -> Result<(), Corruption> {
    let agrees = !record.stage.is_final()
        && record.deadline == entry.deadline
        && record.stage.draw() == entry.draw.map(|draw| draw.step);
    agrees
        .then_some(())
        .ok_or(Corruption::DeadlineMismatch(record.id))
}

/// The snapshot of an epoch, empty if it is not kept any more; the end hook reads it once for all jobs.
// Rules C28, C36.
pub(super) fn snapshot(
    context: &mut Context<'_>,
    epoch: Epoch,
) -> Result<Arc<PartnerSnapshot>, Abort> {
    let loaded = context.loaded.as_ref();
    if let Some(snapshot) = loaded.and_then(|loaded| loaded.snapshots.get(&epoch)) {
        return Ok(Arc::clone(snapshot));
    }
    let snapshot = Arc::new(context.snapshot(epoch)?.unwrap_or_default());
    if let Some(loaded) = &mut context.loaded {
        loaded.snapshots.insert(epoch, Arc::clone(&snapshot));
    }
    Ok(snapshot)
}

/// Changes the index of deadlines, in the end hook or in an action.
fn change<T>(
    context: &mut Context<'_>,
    change: impl FnOnce(&mut JobDeadlines) -> Result<T, Abort>,
) -> Result<T, Abort> {
    if let Some(loaded) = &mut context.loaded {
        loaded.changed = true;
        return change(&mut loaded.deadlines);
    }
    let mut deadlines = job_deadlines(&context.overlay)?;
    let result = change(&mut deadlines)?;
    context.overlay.put(StateKey::JobDeadlines, &deadlines);
    Ok(result)
}

/// A draw that is fixed in this block.
// Rule C28.
fn fixed_now(context: &Context<'_>, step: BeaconStep) -> Draw {
    Draw {
        step,
        epoch: context.epoch,
        since: context.chain_time,
    }
}

/// Takes a live job's deadline and draw over from its record; its window opens in this block.
pub(super) fn set(context: &mut Context<'_>, record: &JobRecord) -> Result<(), Abort> {
    let entry = JobDeadline {
        customer: record.customer,
        deadline: record.deadline,
        opened: context.height,
        draw: record.stage.draw().map(|step| fixed_now(context, step)),
    };
    change(context, |all| {
        all.insert(record.id, entry);
        Ok(())
    })
}

/// Moves a job's draw to another step, without touching its window.
pub(super) fn set_draw(
    context: &mut Context<'_>,
    id: &JobId,
    step: BeaconStep,
) -> Result<(), Abort> {
    let draw = Some(fixed_now(context, step));
    change(context, |all| {
        all.get_mut(id).ok_or(Corruption::JobNotLive(*id))?.draw = draw;
        Ok(())
    })
}

/// Adds a new job to those that are live.
pub(super) fn insert(context: &mut Context<'_>, id: JobId) -> Result<(), Abort> {
    let mut live = live_jobs(&context.overlay)?;
    let Err(at) = live.binary_search(&id) else {
        return Err(Corruption::JobExists(id).into());
    };
    live.insert(at, id);
    context.overlay.put(StateKey::LiveJobs, &live);
    Ok(())
}

/// Takes a job that ended from those that are live.
pub(super) fn remove(context: &mut Context<'_>, id: &JobId) -> Result<(), Abort> {
    let not_live = Corruption::JobNotLive(*id);
    if let Some(loaded) = &mut context.loaded {
        let at = loaded.live.binary_search(id).map_err(|_| not_live)?;
        loaded.live.remove(at);
    } else {
        let mut live = live_jobs(&context.overlay)?;
        live.remove(live.binary_search(id).map_err(|_| not_live)?);
        context.overlay.put(StateKey::LiveJobs, &live);
    }
    change(context, |all| {
        all.remove(id).map(|_| ()).ok_or(not_live.into())
    })
}

#[cfg(test)]
mod tests {
    use types::number::{ChainTime, Height};

    use super::*;

    fn entry(customer: u8) -> JobDeadline {
        JobDeadline {
            customer: Address([customer; 20]),
            deadline: Some(ChainTime(1)),
            opened: Height(2),
            draw: None,
        }
    }

    fn id(n: usize) -> JobId {
        JobId(types::hash::Hash32::of(
            types::hash::Domain::JOB,
            &u64::try_from(n).unwrap(),
        ))
    }

    #[test]
    fn as_many_jobs_are_live_as_the_limits_say() {
        let mut jobs: JobDeadlines = (0..MAX_LIVE_JOBS - 1).map(|n| (id(n), entry(1))).collect();
        assert_eq!(full(&jobs, None, 1), None);
        assert_eq!(full(&jobs, Some(&Address([2; 20])), 1), None);
        assert_eq!(
            full(&jobs, Some(&Address([1; 20])), 9),
            Some(JobError::TooManyJobsOfCustomer(9))
        );
        jobs.insert(id(MAX_LIVE_JOBS), entry(2));
        assert_eq!(
            full(&jobs, None, 1),
            Some(JobError::TooManyJobs(MAX_LIVE_JOBS))
        );
    }
}
