//! The drawn primary does not take the job, gives it up, or finds that nobody could run it.

use types::hash::Address;
use types::job::{Assigned, FailureReason, Stage, UnrunnableReport};

use super::JobError;
use super::escrow::pay_back_reports;
use super::exit::fail;
use super::job::next_attempt;
use super::parties::punish_primary;
use super::penalty::Breach;
use super::record::Job;
use crate::{ActionError, Context};

/// Reports of drawn primaries that end a job whose module cannot be run.
const REPORTS_THAT_END_A_JOB: usize = 3;

/// Takes the job from its primary.
// Rules C26, C48.
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
    // Whoever acknowledged pays for the time that it held the job, whatever it says of the module; if enough others say
    // the same, all of them are paid back.
    let breach = if assigned.acknowledged {
        Breach::Uncommitted
    } else {
        Breach::Declined
    };
    let cost = punish_primary(context, &job.id, &assigned.primary, breach)?;
    let left = Stage::Assigned(assigned);
    if unrunnable {
        job.unrunnable_reports.push(UnrunnableReport {
            partner: *sender,
            cost,
        });
        if job.unrunnable_reports.len() >= REPORTS_THAT_END_A_JOB {
            pay_back_reports(context, &mut job)?;
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
