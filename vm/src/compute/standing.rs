//! Whether the receipt of a settled job stands after a challenge: what the end of one means for the receipt and for what is locked.

use types::account::LockReason;
use types::job::{Challenged, Failed, FailureReason, Parties, Primary, Revocation, Stage};
use types::state_key::StateKey;

use super::parties::punish;
use super::penalty::Breach;
use super::record::{Job, end};
use crate::{Abort, Context};

/// The challenger has shown nothing in time: it loses its bond, and the receipt stands.
// Rules C48, C73.
pub(super) fn close_challenge(
    context: &mut Context<'_>,
    job: Job,
    challenged: &Challenged,
) -> Result<(), Abort> {
    for silent in &challenged.parties.verifiers {
        let reason = LockReason::Challenger(job.id);
        let breach = Breach::ChallengeUnopened;
        punish(context, &silent.partner, reason, silent.bond, breach)?;
    }
    uphold(context, job, &challenged.parties.primary)
}

/// Referees have found a verdict on a settled job, and took what its losers locked.
// Rule C75.
pub(super) fn judged(
    context: &mut Context<'_>,
    job: Job,
    parties: &Parties,
    is_right: bool,
) -> Result<(), Abort> {
    release_challengers(context, &job, parties)?;
    if is_right {
        return uphold(context, job, &parties.primary);
    }
    let revocation = Revocation::Refuted {
        verdict: job.verdicts.saturating_sub(1),
        height: context.height,
    };
    revoke(context, job, &revocation, FailureReason::Revoked)
}

/// Referees have found no verdict on a settled job: nobody loses bond, and nobody can rely on a result that is one of several.
// Rules C66, C75.
pub(super) fn no_verdict(
    context: &mut Context<'_>,
    job: Job,
    parties: &Parties,
) -> Result<(), Abort> {
    release_challengers(context, &job, parties)?;
    let contested = LockReason::Contested(job.id).id();
    context.unlock_bond(&parties.primary.partner, contested)?;
    let height = context.height;
    let revocation = Revocation::NonCanonical { height };
    revoke(context, job, &revocation, FailureReason::NonCanonical)
}

/// Frees what challengers still lock.
fn release_challengers(
    context: &mut Context<'_>,
    job: &Job,
    parties: &Parties,
) -> Result<(), Abort> {
    for challenger in &parties.verifiers {
        context.unlock_bond(&challenger.partner, LockReason::Challenger(job.id).id())?;
    }
    Ok(())
}

/// The receipt stands, and its primary's bond is locked for what is left of the audit window.
// Rule C74.
fn uphold(context: &mut Context<'_>, job: Job, primary: &Primary) -> Result<(), Abort> {
    let contested = LockReason::Contested(job.id);
    match job.settlement.map(|settlement| settlement.until) {
        Some(until) if until > context.chain_time => {
            let audit = LockReason::Audit(until);
            context.move_lock(&primary.partner, contested, audit, primary.bond)?;
        }
        _ => {
            context.unlock_bond(&primary.partner, contested.id())?;
        }
    }
    context.overlay.delete(StateKey::Revocation(job.id));
    end(context, job, Stage::Settled)
}

/// The receipt does not stand any more.
// Rule C75.
fn revoke(
    context: &mut Context<'_>,
    job: Job,
    revocation: &Revocation,
    reason: FailureReason,
) -> Result<(), Abort> {
    context
        .overlay
        .put(StateKey::Revocation(job.id), revocation);
    end(context, job, Stage::Failed(Failed { reason }))
}
