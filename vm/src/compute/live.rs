//! Which jobs are live, and which of them a block moves on.
//!
//! Nothing here grows with the number of live jobs: they are divided into shards, their windows lie in the buckets of a
//! queue and their draws with the steps of the beacon that they wait for.

use std::collections::BTreeMap;
use std::sync::Arc;

use state::{StateRead, read_as};
use types::account::{LiveIndex, LiveJobs, live_shard};
use types::hash::{Address, JobId};
use types::job::{JobRecord, JobSpec};
use types::limits::{LIVE_SHARDS, MAX_LIVE_JOBS};
use types::number::{Amount, BeaconStep, ChainTime, EngineClass, Epoch, Height};
use types::snapshot::{PartnerPage, page_of};
use types::state_key::{DueQueue, StateKey, program_hash};

use super::JobError;
use crate::draws::{self, Draw};
use crate::{Abort, Context, Corruption, due};

/// A window of a live job as the queue of windows has it: the job, and the height of the block in which it opened.
type JobWindow = (JobId, Height);

/// A job's record in any state.
pub fn job(state: &dyn StateRead, id: &JobId) -> Result<Option<JobRecord>, Abort> {
    Ok(read_as(state, &StateKey::Job(*id))?)
}

/// The spec of a job whose record is in state.
pub fn spec(state: &dyn StateRead, id: &JobId) -> Result<JobSpec, Abort> {
    read_as(state, &StateKey::JobSpec(*id))?.ok_or_else(|| Corruption::JobWithoutSpec(*id).into())
}

/// The refusal if the job's program is banned.
// Rule C66.
pub(super) fn banned(state: &dyn StateRead, spec: &JobSpec) -> Result<Option<JobError>, Abort> {
    let (class, module) = (spec.workload.class, spec.workload.module);
    let since = read_as(state, &StateKey::Banned(program_hash(class, module)))?;
    Ok(since.map(|since| JobError::ProgramBanned { class, since }))
}

/// The live jobs in any state, ascending. It reads all shards: nothing that a block does needs it.
pub fn live_jobs(state: &dyn StateRead) -> Result<Vec<JobId>, Abort> {
    let mut all = Vec::new();
    for number in (0u8..).take(LIVE_SHARDS) {
        all.extend(shard(state, number)?.into_keys());
    }
    all.sort_unstable();
    Ok(all)
}

fn shard(state: &dyn StateRead, number: u8) -> Result<LiveJobs, Abort> {
    Ok(read_as(state, &StateKey::LiveJobs(number))?.unwrap_or_default())
}

/// Number of live jobs of a customer.
pub(crate) fn of_customer(state: &dyn StateRead, customer: &Address) -> Result<u32, Abort> {
    Ok(read_as(state, &StateKey::CustomerJobs(*customer))?.unwrap_or_default())
}

/// The refusal if as many jobs are live, or as many of one customer's, as may be.
// Rule C12.
pub(super) fn full(
    state: &dyn StateRead,
    live: u32,
    customer: Option<&Address>,
    max_of_customer: u16,
) -> Result<Option<JobError>, Abort> {
    if usize::try_from(live).unwrap_or(usize::MAX) >= MAX_LIVE_JOBS {
        return Ok(Some(JobError::TooManyJobs(MAX_LIVE_JOBS)));
    }
    let own = customer.map_or(Ok(0), |customer| of_customer(state, customer))?;
    Ok((own >= u32::from(max_of_customer))
        .then_some(JobError::TooManyJobsOfCustomer(max_of_customer)))
}

/// The jobs that may move on in this block, those first that have been ready the longest: their draw's beacon is there, or
/// their window is over, at most `max` of each kind.
// Rule C24.
pub(super) fn ready(context: &mut Context<'_>, max: usize) -> Result<Vec<JobId>, Abort> {
    // The beacon moves with the blocks: they come at the fast pace while a job waits for it.
    context.changed |= context.chain.draws > 0;
    let windows =
        due::due::<JobWindow>(context, DueQueue::Windows, max, |context, (_, opened)| {
            context.may_close(*opened)
        })?;
    let mut since = BTreeMap::<JobId, ChainTime>::new();
    let windows = windows.into_iter().map(|(at, (job, _))| (at, job));
    let mut draws = draws::ready(context, max)?;
    draws.sort_unstable();
    draws.truncate(max);
    for (at, job) in windows.chain(draws) {
        let first = since.entry(job).or_insert(at);
        *first = at.min(*first);
    }
    // A job that is left for a later block comes before every job that gets ready later.
    let mut ready: Vec<_> = since.into_iter().map(|(job, at)| (at, job)).collect();
    ready.sort_unstable();
    Ok(ready.into_iter().map(|(_, job)| job).collect())
}

/// True if the job's window is over.
// Rule C22.
pub(super) fn is_over(context: &Context<'_>, record: &JobRecord) -> bool {
    let reached = record
        .deadline
        .is_some_and(|deadline| deadline <= context.chain_time);
    reached && context.may_close(record.opened)
}

