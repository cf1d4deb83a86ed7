//! The drawn primary does not take the job, gives it up, or finds that nobody could run it.

use types::hash::Address;
use types::job::{Assigned, Duties, FailureReason, Stage, UnrunnableReport};
use types::limits::REPORTS_THAT_END_A_JOB;

use super::JobError;
use super::exit::fail;
use super::parties::punish_primary;
use super::penalty::Breach;
use super::pending::next_attempt;
use super::price::execute_window_ms;
use super::record::Job;
use crate::{ActionError, Context};

/// A report in the first quarter of a primary's time is an early one.
const EARLY_PART: u64 = 4;

/// Takes the job from its primary.
// Rules C26, C48, C72.
pub(crate) fn decline(
    context: &mut Context<'_>,
    sender: &Address,
    mut job: Job,
    assigned: Assigned,
    unrunnable: bool,
) -> Result<(), ActionError> {
    if assigned.primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    // Whoever acknowledged pays for the time that it held the job. Who finds early that the module cannot be run does not: it
    // cannot know before, and a job that nobody can run must cost its author more than those who try.
    let early = assigned
        .duties
        .as_ref()
        .is_some_and(|duties| is_early(context, &job, duties));
    let breach = match &assigned.duties {
        None => Breach::Declined,
        Some(_) if unrunnable && early => Breach::Unrunnable,
        Some(_) => Breach::Uncommitted,
    };
    let counts = unrunnable && assigned.duties.is_some();
    let cost = punish_primary(context, &job.id, &assigned.primary, breach)?;
    let left = Stage::Assigned(assigned);
    if counts {
        job.unrunnable_reports.push(UnrunnableReport {
            partner: *sender,
            cost,
        });
        if job.unrunnable_reports.len() >= REPORTS_THAT_END_A_JOB {
            return Ok(fail(context, job, &left, FailureReason::Unrunnable)?);
        }
    }
    Ok(next_attempt(
        context,
        job,
        &left,
        FailureReason::NoCommitment,
    )?)
}

/// True in the first part of the time that a primary has.
fn is_early(context: &Context<'_>, job: &Job, duties: &Duties) -> bool {
    let window_ms = execute_window_ms(
        &context.rules.params.compute,
        &job.terms,
        job.terms.tasks.count(),
    );
    let left_ms = duties.until.0.saturating_sub(context.chain_time.0);
    left_ms >= window_ms - window_ms / EARLY_PART
}
