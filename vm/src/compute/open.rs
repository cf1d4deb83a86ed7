//! Primary and verifiers open what they sealed. An opening shows every drawn task or is none.

use std::collections::BTreeSet;

use types::attestation::{CommitmentContext, Opening, commitment, leaves_hash};
use types::hash::{Address, Hash32};
use types::job::{JobRecord, PrimaryOpening, Stage, Verifier, VerifierOpening};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::TaskIndex;

use super::JobError;
use super::exit::conclude;
use super::job::{save, wrong_stage};
use crate::{ActionError, Context};

pub(super) fn open(
    context: &mut Context<'_>,
    sender: &Address,
    mut record: JobRecord,
    opening: &Opening,
) -> Result<(), ActionError> {
    let claim = CommitmentContext {
        chain: context.rules.chain_id,
        job: record.id,
        attempt: record.attempt,
        partner: *sender,
    };
    let seal = commitment(&claim, &opening.root, &opening.salt);
    let tasks = record.spec.workload.tasks;
    let Stage::Revealing {
        primary,
        committed,
        opened,
        verifiers,
        ..
    } = &mut record.stage
    else {
        return Err(wrong_stage(&record));
    };
    if primary.partner == *sender {
        let again = opened.is_some();
        let all: Vec<_> = (0..tasks).map(TaskIndex).collect();
        check(
            again,
            seal == committed.commitment,
            opening.is_consistent(&all, &drawn(verifiers)),
        )?;
        *opened = Some(primary_opening(opening)?);
    } else {
        let verifier = verifiers
            .iter_mut()
            .find(|verifier| verifier.partner == *sender);
        let verifier = verifier.ok_or(JobError::NotVerifier)?;
        let consistent = opening.is_consistent(&verifier.tasks, &verifier.tasks);
        check(
            verifier.opened.is_some(),
            verifier.commitment == Some(seal),
            consistent,
        )?;
        verifier.opened = Some(verifier_opening(opening)?);
    }
    if opened.is_some() && verifiers.iter().all(|verifier| verifier.opened.is_some()) {
        return Ok(conclude(context, record)?);
    }
    save(context, &record);
    Ok(())
}

fn check(again: bool, sealed: bool, consistent: bool) -> Result<(), JobError> {
    match (again, sealed, consistent) {
        (true, _, _) => Err(JobError::AlreadyOpened),
        (_, false, _) => Err(JobError::WrongCommitment),
        (_, _, false) => Err(JobError::Inconsistent),
        _ => Ok(()),
    }
}

/// The tasks that any verifier runs, ascending.
fn drawn(verifiers: &[Verifier]) -> Vec<TaskIndex> {
    let all: BTreeSet<_> = verifiers
        .iter()
        .flat_map(|verifier| verifier.tasks.iter().copied())
        .collect();
    all.into_iter().collect()
}

fn primary_opening(opening: &Opening) -> Result<PrimaryOpening, JobError> {
    let limit = u64::try_from(MAX_OUTCOMES_BYTES).unwrap_or(u64::MAX);
    let outcomes = opening
        .outcomes
        .filter(|blob| (1..=limit).contains(&blob.length));
    let Some(outcomes) = outcomes else {
        return Err(JobError::BadOutcomes {
            limit: MAX_OUTCOMES_BYTES,
        });
    };
    Ok(PrimaryOpening {
        root: opening.root,
        salt: opening.salt,
        leaves: opening.leaves.clone(),
        outcomes: Some(outcomes),
    })
}

fn verifier_opening(opening: &Opening) -> Result<VerifierOpening, JobError> {
    if opening.outcomes.is_some() {
        return Err(JobError::BadOutcomes {
            limit: MAX_OUTCOMES_BYTES,
        });
    }
    let leaves: Hash32 = leaves_hash(&opening.leaves);
    Ok(VerifierOpening {
        root: opening.root,
        salt: opening.salt,
        leaves,
    })
}
