//! The primary seals its result; from now on it is known what is to be checked, and not yet by whom: the sortition runs
//! over a beacon step that is still to come, as every draw does. With the beacon of this very block, which its proposer
//! knows, primary and proposer together could try salts and keys until nobody honest is drawn.

use types::hash::{Address, Hash32};
use types::job::{JobRecord, PrimaryCommitment, Stage};

use super::JobError;
use super::job::{after, enter, wrong_stage};
use crate::{ActionError, Context};

pub(super) fn commit(
    context: &mut Context<'_>,
    sender: &Address,
    record: JobRecord,
    commitment: Hash32,
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
    if !*acknowledged {
        return Err(JobError::NotAcknowledged.into());
    }
    let committed = PrimaryCommitment {
        commitment,
        height: context.height,
        draw: context.draw_step(),
        beacon: None,
    };
    let stage = Stage::Announcing {
        primary: primary.clone(),
        committed,
        verifiers: Vec::new(),
        deadline: after(context, context.rules.params.compute.announce_window_ms),
    };
    Ok(enter(context, record, stage)?)
}
