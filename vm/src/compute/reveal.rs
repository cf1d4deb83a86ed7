//! The primary reveals what it committed to; then each verifier says whether it found the same.
//!
//! The primary comes first, so that nobody can wait for a verifier's leaves and copy them. A verifier that found the same
//! shows its salt alone: with the primary's leaves it must give the verifier's commitment. One that found something else shows
//! one task at which it did.

use types::attestation::{CommitmentContext, Divergence, Opening, commitment, result_root_of};
use types::hash::{Address, BlobId, Hash32};
use types::job::{FailureReason, PrimaryOpening, Revealing, Stage, Verifier};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::TaskIndex;

use super::JobError;
use super::exit::fail;
use super::job::{await_agreement, conclude};
use super::record::{Job, save};
use crate::{ActionError, Context};

/// The commitment of a party to a result root with a salt.
fn shown(
    context: &Context<'_>,
    job: &Job,
    party: &Address,
    root: &Hash32,
    salt: &Hash32,
) -> Hash32 {
    let author = CommitmentContext {
        chain: context.rules.chain_id,
        job: job.id,
        attempt: job.attempt,
        partner: *party,
    };
    commitment(&author, root, salt)
}

/// Takes the primary's opening, which must show every drawn task.
// Rules C6, C59.
pub(crate) fn reveal(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    revealing: Revealing,
    opening: &Opening,
) -> Result<(), ActionError> {
    let parties = &revealing.parties;
    if parties.primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    if revealing.opening.is_some() {
        return Err(JobError::AlreadyRevealed.into());
    }
    if shown(context, &job, sender, &opening.root, &opening.salt) != parties.commitment {
        return Err(JobError::WrongCommitment.into());
    }
    let all: Vec<_> = (0..job.terms.tasks).map(TaskIndex).collect();
    if !opening.is_consistent(&all, &parties.drawn_tasks()) {
        return Err(JobError::Inconsistent.into());
    }
    let opening = primary_opening(opening)?;
    Ok(await_agreement(context, job, revealing, opening)?)
}

// Rule C5.
fn primary_opening(opening: &Opening) -> Result<PrimaryOpening, JobError> {
    let max = u64::try_from(MAX_OUTCOMES_BYTES).unwrap_or(u64::MAX);
    let is_allowed = |blob: &BlobId| (1..=max).contains(&blob.length);
    let outcomes = Some(opening.outcomes).filter(is_allowed);
    Ok(PrimaryOpening {
        root: opening.root,
        salt: opening.salt,
        leaves: opening.leaves.clone(),
        outcomes: outcomes.ok_or(JobError::BadOutcomes {
            limit: MAX_OUTCOMES_BYTES,
        })?,
    })
}

/// The verifier that may open its commitment now, and the opening of the primary that it does so against.
fn opening_verifier<'r>(
    revealing: &'r mut Revealing,
    sender: &Address,
) -> Result<(&'r mut Verifier, &'r PrimaryOpening), JobError> {
    let mut verifiers = revealing.parties.verifiers.iter_mut();
    let verifier = verifiers
        .find(|verifier| verifier.partner == *sender)
        .ok_or(JobError::NotVerifier)?;
    let opening = revealing.opening.as_ref();
    let opening = opening.ok_or(JobError::PrimaryNotRevealed)?;
    if verifier.salt.is_some() {
        return Err(JobError::AlreadyRevealed);
    }
    Ok((verifier, opening))
}

/// Takes the salt of a verifier that found what the primary revealed.
// Rules C23, C59.
pub(crate) fn agree(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut revealing: Revealing,
    salt: &Hash32,
) -> Result<(), ActionError> {
    let (verifier, opening) = opening_verifier(&mut revealing, sender)?;
    let leaves = opening.leaves_of(&verifier.tasks);
    let root = result_root_of(salt, &leaves.ok_or(JobError::Inconsistent)?);
    if verifier.commitment != Some(shown(context, &job, sender, &root, salt)) {
        return Err(JobError::WrongCommitment.into());
    }
    verifier.salt = Some(*salt);
    let mut verifiers = revealing.parties.verifiers.iter();
    if verifiers.all(|verifier| verifier.salt.is_some()) {
        return Ok(conclude(context, job, revealing)?);
    }
    Ok(save(context, &job.with_stage(Stage::Revealing(revealing)))?)
}

/// Takes the proof of a verifier that it found something else at one task: the job ends at once.
// Rules C26, C59.
pub(crate) fn differ(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut revealing: Revealing,
    divergence: &Divergence,
) -> Result<(), ActionError> {
    let (verifier, opening) = opening_verifier(&mut revealing, sender)?;
    let Divergence { root, salt, .. } = divergence;
    if verifier.commitment != Some(shown(context, &job, sender, root, salt)) {
        return Err(JobError::WrongCommitment.into());
    }
    if !divergence.is_consistent(&verifier.tasks) {
        return Err(JobError::Inconsistent.into());
    }
    if opening.leaves_of(&[divergence.task]) == Some(vec![(divergence.task, divergence.leaf)]) {
        return Err(JobError::NoDivergence(divergence.task).into());
    }
    let left = Stage::Revealing(revealing);
    Ok(fail(context, job, &left, FailureReason::Unresolved)?)
}
