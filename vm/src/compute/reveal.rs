//! Primary and verifiers reveal what they committed to. An opening must show every drawn task.

use types::attestation::{CommitmentContext, Opening, commitment, leaves_hash};
use types::hash::{Address, BlobId, Hash32};
use types::job::{PrimaryOpening, Revealing, Stage, VerifierOpening};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::TaskIndex;

use super::JobError;
use super::job::conclude;
use super::record::{Job, save};
use crate::{ActionError, Context};

/// Takes the opening of a party.
// Rules C6, C23.
pub(crate) fn reveal(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut revealing: Revealing,
    opening: &Opening,
) -> Result<(), ActionError> {
    let author = CommitmentContext {
        chain: context.rules.chain_id,
        job: job.id,
        attempt: job.attempt,
        partner: *sender,
    };
    let shown = commitment(&author, &opening.root, &opening.salt);
    if revealing.parties.primary.partner == *sender {
        let all: Vec<_> = (0..job.terms.tasks).map(TaskIndex).collect();
        check(
            revealing.opening.is_some(),
            revealing.parties.commitment == shown,
            opening.is_consistent(&all, &revealing.parties.drawn_tasks()),
        )?;
        revealing.opening = Some(primary_opening(opening)?);
    } else {
        let mut verifiers = revealing.parties.verifiers.iter_mut();
        let verifier = verifiers
            .find(|verifier| verifier.partner == *sender)
            .ok_or(JobError::NotVerifier)?;
        check(
            verifier.opening.is_some(),
            verifier.commitment == Some(shown),
            opening.is_consistent(&verifier.tasks, &verifier.tasks),
        )?;
        verifier.opening = Some(verifier_opening(opening)?);
    }
    let mut verifiers = revealing.parties.verifiers.iter();
    if revealing.opening.is_some() && verifiers.all(|verifier| verifier.opening.is_some()) {
        return Ok(conclude(context, job, revealing)?);
    }
    Ok(save(context, &job.with_stage(Stage::Revealing(revealing)))?)
}

fn check(again: bool, committed: bool, consistent: bool) -> Result<(), JobError> {
    match (again, committed, consistent) {
        (true, _, _) => Err(JobError::AlreadyRevealed),
        (_, false, _) => Err(JobError::WrongCommitment),
        (_, _, false) => Err(JobError::Inconsistent),
        _ => Ok(()),
    }
}

const BAD_OUTCOMES: JobError = JobError::BadOutcomes {
    limit: MAX_OUTCOMES_BYTES,
};

// Rule C5.
fn primary_opening(opening: &Opening) -> Result<PrimaryOpening, JobError> {
    let max = u64::try_from(MAX_OUTCOMES_BYTES).unwrap_or(u64::MAX);
    let is_allowed = |blob: &BlobId| (1..=max).contains(&blob.length);
    Ok(PrimaryOpening {
        root: opening.root,
        salt: opening.salt,
        leaves: opening.leaves.clone(),
        outcomes: opening.outcomes.filter(is_allowed).ok_or(BAD_OUTCOMES)?,
    })
}

// Rule C5.
fn verifier_opening(opening: &Opening) -> Result<VerifierOpening, JobError> {
    if opening.outcomes.is_some() {
        return Err(BAD_OUTCOMES);
    }
    let leaves: Hash32 = leaves_hash(&opening.leaves);
    Ok(VerifierOpening {
        root: opening.root,
        salt: opening.salt,
        leaves,
    })
}
