//! Which jobs are live, and when each must be looked at next, so that a block touches only the jobs that are due.
//!
//! The end hook looks at many jobs in one block: what it needs of all of them is read once, before the first, and
//! written once, after the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use state::{StateRead, read_as};
use types::account::{LiveJobs, PartnerSnapshot};
use types::hash::{Address, JobId};
use types::job::JobRecord;
use types::limits::{MAX_LIVE_JOBS, MAX_STATE_VALUE_BYTES};
use types::number::{BeaconStep, ChainTime, Epoch, Height};
use types::state_key::StateKey;

use super::JobError;
use crate::{Context, Fault};

/// Bytes of one entry of [`JobsDue`].
const ENTRY_BYTES: usize = 32 + 20 + 8 + 8 + 1 + 24;
const _: () = assert!(
    MAX_LIVE_JOBS * ENTRY_BYTES + 4 <= MAX_STATE_VALUE_BYTES,
    "the entries of all jobs fit a value"
);

/// A draw that a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Draw {
    /// The beacon step that draws.
    pub step: BeaconStep,
    /// The epoch in which the draw was fixed: whom it weighs, and how, is what counted then.
    pub epoch: Epoch,
    /// The chain time at which it was fixed.
    pub since: ChainTime,
}

/// When a job's window closes and what it draws at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Due {
    /// Whose job it is.
    pub customer: Address,
    /// The chain time after which the stage ends by itself.
    pub deadline: ChainTime,
    /// The block that opened the window.
    pub opened: Height,
    /// The draw that the job waits for, if it waits for one.
    pub draw: Option<Draw>,
}

/// When each live job must be looked at next, under `StateKey::JobsDue`.
pub type JobsDue = BTreeMap<JobId, Due>;

/// What the end hook holds of all jobs while it runs.
#[derive(Debug)]
pub(crate) struct Loaded {
    jobs: LiveJobs,
    due: JobsDue,
    changed: bool,
    counted: BTreeMap<Epoch, Arc<PartnerSnapshot>>,
}

/// The live jobs in any state, ascending.
pub fn live_jobs(state: &dyn StateRead) -> Result<LiveJobs, Fault> {
    Ok(read_as(state, &StateKey::LiveJobs)?.unwrap_or_default())
}

/// When each live job is due, in any state.
pub fn jobs_due(state: &dyn StateRead) -> Result<JobsDue, Fault> {
    Ok(read_as(state, &StateKey::JobsDue)?.unwrap_or_default())
}

/// A job's record in any state.
pub fn job(state: &dyn StateRead, id: &JobId) -> Result<Option<JobRecord>, Fault> {
    Ok(read_as(state, &StateKey::Job(*id))?)
}

/// The refusal if as many jobs are live, or as many of one customer's, as there may be.
pub(super) fn full(
    due: &JobsDue,
    customer: Option<&Address>,
    max_of_customer: u16,
) -> Option<JobError> {
    if due.len() >= MAX_LIVE_JOBS {
        return Some(JobError::TooManyJobs(MAX_LIVE_JOBS));
    }
    let own = due
        .values()
        .filter(|due| Some(&due.customer) == customer)
        .count();
    (own >= usize::from(max_of_customer))
        .then_some(JobError::TooManyJobsOfCustomer(max_of_customer))
}

/// Reads what the end hook needs of all jobs; [`finish`] writes it back. Nothing fails in between but on a fault.
pub(super) fn begin(context: &mut Context<'_>) -> Result<(), Fault> {
    let (jobs, due) = (live_jobs(&context.overlay)?, jobs_due(&context.overlay)?);
    context.loaded = Some(Loaded {
        jobs,
        due,
        changed: false,
        counted: BTreeMap::new(),
    });
    Ok(())
}

/// Writes back what [`begin`] read, if it changed.
pub(super) fn finish(context: &mut Context<'_>) {
    if let Some(loaded) = context.loaded.take().filter(|loaded| loaded.changed) {
        context.overlay.put(StateKey::LiveJobs, &loaded.jobs);
        context.overlay.put(StateKey::JobsDue, &loaded.due);
    }
}

/// The jobs that are due in this block, oldest first and at most `most`; notes if one waits for a draw.
pub(super) fn due_now(context: &mut Context<'_>, most: usize) -> Vec<(JobId, Due)> {
    let Some(loaded) = &context.loaded else {
        return Vec::new();
    };
    let (mut now, mut waiting) = (Vec::new(), false);
    for (id, due) in &loaded.due {
        waiting |= due.draw.is_some();
        let over = due.is_over(context).then_some(due.deadline);
        let drawn = due.drawn(context).map(|draw| draw.since);
        now.extend(
            over.into_iter()
                .chain(drawn)
                .min()
                .map(|since| (since, *id, *due)),
        );
    }
    // Who is passed over now comes before everybody who becomes due later.
    now.sort_unstable_by_key(|(since, id, _)| (*since, *id));
    now.truncate(most);
    // The beacon moves with the blocks: they come at the fast pace while a job waits for it.
    context.changed |= waiting;
    now.into_iter().map(|(_, id, due)| (id, due)).collect()
}

