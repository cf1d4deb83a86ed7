//! Which jobs are live, and when each must be looked at next, so that a block touches only the jobs that are due.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use state::{StateRead, read_as};
use types::account::LiveJobs;
use types::hash::JobId;
use types::job::JobRecord;
use types::limits::{MAX_LIVE_JOBS, MAX_STATE_VALUE_BYTES};
use types::number::{BeaconStep, ChainTime, Height};
use types::state_key::StateKey;

use super::JobError;
use crate::{Context, Fault};

/// Bytes of one entry of [`JobsDue`].
const ENTRY_BYTES: usize = 32 + 8 + 8 + 9;
const _: () = assert!(MAX_LIVE_JOBS * ENTRY_BYTES + 4 <= MAX_STATE_VALUE_BYTES, "the entries of all jobs fit a value");

/// When a job's window closes and what it draws at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Due {
    /// The chain time after which the stage ends by itself.
    pub deadline: ChainTime,
    /// The block that opened the window.
    pub opened: Height,
    /// The beacon step that draws for the job, if it waits for one.
    pub draw: Option<BeaconStep>,
}

/// When each live job must be looked at next, under `StateKey::JobsDue`.
pub type JobsDue = BTreeMap<JobId, Due>;

/// The live jobs in any state, ascending.
pub fn live_jobs(state: &dyn StateRead) -> Result<LiveJobs, Fault> {
    Ok(read_as(state, &StateKey::LiveJobs)?.unwrap_or_default())
}

/// A job's record in any state.
pub fn job(state: &dyn StateRead, id: &JobId) -> Result<Option<JobRecord>, Fault> {
    Ok(read_as(state, &StateKey::Job(*id))?)
}

/// The refusal if as many jobs are live as there may be.
pub(super) fn full(jobs: &LiveJobs) -> Option<JobError> {
    (jobs.len() >= MAX_LIVE_JOBS).then_some(JobError::TooManyJobs(MAX_LIVE_JOBS))
}

pub(super) fn jobs_due(context: &Context<'_>) -> Result<JobsDue, Fault> {
    Ok(context.overlay.get(&StateKey::JobsDue)?.unwrap_or_default())
}

/// Notes when a job must be looked at next; its window opens in this block.
pub(super) fn set_due(
    context: &mut Context<'_>,
    id: JobId,
    deadline: ChainTime,
    draw: Option<BeaconStep>,
) -> Result<(), Fault> {
    let mut due = jobs_due(context)?;
    due.insert(id, Due { deadline, opened: context.height, draw });
    context.overlay.put(StateKey::JobsDue, &due);
    Ok(())
}

/// Moves a job's draw to another step, without touching its window.
pub(super) fn set_draw(context: &mut Context<'_>, id: &JobId, draw: BeaconStep) -> Result<(), Fault> {
    let mut due = jobs_due(context)?;
    due.get_mut(id).ok_or(Fault::Broken("a live job that is not due"))?.draw = Some(draw);
    context.overlay.put(StateKey::JobsDue, &due);
    Ok(())
}

pub(super) fn insert(context: &mut Context<'_>, id: JobId) -> Result<(), Fault> {
    let mut jobs = live_jobs(&context.overlay)?;
    let Err(place) = jobs.binary_search(&id) else { return Err(Fault::Broken("a job is live twice")) };
    jobs.insert(place, id);
    context.overlay.put(StateKey::LiveJobs, &jobs);
    Ok(())
}

pub(super) fn remove(context: &mut Context<'_>, id: &JobId) -> Result<(), Fault> {
    let mut jobs = live_jobs(&context.overlay)?;
    let place = jobs.binary_search(id).map_err(|_| Fault::Broken("a job that ended was not live"))?;
    jobs.remove(place);
    context.overlay.put(StateKey::LiveJobs, &jobs);
    let mut due = jobs_due(context)?;
    due.remove(id);
    context.overlay.put(StateKey::JobsDue, &due);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_jobs_are_live_as_the_limit_says() {
        let mut jobs = vec![JobId::default(); MAX_LIVE_JOBS - 1];
        assert_eq!(full(&jobs), None);
        jobs.push(JobId::default());
        assert_eq!(full(&jobs), Some(JobError::TooManyJobs(MAX_LIVE_JOBS)));
    }

    #[test]
    fn an_entry_takes_the_bytes_that_are_counted() {
        let due = Due { deadline: ChainTime(1), opened: Height(2), draw: Some(BeaconStep(3)) };
        let bytes = types::codec::encode(&JobsDue::from([(JobId::default(), due)]));
        assert_eq!(bytes.len(), ENTRY_BYTES + 4);
    }
}
