//! The drawn primary takes the job: its time to execute begins.

use types::hash::Address;
use types::job::{JobRecord, Stage};

use super::job::{after, save, wrong_stage};
use super::price::execute_window_ms;
use super::{JobError, live};
use crate::{ActionError, Context};

pub(super) fn acknowledge(
    context: &mut Context<'_>,
    sender: &Address,
    mut record: JobRecord,
) -> Result<(), ActionError> {
    let window = execute_window_ms(
        &context.rules.params.compute,
        &record.spec,
        record.spec.workload.tasks,
    );
    let until = after(context, window);
    let Stage::Assigned {
        primary,
        acknowledged,
        deadline,
    } = &mut record.stage
    else {
        return Err(wrong_stage(&record));
    };
    if primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    if *acknowledged {
        return Err(JobError::AlreadyAcknowledged.into());
    }
    (*acknowledged, *deadline) = (true, until);
    live::set_due(context, &record, until, None)?;
    save(context, &record);
    Ok(())
}
