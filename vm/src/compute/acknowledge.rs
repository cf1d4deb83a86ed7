//! The drawn primary takes the job: its time to execute begins.

use types::hash::Address;
use types::job::{Assigned, Stage};

use super::price::execute_window_ms;
use super::record::{Job, stay};
use super::{JobError, duty};
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
    if assigned.duties.is_some() {
        return Err(JobError::AlreadyAcknowledged.into());
    }
    let params = &context.rules.params.compute;
    let window_ms = execute_window_ms(params, &job.terms, job.terms.tasks.count());
    let duties = duty::begin(context, [*sender].into_iter(), window_ms);
    let look_ms = duty::next_end_ms(context, &duties);
    let stage = Stage::Assigned(Assigned {
        duties: Some(duties),
        ..assigned
    });
    Ok(stay(context, job, stage, look_ms)?)
}
