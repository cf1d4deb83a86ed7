//! Verifiers of an attempt whose primary committed and did not reveal: they have committed and are paid, and open against the
//! leaves of the next primary that reveals.
//!
//! They count for nothing in that attempt, neither for its minimum nor as vouching for its primary. But what they found was
//! fixed before anybody knew who would run the job again, so a mismatch is a dispute like any other.

use types::account::LockReason;
use types::hash::Address;
use types::job::{EarlierVerifiers, Verifier};

use super::parties::{punish, release_verifiers};
use super::penalty::Breach;
use super::record::Job;
use crate::{Abort, Context};

/// Keeps the verifiers of the attempt that ends, in the place of those before them.
// Rule C78.
pub(super) fn keep(
    context: &mut Context<'_>,
    job: &mut Job,
    verifiers: Vec<Verifier>,
) -> Result<(), Abort> {
    release(context, job)?;
    // Rule C82: what they found begins with states that the next primary has not.
    if job.terms.state.is_chain() {
        return release_verifiers(context, &job.id, &verifiers);
    }
    let (from, to) = (LockReason::Verifier(job.id), reason(job));
    for verifier in &verifiers {
        context.move_lock(&verifier.partner, from, to, verifier.bond)?;
    }
    job.earlier = EarlierVerifiers {
        attempt: job.attempt,
        verifiers,
    };
    Ok(())
}

/// The reason for which they lock their bonds.
pub(super) fn reason(job: &Job) -> LockReason {
    LockReason::EarlierVerifier(job.id)
}

/// Lets the one go that is now the primary: its own opening could not contradict itself.
// Rule C78.
pub(super) fn let_go(
    context: &mut Context<'_>,
    job: &mut Job,
    primary: &Address,
) -> Result<(), Abort> {
    let before = job.earlier.verifiers.len();
    let others = |verifier: &Verifier| verifier.partner != *primary;
    job.earlier.verifiers.retain(others);
    if job.earlier.verifiers.len() < before {
        context.unlock_bond(primary, reason(job).id())?;
    }
    Ok(())
}

/// A primary's leaves are public and the window for openings is over, or all have opened: who did not loses its lock, the
/// others are free.
// Rules C48, C78.
pub(super) fn close(context: &mut Context<'_>, job: &mut Job) -> Result<(), Abort> {
    let reason = reason(job);
    let verifiers = &mut job.earlier.verifiers;
    let silent = verifiers.extract_if(.., |verifier| verifier.opening.is_none());
    for verifier in silent.collect::<Vec<_>>() {
        let breach = Breach::VerifierUnopened;
        punish(context, &verifier.partner, reason, verifier.bond, breach)?;
    }
    release(context, job)
}

/// Frees what they lock.
// Rule C78.
pub(super) fn release(context: &mut Context<'_>, job: &mut Job) -> Result<(), Abort> {
    let id = reason(job).id();
    for verifier in std::mem::take(&mut job.earlier.verifiers) {
        context.unlock_bond(&verifier.partner, id)?;
    }
    Ok(())
}