impl Due {
    /// True if the window is over.
    pub(super) fn is_over(&self, context: &Context<'_>) -> bool {
        self.deadline <= context.chain_time && context.may_close(self.opened)
    }

    /// The draw, if its beacon is there.
    pub(super) fn drawn(&self, context: &Context<'_>) -> Option<Draw> {
        self.draw.filter(|draw| draw.step <= context.beacon.step)
    }
}

/// What counted of partners in an epoch; the end hook reads it once for all jobs.
pub(super) fn counted(
    context: &mut Context<'_>,
    epoch: Epoch,
) -> Result<Arc<PartnerSnapshot>, Fault> {
    if let Some(counted) = context
        .loaded
        .as_ref()
        .and_then(|loaded| loaded.counted.get(&epoch))
    {
        return Ok(Arc::clone(counted));
    }
    let counted = Arc::new(context.snapshot(epoch)?.unwrap_or_default());
    if let Some(loaded) = &mut context.loaded {
        loaded.counted.insert(epoch, Arc::clone(&counted));
    }
    Ok(counted)
}

/// Changes when jobs are due.
fn change<T>(
    context: &mut Context<'_>,
    change: impl FnOnce(&mut JobsDue) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if let Some(loaded) = &mut context.loaded {
        loaded.changed = true;
        return change(&mut loaded.due);
    }
    let mut due = jobs_due(&context.overlay)?;
    let result = change(&mut due)?;
    context.overlay.put(StateKey::JobsDue, &due);
    Ok(result)
}

fn fixed_now(context: &Context<'_>, step: BeaconStep) -> Draw {
    Draw {
        step,
        epoch: context.epoch,
        since: context.chain_time,
    }
}

/// Notes when a job must be looked at next; its window opens in this block.
pub(super) fn set_due(
    context: &mut Context<'_>,
    record: &JobRecord,
    deadline: ChainTime,
    draw: Option<BeaconStep>,
) -> Result<(), Fault> {
    let draw = draw.map(|step| fixed_now(context, step));
    let due = Due {
        customer: record.customer,
        deadline,
        opened: context.height,
        draw,
    };
    change(context, |all| {
        all.insert(record.id, due);
        Ok(())
    })
}

/// Moves a job's draw to another step, without touching its window.
pub(super) fn set_draw(
    context: &mut Context<'_>,
    id: &JobId,
    step: BeaconStep,
) -> Result<(), Fault> {
    let draw = Some(fixed_now(context, step));
    change(context, |all| {
        all.get_mut(id)
            .ok_or(Fault::Broken("a live job that is not due"))?
            .draw = draw;
        Ok(())
    })
}

/// Adds a new job to those that are live.
pub(super) fn insert(context: &mut Context<'_>, id: JobId) -> Result<(), Fault> {
    let mut jobs = live_jobs(&context.overlay)?;
    let Err(place) = jobs.binary_search(&id) else {
        return Err(Fault::Broken("a job is live twice"));
    };
    jobs.insert(place, id);
    context.overlay.put(StateKey::LiveJobs, &jobs);
    Ok(())
}

/// Takes a job that ended from those that are live.
pub(super) fn remove(context: &mut Context<'_>, id: &JobId) -> Result<(), Fault> {
    const NOT_LIVE: Fault = Fault::Broken("a job that ended was not live");
    if let Some(loaded) = &mut context.loaded {
        loaded
            .jobs
            .remove(loaded.jobs.binary_search(id).map_err(|_| NOT_LIVE)?);
    } else {
        let mut jobs = live_jobs(&context.overlay)?;
        jobs.remove(jobs.binary_search(id).map_err(|_| NOT_LIVE)?);
        context.overlay.put(StateKey::LiveJobs, &jobs);
    }
    change(context, |due| due.remove(id).map(|_| ()).ok_or(NOT_LIVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(customer: u8) -> Due {
        let draw = Some(Draw {
            step: BeaconStep(3),
            epoch: Epoch(4),
            since: ChainTime(5),
        });
        Due {
            customer: Address([customer; 20]),
            deadline: ChainTime(1),
            opened: Height(2),
            draw,
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
        let mut jobs: JobsDue = (0..MAX_LIVE_JOBS - 1).map(|n| (id(n), due(1))).collect();
        assert_eq!(full(&jobs, None, 1), None);
        assert_eq!(full(&jobs, Some(&Address([2; 20])), 1), None);
        assert_eq!(
            full(&jobs, Some(&Address([1; 20])), 9),
            Some(JobError::TooManyJobsOfCustomer(9))
        );
        jobs.insert(id(MAX_LIVE_JOBS), due(2));
        assert_eq!(
            full(&jobs, None, 1),
            Some(JobError::TooManyJobs(MAX_LIVE_JOBS))
        );
    }

    #[test]
    fn an_entry_takes_the_bytes_that_are_counted() {
        let bytes = types::codec::encode(&JobsDue::from([(JobId::default(), due(1))]));
        assert_eq!(bytes.len(), ENTRY_BYTES + 4);
    }
}
