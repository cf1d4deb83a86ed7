//! Where attempts begin: a job waits until a quorum holds its inputs, then for a primary, and again after an attempt that
//! gave no result.

use types::job::{FailureReason, Pending, Stage};

use super::exit::fail;
use super::parties::release;
use super::price::max_attempts;
use super::queue::patience_ms;
use super::record::{Job, enter};
use super::rent::begin_waiting;
use crate::{Abort, Context};

/// The first stage of a job that was just submitted.
pub(super) fn await_inputs(context: &mut Context<'_>, job: Job) -> Result<(), Abort> {
    let window_ms = context.rules.params.compute.open_window_ms;
    let stage = Stage::Pending(Pending::default());
    enter(context, job, stage, Some(window_ms))
}

/// A quorum holds the inputs, since now or since an earlier attempt: a draw follows.
pub(super) fn await_primary(context: &mut Context<'_>, job: Job) -> Result<(), Abort> {
    let window_ms = patience_ms(&context.rules.params.compute, &job.terms);
    let draw = Some(context.draw_step());
    let stage = Stage::Pending(Pending { draw });
    enter(context, job, stage, Some(window_ms))
}

/// Hands the job to another primary, or ends it for `reason` if it was handed over as often as it may be.
// Rule C25.
pub(super) fn next_attempt(
    context: &mut Context<'_>,
    mut job: Job,
    left: &Stage,
    reason: FailureReason,
) -> Result<(), Abort> {
    let attempt = job.attempt.next();
    if attempt.0 >= max_attempts(&context.rules.params.compute) {
        return fail(context, job, left, reason);
    }
    release(context, &job.id, left)?;
    begin_waiting(context, &mut job, left.primary().is_some())?;
    let primary = left.primary().map(|primary| primary.partner);
    job.excluded.extend(primary);
    job.attempt = attempt;
    job.states = None;
    await_primary(context, job)
}
