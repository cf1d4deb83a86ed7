//! Primary and verifiers commit to their results.
//!
//! From the primary's commitment on it is known what is to be checked, and not yet by whom: sortition runs over a beacon
//! step that is still to come, as every draw does. With the beacon of the commitment's own block, which its proposer
//! knows, primary and proposer together could try salts and keys until nobody honest is drawn.

use types::hash::{Address, Hash32};
use types::job::{Assigned, Stage, Verifying};

use super::JobError;
use super::job::{all_answered, await_sortition};
use super::record::{Job, save};
use crate::{ActionError, Context};

/// Takes the primary's commitment.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a transition consumes the stage that it ends"
)]
pub(crate) fn commit_as_primary(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    assigned: Assigned,
    commitment: Hash32,
) -> Result<(), ActionError> {
    if assigned.primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    if assigned.duties.is_none() {
        return Err(JobError::NotAcknowledged.into());
    }
    // Rule C80.
    if job.terms.state.is_chain() && !job.states.is_some_and(|states| states.held) {
        return Err(JobError::StatesAwaited.into());
    }
    Ok(await_sortition(context, job, assigned.primary, commitment)?)
}

/// Takes a verifier's commitment. Once all have committed, the openings begin.
// Rule C39.
pub(crate) fn commit_as_verifier(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut verifying: Verifying,
    commitment: Hash32,
) -> Result<(), ActionError> {
    let mut verifiers = verifying.parties.verifiers.iter_mut();
    let verifier = verifiers
        .find(|verifier| verifier.partner == *sender)
        .ok_or(JobError::NotVerifier)?;
    if verifier.commitment.is_some() {
        return Err(JobError::AlreadyCommitted.into());
    }
    verifier.commitment = Some(commitment);
    verifying.duties.renewals.remove(sender);
    let mut verifiers = verifying.parties.verifiers.iter();
    if verifiers.all(|verifier| verifier.commitment.is_some()) {
        return Ok(all_answered(context, job, verifying)?);
    }
    Ok(save(context, &job.with_stage(Stage::Verifying(verifying)))?)
}
