//! A job's record in state: read, written back, and entered in a new stage with its deadline; in the end forgotten.

use types::hash::JobId;
use types::job::{JobRecord, Stage, StageEntry};
use types::limits::{
    MAX_COMMITTEE, MAX_FORGOTTEN_PER_BLOCK, MAX_STATE_VALUE_BYTES, MAX_TASKS,
    MAX_TRANSACTION_BYTES, MAX_VERIFIERS,
};
use types::number::{Attempt, BeaconStep};
use types::state_key::{DueQueue, StateKey};
use types::transaction::{JobAction, JobStep};

use super::{JobError, live};
use crate::{Abort, ActionError, Context, Corruption, draws, due};

/// Bytes of a record beside its verifiers' tasks, its primary's leaves and its referees' votes.
const REST_OF_A_RECORD: usize = 16 << 10;
/// Bytes of a referee's vote in a record.
const VOTE_BYTES: usize = 2 * (20 + 32);
const _: () = assert!(
    2 * MAX_VERIFIERS * (4 * MAX_TASKS + 256)
        + MAX_TASKS * 36
        + MAX_COMMITTEE * VOTE_BYTES
        + REST_OF_A_RECORD
        <= MAX_STATE_VALUE_BYTES,
    "a record with the maximum of verifiers and of earlier ones, each of all tasks, fits a state value"
);
const _: () = assert!(
    MAX_TRANSACTION_BYTES <= MAX_STATE_VALUE_BYTES,
    "a spec fits a state value"
);

/// A job between two stages.
pub(super) type Job = JobRecord<()>;

/// The job that an action names, at the attempt that it is for.
pub(crate) fn load(
    context: &Context<'_>,
    id: &JobId,
    given: Attempt,
) -> Result<JobRecord, ActionError> {
    let record = live::job(&context.overlay, id)?.ok_or(JobError::UnknownJob)?;
    if record.attempt != given {
        return Err(JobError::WrongAttempt {
            given,
            current: record.attempt,
        }
        .into());
    }
    Ok(record)
}

/// The job that a party's step names. Only an opening may be for an earlier attempt, in which its author committed.
// Rules C58, C78.
pub(crate) fn load_for(
    context: &Context<'_>,
    action: &JobAction,
) -> Result<JobRecord, ActionError> {
    let opens = matches!(action.step, JobStep::Agree { .. } | JobStep::Differ { .. });
    let record = live::job(&context.overlay, &action.job)?;
    let earlier = record.filter(|record| {
        let has_any = !record.earlier.verifiers.is_empty();
        opens && has_any && record.earlier.attempt == action.attempt
    });
    match earlier {
        Some(record) => Ok(record),
        None => load(context, &action.job, action.attempt),
    }
}

fn put(context: &mut Context<'_>, record: &JobRecord) {
    context.changed = true;
    context.overlay.put(StateKey::Job(record.id), record);
}

/// Writes a live job back whose stage and deadline stay.
pub(super) fn save(context: &mut Context<'_>, record: &JobRecord) -> Result<(), Abort> {
    put(context, record);
    live::touch(context, record.id)
}

/// Writes a job back in a stage that is not final, whose window of so many milliseconds opens in this block; `None` for a
/// stage without a deadline.
fn wait(
    context: &mut Context<'_>,
    mut job: Job,
    stage: Stage,
    window_ms: Option<u64>,
) -> Result<(), Abort> {
    live::stop_waiting(context, &job)?;
    live::leave_queue(context, &mut job)?;
    job.opened = context.height;
    job.draw = stage.draw();
    job.deadline = match window_ms {
        Some(ms) => Some(live::await_window(context, job.id, ms)?),
        None => None,
    };
    if let Some(step) = job.draw {
        draws::insert(context, step, job.id)?;
    }
    save(context, &job.with_stage(stage))
}

/// Writes a job back whose stage stays and begins a new window of so many milliseconds in this block.
pub(super) fn stay(
    context: &mut Context<'_>,
    job: Job,
    stage: Stage,
    window_ms: u64,
) -> Result<(), Abort> {
    wait(context, job, stage, Some(window_ms))
}

fn note(context: &Context<'_>, job: &mut Job, stage: &Stage) {
    job.history.push(StageEntry {
        stage: stage.name().to_owned(),
        attempt: job.attempt,
        height: context.height,
        time: context.timestamp,
    });
}

/// Writes a job back in a new stage, whose window of so many milliseconds opens in this block; `None` for a stage without
/// a deadline.
pub(super) fn enter(
    context: &mut Context<'_>,
    mut job: Job,
    stage: Stage,
    window_ms: Option<u64>,
) -> Result<(), Abort> {
    note(context, &mut job, &stage);
    wait(context, job, stage, window_ms)
}

/// Writes a job back in a final stage. What is left of it is forgotten after a while.
// Rule C55.
pub(super) fn end(context: &mut Context<'_>, mut job: Job, stage: Stage) -> Result<(), Abort> {
    note(context, &mut job, &stage);
    live::stop_waiting(context, &job)?;
    live::leave_queue(context, &mut job)?;
    live::remove(context, job.id, &job.customer)?;
    let kept = context.rules.params.compute.ended_jobs_kept_ms;
    let at = context.chain_time.saturating_add(kept);
    let at = due::insert(context, DueQueue::Ended, at, job.id)?;
    (job.opened, job.draw, job.deadline) = (context.height, None, Some(at));
    put(context, &job.with_stage(stage));
    Ok(())
}

/// Takes a job that ended back among those that are live, before it is entered in a stage: it is forgotten some time after it
/// ends again.
pub(super) fn revive(context: &mut Context<'_>, job: &mut Job) -> Result<(), Abort> {
    if let Some(at) = job.deadline.take()
        && !due::remove(context, DueQueue::Ended, at, job.id)?
    {
        return Err(Corruption::NotDue { job: job.id, at }.into());
    }
    live::insert(context, job.id, &job.customer)
}

/// Forgets the jobs that ended long enough ago: their records, specs, receipts and revocations.
// Rule C55.
pub(super) fn forget(context: &mut Context<'_>) -> Result<(), Abort> {
    let all = due::due::<JobId>(context, DueQueue::Ended, MAX_FORGOTTEN_PER_BLOCK, |_, _| {
        true
    })?;
    for (at, job) in all {
        due::remove(context, DueQueue::Ended, at, job)?;
        let record = live::job(&context.overlay, &job)?;
        for number in 0..record.map_or(0, |record| record.verdicts) {
            context.overlay.delete(StateKey::Verdict(job, number));
        }
        for key in [
            StateKey::Job(job),
            StateKey::JobSpec(job),
            StateKey::Receipt(job),
            StateKey::Revocation(job),
        ] {
            context.overlay.delete(key);
        }
    }
    Ok(())
}

/// Waits for a later beacon in the same stage; its window stays.
// Rule C31.
pub(super) fn draw_again(
    context: &mut Context<'_>,
    mut job: Job,
    stage: impl FnOnce(BeaconStep) -> Stage,
) -> Result<(), Abort> {
    let step = context.draw_step();
    if let Some(before) = job.draw.replace(step) {
        draws::remove(context, before, job.id)?;
    }
    draws::insert(context, step, job.id)?;
    save(context, &job.with_stage(stage(step)))
}
