//! The primary reveals what it committed to; then each verifier says whether it found the same.
//!
//! The primary comes first, so that nobody can wait for a verifier's leaves and copy them. A verifier that found the same
//! shows its salt alone: with the primary's leaves it must give the verifier's commitment. One that found something else shows
//! one task at which it did.

use types::attestation::{CommitmentContext, Divergence, Opening, commitment, result_root_of};
use types::hash::{Address, BlobId, Hash32, JobId};
use types::job::{Disputed, Parties, PrimaryOpening, Revealing, Stage, Verifier, VerifierOpening};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::Attempt;

use super::JobError;
use super::ballot::{Dispute, dispute};
use super::dispute::opened_in_dispute;
use super::job::{await_agreement, conclude};
use super::record::{Job, save};
use crate::{ActionError, Context};

/// The commitment of a party to a result root with a salt, in an attempt.
pub(super) fn shown(
    context: &Context<'_>,
    (job, attempt): (&JobId, Attempt),
    party: &Address,
    root: &Hash32,
    salt: &Hash32,
) -> Hash32 {
    let author = CommitmentContext {
        chain: context.rules.chain_id,
        job: *job,
        attempt,
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
    let place = (&job.id, job.attempt);
    if shown(context, place, sender, &opening.root, &opening.salt) != parties.commitment {
        return Err(JobError::WrongCommitment.into());
    }
    let all: Vec<_> = job.terms.tasks.indices().collect();
    if !opening.is_consistent(&all, &revealing.shown_tasks(&job.earlier)) {
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

/// The verifier that may open now what it committed to in an attempt: this one, or an earlier one.
// Rule C78.
fn opening_verifier<'p>(
    job: &'p mut Job,
    parties: &'p mut Parties,
    sender: &Address,
    attempt: Attempt,
) -> Result<&'p mut Verifier, JobError> {
    let verifiers = if attempt == job.attempt {
        &mut parties.verifiers
    } else {
        &mut job.earlier.verifiers
    };
    let mut verifiers = verifiers.iter_mut();
    let verifier = verifiers
        .find(|verifier| verifier.partner == *sender)
        .ok_or(JobError::NotVerifier)?;
    if verifier.opening.is_some() {
        return Err(JobError::AlreadyRevealed);
    }
    Ok(verifier)
}

/// Opens the commitment of a verifier that found what the primary revealed.
// Rule C59.
fn note_agreement(
    context: &Context<'_>,
    sender: &Address,
    job: &mut Job,
    (parties, opening): (&mut Parties, &PrimaryOpening),
    (attempt, salt): (Attempt, &Hash32),
) -> Result<(), JobError> {
    let id = job.id;
    let verifier = opening_verifier(job, parties, sender, attempt)?;
    let leaves = opening.leaves_of(&verifier.tasks);
    let root = result_root_of(salt, &leaves.ok_or(JobError::Inconsistent)?);
    if verifier.commitment != Some(shown(context, (&id, attempt), sender, &root, salt)) {
        return Err(JobError::WrongCommitment);
    }
    verifier.opening = Some(VerifierOpening::Agreed { salt: *salt });
    Ok(())
}

/// Opens the commitment of a verifier that found something else at one task.
// Rule C59.
fn note_divergence(
    context: &Context<'_>,
    sender: &Address,
    job: &mut Job,
    (parties, opening): (&mut Parties, &PrimaryOpening),
    (attempt, divergence): (Attempt, &Divergence),
) -> Result<(), JobError> {
    let id = job.id;
    let verifier = opening_verifier(job, parties, sender, attempt)?;
    let Divergence {
        root,
        salt,
        task,
        leaf,
        ..
    } = divergence;
    if verifier.commitment != Some(shown(context, (&id, attempt), sender, root, salt)) {
        return Err(JobError::WrongCommitment);
    }
    if !divergence.is_consistent(&verifier.tasks) {
        return Err(JobError::Inconsistent);
    }
    if opening.leaves_of(&[*task]) == Some(vec![(*task, *leaf)]) {
        return Err(JobError::NoDivergence(*task));
    }
    verifier.opening = Some(VerifierOpening::Differed {
        task: *task,
        leaf: *leaf,
    });
    Ok(())
}

/// Takes the salt of a verifier that found what the primary revealed.
// Rules C23, C59.
pub(crate) fn agree(
    context: &mut Context<'_>,
    sender: &Address,
    mut job: Job,
    mut revealing: Revealing,
    shown: (Attempt, &Hash32),
) -> Result<(), ActionError> {
    let Revealing {
        parties, opening, ..
    } = &mut revealing;
    let opening = opening.as_ref().ok_or(JobError::PrimaryNotRevealed)?;
    note_agreement(context, sender, &mut job, (parties, opening), shown)?;
    if revealing.parties.all_opened() && job.earlier.all_opened() {
        return Ok(conclude(context, job, revealing)?);
    }
    Ok(save(context, &job.with_stage(Stage::Revealing(revealing)))?)
}

/// The same while the job is in dispute.
// Rules C59, C63.
pub(crate) fn agree_in_dispute(
    context: &mut Context<'_>,
    sender: &Address,
    mut job: Job,
    mut disputed: Disputed,
    shown: (Attempt, &Hash32),
) -> Result<(), ActionError> {
    let Disputed {
        parties, opening, ..
    } = &mut disputed;
    note_agreement(context, sender, &mut job, (parties, opening), shown)?;
    Ok(opened_in_dispute(context, job, disputed)?)
}

/// Takes the proof of a verifier that it found something else at one task: referees run it, from this block on.
// Rules C59, C63.
pub(crate) fn differ(
    context: &mut Context<'_>,
    sender: &Address,
    mut job: Job,
    mut revealing: Revealing,
    shown: (Attempt, &Divergence),
) -> Result<(), ActionError> {
    let opening = revealing.opening.take();
    let opening = opening.ok_or(JobError::PrimaryNotRevealed)?;
    let parties = &mut revealing.parties;
    note_divergence(context, sender, &mut job, (parties, &opening), shown)?;
    let openings_until = job.deadline.unwrap_or(context.chain_time);
    let begun = Dispute {
        parties: revealing.parties,
        opening,
        unverified: revealing.unverified,
        openings_until,
    };
    Ok(dispute(context, job, begun, shown.1.task)?)
}

/// The same while the job is in dispute: it may be over another task.
// Rules C59, C63.
pub(crate) fn differ_in_dispute(
    context: &mut Context<'_>,
    sender: &Address,
    mut job: Job,
    mut disputed: Disputed,
    shown: (Attempt, &Divergence),
) -> Result<(), ActionError> {
    let Disputed {
        parties, opening, ..
    } = &mut disputed;
    note_divergence(context, sender, &mut job, (parties, opening), shown)?;
    Ok(opened_in_dispute(context, job, disputed)?)
}
