//! The queue for a place: jobs for which a draw found nobody free wait in it, the longest first, and draw again when an
//! attempt ends, or after a while by themselves. So a job that waits costs nothing but its place in the queue.

use types::job::{JobTerms, Pending, Stage};
use types::limits::{MAX_LIVE_JOBS, MAX_MOVED_PER_BLOCK};
use types::params::ComputeParams;
use types::state_key::DueQueue;

use super::record::{Job, save};
use super::{JobError, live};
use crate::{Abort, ChainRecord, Context, Corruption, draws, due};

/// Jobs that draw when a place is free: not each may fit the partner.
const DRAWS_PER_PLACE: usize = 4;
/// A job in the queue draws again by itself so many times in a network's open window: bonds come free without an attempt's
/// end too, and partners register.
const DRAWS_PER_WINDOW: u64 = 8;
/// Milliseconds of chain time between two draws that jobs of the queue fix by themselves, all of them together: each draw changes
/// records that partners read, however many jobs wait.
const BETWEEN_DRAWS_MS: u64 = 64;
/// Attempts over which the mean of their time is taken.
const MEAN_OVER: u64 = 16;

/// How long a job may wait for a place, in milliseconds of chain time.
// Rule C68.
pub(super) fn patience_ms(params: &ComputeParams, terms: &JobTerms) -> u64 {
    terms.max_wait_ms.max(params.open_window_ms)
}

/// The refusal of a job that would wait longer than it may, behind those that are live, for one of so many places.
// Rule C68.
pub(super) fn too_long(
    params: &ComputeParams,
    terms: &JobTerms,
    now: &ChainRecord,
    places: u64,
) -> Option<JobError> {
    let ahead = u64::from(now.live_jobs)
        .saturating_add(1)
        .saturating_sub(places);
    let expected_ms = ahead.saturating_mul(now.attempt_ms).div_ceil(places.max(1));
    let patience_ms = patience_ms(params, terms);
    (expected_ms > patience_ms).then(|| JobError::QueueTooLong {
        expected_ms,
        patience_ms,
        again_ms: expected_ms - patience_ms,
    })
}

/// Counts an attempt that begins.
pub(super) fn attempt_began(context: &mut Context<'_>) {
    context.chain.running_jobs = context.chain.running_jobs.saturating_add(1);
}

/// Counts an attempt that ended after so many milliseconds: its place is free.
pub(super) fn attempt_ended(context: &mut Context<'_>, ms: u64) {
    let chain = &mut context.chain;
    chain.running_jobs = chain.running_jobs.saturating_sub(1);
    let others = chain.attempt_ms.saturating_mul(MEAN_OVER - 1);
    chain.attempt_ms = others.saturating_add(ms) / MEAN_OVER;
    context.freed_places = context.freed_places.saturating_add(1);
    context.draw_work.full.clear();
}

/// How long a job waits in the queue until it draws by itself, while so many are live.
// Rule C68.
fn retry_ms(params: &ComputeParams, live_jobs: u64) -> u64 {
    let of_window = params.open_window_ms.div_ceil(DRAWS_PER_WINDOW);
    of_window.max(live_jobs.saturating_mul(BETWEEN_DRAWS_MS))
}

/// Puts a job into the queue whose draw found nobody; its window stays.
// Rules C31, C68.
pub(super) fn queue(context: &mut Context<'_>, mut job: Job) -> Result<(), Abort> {
    if let Some(step) = job.draw.take() {
        draws::remove(context, step, job.id)?;
    }
    let live = u64::from(context.chain.live_jobs);
    let retry_ms = retry_ms(&context.rules.params.compute, live);
    let at = context.chain_time.saturating_add(retry_ms);
    job.queued = Some(due::insert(context, DueQueue::Places, at, job.id)?);
    save(
        context,
        &job.with_stage(Stage::Pending(Pending { draw: None })),
    )
}

/// Jobs that the queue holds at most: those that are live and have no attempt under way.
fn most_queued(context: &Context<'_>) -> usize {
    let chain = &context.chain;
    let waiting = chain.live_jobs.saturating_sub(chain.running_jobs);
    usize::try_from(waiting).unwrap_or(usize::MAX)
}

/// Has those draw again that have waited long enough, and for each place that came free a few of those that would be next.
// Rule C68.
pub(super) fn wake(context: &mut Context<'_>) -> Result<(), Abort> {
    let freed = std::mem::take(&mut context.freed_places);
    let by_place = freed
        .saturating_mul(DRAWS_PER_PLACE)
        .min(MAX_MOVED_PER_BLOCK)
        .min(most_queued(context));
    let all = due::due(context, DueQueue::Places, MAX_MOVED_PER_BLOCK, |_, _| true)?;
    let mut woken: Vec<_> = all.into_iter().map(|(_, job)| job).collect();
    if woken.len() < by_place {
        // Those too that came when the most jobs were live.
        let most = u64::try_from(MAX_LIVE_JOBS).unwrap_or(u64::MAX);
        let longest_ms = retry_ms(&context.rules.params.compute, most);
        let until = context.chain_time.saturating_add(longest_ms);
        let all = due::due_until(context, DueQueue::Places, until, by_place, |_, _| true)?;
        woken = all.into_iter().map(|(_, job)| job).collect();
    }
    for id in woken {
        let record =
            live::job(&context.overlay, &id)?.ok_or(Corruption::LiveJobWithoutRecord(id))?;
        let (mut job, _) = record.split();
        live::leave_queue(context, &mut job)?;
        let step = context.draw_step();
        draws::insert(context, step, id)?;
        job.draw = Some(step);
        let stage = Stage::Pending(Pending { draw: Some(step) });
        save(context, &job.with_stage(stage))?;
    }
    Ok(())
}
