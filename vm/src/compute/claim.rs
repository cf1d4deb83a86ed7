//! A verifier seals its claim. Once all have, the openings begin.

use types::hash::{Address, Hash32};
use types::job::{JobRecord, Stage};

use super::JobError;
use super::job::{reveal, save, wrong_stage};
use crate::{ActionError, Context};

pub(super) fn claim(
    context: &mut Context<'_>,
    sender: &Address,
    mut record: JobRecord,
    commitment: Hash32,
) -> Result<(), ActionError> {
    let Stage::Verifying { verifiers, .. } = &mut record.stage else {
        return Err(wrong_stage(&record));
    };
    let verifier = verifiers
        .iter_mut()
        .find(|verifier| verifier.partner == *sender)
        .ok_or(JobError::NotVerifier)?;
    if verifier.commitment.is_some() {
        return Err(JobError::AlreadyCommitted.into());
    }
    verifier.commitment = Some(commitment);
    if verifiers
        .iter()
        .all(|verifier| verifier.commitment.is_some())
    {
        return Ok(reveal(context, record)?);
    }
    save(context, &record);
    Ok(())
}
