//! The primary seals its result; from now on it is known what is to be checked, and not yet by whom.

use types::hash::{Address, Hash32};
use types::job::{Committed, JobRecord, Stage};

use super::JobError;
use super::job::{after, enter, wrong_stage};
use crate::{ActionError, Context};

pub(super) fn commit(
    context: &mut Context<'_>,
    sender: &Address,
    record: JobRecord,
    commitment: Hash32,
) -> Result<(), ActionError> {
    let Stage::Assigned { primary, acknowledged, .. } = &record.stage else {
        return Err(wrong_stage(&record));
    };
    if primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    if !*acknowledged {
        return Err(JobError::NotAcknowledged.into());
    }
    // The beacon moved before anything else in this block: it is the one after the block.
    let committed = Committed { commitment, height: context.height, beacon: context.beacon.value };
    let stage = Stage::Committed {
        primary: primary.clone(),
        committed,
        verifiers: Vec::new(),
        deadline: after(context, context.rules.params.compute.announce_window_ms),
    };
    Ok(enter(context, record, stage)?)
}
