//! The drawn primary takes the job: its time to execute begins.

use types::hash::Address;
use types::job::{Assigned, Stage};

use super::JobError;
use super::price::execute_window_ms;
use super::record::{Job, stay};
use crate::{ActionError, Context};

/// Notes that the primary takes the job.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a transition consumes the stage that it ends"
)]
pub(crate) fn acknowledge(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    assigned: Assigned,
) -> Result<(), ActionError> {
    if assigned.primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    if assigned.acknowledged {
        return Err(JobError::AlreadyAcknowledged.into());
    }
    let params = &context.rules.params.compute;
    let window_ms = execute_window_ms(params, &job.terms, job.terms.tasks);
    let stage = Stage::Assigned(Assigned {
        acknowledged: true,
        ..assigned
    });
    Ok(stay(context, job, stage, window_ms)?)
}
