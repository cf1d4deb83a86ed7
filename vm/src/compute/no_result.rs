//! A bound verifier found no result: it had too little time or memory, or the module does not compile for it.
//!
//! To say so costs little, and less than silence. Else a job that honest machines cannot run, with a primary that claims a
//! result all the same, would cost every honest verifier a part of its bond. One verifier that commits is enough for the
//! job to go on; what the others' reports cost stays with them then.

use types::hash::Address;
use types::job::{Stage, UnrunnableReport, Verifying};

use super::JobError;
use super::job::all_answered;
use super::parties::punish_verifier;
use super::penalty::Breach;
use super::record::{Job, save};
use crate::{ActionError, Context};

/// Lets a verifier go that found no result.
// Rule C57.
pub(crate) fn no_result(
    context: &mut Context<'_>,
    sender: &Address,
    mut job: Job,
    mut verifying: Verifying,
) -> Result<(), ActionError> {
    let parties = &mut verifying.parties;
    let verifiers = parties.verifiers.iter();
    let (own, others): (Vec<_>, Vec<_>) = verifiers
        .cloned()
        .partition(|verifier| verifier.partner == *sender);
    let verifier = own.first().ok_or(JobError::NotVerifier)?;
    if verifier.commitment.is_some() {
        return Err(JobError::AlreadyCommitted.into());
    }
    let cost = punish_verifier(context, &job.id, verifier, Breach::NoResult)?;
    parties.verifiers = others;
    verifying.duties.renewals.remove(sender);
    parties.no_results.push(UnrunnableReport {
        partner: *sender,
        cost,
    });
    job.excluded.push(*sender);
    verifying.needed = verifying.needed.saturating_sub(1).max(1);
    let mut verifiers = verifying.parties.verifiers.iter();
    if verifiers.all(|verifier| verifier.commitment.is_some()) {
        return Ok(all_answered(context, job, verifying)?);
    }
    Ok(save(context, &job.with_stage(Stage::Verifying(verifying)))?)
}