/// The draw that the job waits for and its step, if that step of the beacon is over.
pub(super) fn drawn(
    context: &Context<'_>,
    record: &JobRecord,
) -> Result<Option<(BeaconStep, Draw)>, Abort> {
    let Some(step) = record.draw.filter(|step| *step <= context.beacon.step) else {
        return Ok(None);
    };
    let job = record.id;
    let draws = draws::draws(&context.overlay, step)?;
    let draw = draws.get(&job).ok_or(Corruption::NoDraw { job, step })?;
    Ok(Some((step, *draw)))
}

/// The bonds of a class in an epoch's snapshot together, without that of `except`, which takes no part in the sortition on its own
/// work.
// Rule C35.
pub(super) fn class_bond(
    context: &mut Context<'_>,
    epoch: Epoch,
    class: EngineClass,
    except: &Address,
) -> Result<Amount, Abort> {
    let page = page(context, epoch, except)?;
    let own = page.partner(except).filter(|entry| entry.runs(class));
    let all = context.index_of(epoch)?.class_bond(class);
    Ok(all.saturating_sub(own.map_or(Amount::ZERO, |entry| entry.bond)))
}

/// The page of an address in an epoch's snapshot, empty if that is not kept any more.
// Rule C36.
pub(super) fn page(
    context: &mut Context<'_>,
    epoch: Epoch,
    address: &Address,
) -> Result<Arc<PartnerPage>, Abort> {
    let (index, number) = (context.index_of(epoch)?, page_of(address));
    match index.version(number) {
        Some(version) => context.seen_page(number, version.since),
        None => Ok(Arc::default()),
    }
}

/// Takes a job out of the queues in which it waits.
pub(super) fn stop_waiting(context: &mut Context<'_>, job: &JobRecord<()>) -> Result<(), Abort> {
    if let Some(at) = job.deadline
        && !due::remove(context, DueQueue::Windows, at, (job.id, job.opened))?
    {
        return Err(Corruption::NotDue { job: job.id, at }.into());
    }
    if let Some(step) = job.draw {
        draws::remove(context, step, job.id)?;
    }
    Ok(())
}

/// Takes a job out of the queue for a place, if it is in it.
pub(super) fn leave_queue(context: &mut Context<'_>, job: &mut JobRecord<()>) -> Result<(), Abort> {
    if let Some(at) = job.queued.take()
        && !due::remove(context, DueQueue::Places, at, job.id)?
    {
        return Err(Corruption::NotDue { job: job.id, at }.into());
    }
    Ok(())
}

/// Puts a job's window into the queue; gives the deadline.
pub(super) fn await_window(
    context: &mut Context<'_>,
    job: JobId,
    window_ms: u64,
) -> Result<ChainTime, Abort> {
    let at = context.chain_time.saturating_add(window_ms);
    let opened = context.height;
    due::insert(context, DueQueue::Windows, at, (job, opened))
}

/// Notes that a live job's record changed in this block.
// Rule C56.
pub(super) fn touch(context: &mut Context<'_>, job: JobId) -> Result<(), Abort> {
    change_shard(context, &job, |jobs, height| {
        jobs.insert(job, height);
    })
}

/// Adds a new job to those that are live.
pub(super) fn insert(
    context: &mut Context<'_>,
    job: JobId,
    customer: &Address,
) -> Result<(), Abort> {
    let own = of_customer(&context.overlay, customer)?;
    let key = StateKey::CustomerJobs(*customer);
    context.overlay.put(key, &own.saturating_add(1));
    context.chain.live_jobs = context.chain.live_jobs.saturating_add(1);
    touch(context, job)
}

/// Takes a job that ended from those that are live.
pub(super) fn remove(
    context: &mut Context<'_>,
    job: JobId,
    customer: &Address,
) -> Result<(), Abort> {
    let key = StateKey::CustomerJobs(*customer);
    match of_customer(&context.overlay, customer)?.checked_sub(1) {
        None => return Err(Corruption::JobNotLive(job).into()),
        Some(0) => context.overlay.delete(key),
        Some(left) => context.overlay.put(key, &left),
    }
    let live = context.chain.live_jobs.checked_sub(1);
    context.chain.live_jobs = live.ok_or(Corruption::JobNotLive(job))?;
    change_shard(context, &job, |jobs, _| {
        jobs.remove(&job);
    })
}

fn change_shard(
    context: &mut Context<'_>,
    job: &JobId,
    change: impl FnOnce(&mut LiveJobs, Height),
) -> Result<(), Abort> {
    let number = live_shard(job);
    let mut jobs = shard(&context.overlay, number)?;
    change(&mut jobs, context.height);
    let key = StateKey::LiveJobs(number);
    if jobs.is_empty() {
        context.overlay.delete(key);
    } else {
        context.overlay.put(key, &jobs);
    }
    let mut index: LiveIndex = context
        .overlay
        .get(&StateKey::LiveIndex)?
        .unwrap_or_default();
    if let Some(changed) = index.0.get_mut(usize::from(number))
        && *changed != context.height
    {
        *changed = context.height;
        context.overlay.put(StateKey::LiveIndex, &index);
    }
    Ok(())
}
