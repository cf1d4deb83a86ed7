//! A job's record in state: read, written back, and entered in a new stage with its deadline.

use types::hash::JobId;
use types::job::{JobRecord, Stage, StageEntry};
use types::limits::{MAX_STATE_VALUE_BYTES, MAX_TASKS, MAX_TRANSACTION_BYTES, MAX_VERIFIERS};
use types::number::{Attempt, BeaconStep};
use types::state_key::StateKey;

use super::{JobError, live};
use crate::{Abort, ActionError, Context};

/// Bytes of a record beside its spec, its verifiers' tasks and its primary's leaves.
const REST_OF_A_RECORD: usize = 16 << 10;
const _: () = assert!(
    MAX_TRANSACTION_BYTES
        + MAX_VERIFIERS * (4 * MAX_TASKS + 256)
        + MAX_TASKS * 36
        + REST_OF_A_RECORD
        <= MAX_STATE_VALUE_BYTES,
    "a record with the maximum of verifiers, each of all tasks, fits a state value"
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

/// Writes a job back whose stage and deadline stay.
pub(super) fn save(context: &mut Context<'_>, record: &JobRecord) {
    context.changed = true;
    context.overlay.put(StateKey::Job(record.id), record);
}

/// Writes a job back whose stage stays and begins a new window of so many milliseconds in this block.
pub(super) fn stay(
    context: &mut Context<'_>,
    job: Job,
    stage: Stage,
    window_ms: u64,
) -> Result<(), Abort> {
    let mut record = job.with_stage(stage);
    record.deadline = Some(context.chain_time.saturating_add(window_ms));
    live::set(context, &record)?;
    save(context, &record);
    Ok(())
}

/// Writes a job back in a new stage, whose window of so many milliseconds opens in this block; `None` for a stage without
/// a deadline.
pub(super) fn enter(
    context: &mut Context<'_>,
    mut job: Job,
    stage: Stage,
    window_ms: Option<u64>,
) -> Result<(), Abort> {
    job.history.push(StageEntry {
        stage: stage.name().to_owned(),
        attempt: job.attempt,
        height: context.height,
        time: context.timestamp,
    });
    let mut record = job.with_stage(stage);
    record.deadline = window_ms.map(|ms| context.chain_time.saturating_add(ms));
    if record.stage.is_final() {
        live::remove(context, &record.id)?;
    } else {
        live::set(context, &record)?;
    }
    save(context, &record);
    Ok(())
}

/// Waits for a later beacon in the same stage; its window stays.
// Rule C31.
pub(super) fn draw_again(
    context: &mut Context<'_>,
    job: Job,
    stage: impl FnOnce(BeaconStep) -> Stage,
) -> Result<(), Abort> {
    let step = context.draw_step();
    live::set_draw(context, &job.id, step)?;
    save(context, &job.with_stage(stage(step)));
    Ok(())
}
