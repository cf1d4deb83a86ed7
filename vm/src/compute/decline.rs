//! The drawn primary does not take the job, or finds that nobody could run it.

use types::hash::Address;
use types::job::{FailureReason, JobRecord, Stage, UnrunnableReport};

use super::JobError;
use super::exit::{fail_unrunnable, next_attempt, punish};
use super::job::wrong_stage;
use super::penalty::Breach;
use crate::{ActionError, Context};

/// How many drawn primaries must say that a module cannot be run.
const REPORTS_THAT_END_A_JOB: usize = 3;

pub(super) fn decline(
    context: &mut Context<'_>,
    sender: &Address,
    mut record: JobRecord,
    unrunnable: bool,
) -> Result<(), ActionError> {
    let Stage::Assigned {
        primary,
        acknowledged,
        ..
    } = &record.stage
    else {
        return Err(wrong_stage(&record));
    };
    if primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    // Whoever acknowledged pays for the time that it held the job, whatever it says of the module; if enough others say
    // the same, all of them are paid back.
    let breach = if *acknowledged {
        Breach::Uncommitted
    } else {
        Breach::Declined
    };
    let bond = primary.bond;
    let cost = punish(context, &record, sender, bond, breach)?;
    if unrunnable {
        record.unrunnable_reports.push(UnrunnableReport {
            partner: *sender,
            cost,
        });
        if record.unrunnable_reports.len() >= REPORTS_THAT_END_A_JOB {
            return Ok(fail_unrunnable(context, record)?);
        }
    }
    Ok(next_attempt(context, record, FailureReason::NoCommitment)?)
}
