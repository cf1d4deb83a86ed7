//! The bonds of a job's parties: locked when they are bound, freed when the attempt ends, burned for a breach.

use types::account::LockReason;
use types::hash::{Address, JobId};
use types::job::{Parties, Primary, Stage, Verifier};
use types::number::Amount;

use super::penalty::{Breach, penalty};
use super::record::Job;
use crate::{Abort, ActionError, Context, Corruption};

/// The reasons for which the primary of a job and who says something else than it lock their bonds now.
pub(super) fn lock_reasons(job: &Job) -> (LockReason, LockReason) {
    let id = job.id;
    if job.settlement.is_some() {
        (LockReason::Contested(id), LockReason::Challenger(id))
    } else {
        (LockReason::Primary(id), LockReason::Verifier(id))
    }
}

/// Locks the bond of a partner that the beacon drew, whose free bond the draw has looked at.
pub(super) fn lock_drawn(
    context: &mut Context<'_>,
    job: JobId,
    partner: &Address,
    reason: fn(JobId) -> LockReason,
    bond: Amount,
) -> Result<(), Abort> {
    context
        .lock_bond(partner, reason(job), bond)
        .map_err(|error| match error {
            ActionError::Abort(abort) => abort,
            _ => Abort::Corrupt(Corruption::DrawnBondNotFree {
                job,
                partner: *partner,
            }),
        })
}

/// Frees the bonds that the parties of a stage still lock, and with it the primary's place.
// Rule C26.
pub(super) fn release(context: &mut Context<'_>, job: &JobId, stage: &Stage) -> Result<(), Abort> {
    release_verifiers(context, job, stage.verifiers())?;
    if let Some(primary) = stage.primary() {
        context.unlock_bond(&primary.partner, LockReason::Primary(*job).id())?;
    }
    Ok(())
}

/// Frees the bonds that verifiers still lock.
pub(super) fn release_verifiers<'v>(
    context: &mut Context<'_>,
    job: &JobId,
    verifiers: impl IntoIterator<Item = &'v Verifier>,
) -> Result<(), Abort> {
    for verifier in verifiers {
        context.unlock_bond(&verifier.partner, LockReason::Verifier(*job).id())?;
    }
    Ok(())
}

/// Frees the primary's bond and burns the penalty of its breach; gives what was burned.
pub(super) fn punish_primary(
    context: &mut Context<'_>,
    job: &JobId,
    primary: &Primary,
    breach: Breach,
) -> Result<Amount, Abort> {
    let reason = LockReason::Primary(*job);
    punish(context, &primary.partner, reason, primary.bond, breach)
}

/// Frees a verifier's bond and burns the penalty of its breach; gives what was burned.
pub(super) fn punish_verifier(
    context: &mut Context<'_>,
    job: &JobId,
    verifier: &Verifier,
    breach: Breach,
) -> Result<Amount, Abort> {
    let reason = LockReason::Verifier(*job);
    punish(context, &verifier.partner, reason, verifier.bond, breach)
}

/// Takes the lock of a primary that committed and did not reveal. The verifiers, which committed and could not open, are paid
/// their fees out of it as far as it reaches; the rest is burned.
// Rules C27, C48.
pub(super) fn forfeit_primary(
    context: &mut Context<'_>,
    job: &Job,
    parties: &Parties,
) -> Result<(), Abort> {
    let Primary { partner, bond, .. } = parties.primary;
    let reason = LockReason::Primary(job.id);
    let mut left = forfeit(context, &partner, reason, bond, Breach::PrimaryUnopened)?;
    for verifier in &parties.verifiers {
        let fee = job.policy.verifier_fee.min(left);
        left = left.saturating_sub(fee);
        context.credit(&verifier.partner, fee)?;
    }
    Ok(context.burn(left)?)
}

/// Takes a penalty of a breach and burns it; the lock is free. Gives what was burned.
pub(super) fn punish(
    context: &mut Context<'_>,
    partner: &Address,
    reason: LockReason,
    locked: Amount,
    breach: Breach,
) -> Result<Amount, Abort> {
    let amount = forfeit(context, partner, reason, locked, breach)?;
    context.burn(amount)?;
    Ok(amount)
}

/// Frees what a partner locked and takes the penalty of its breach; gives what was taken, which the caller puts somewhere.
pub(super) fn forfeit(
    context: &mut Context<'_>,
    partner: &Address,
    reason: LockReason,
    locked: Amount,
    breach: Breach,
) -> Result<Amount, Abort> {
    let amount = penalty(&context.rules.params.compute, breach, locked);
    context.unlock_bond(partner, reason.id())?;
    context.changed = true;
    if breach.ends_trust() {
        context.begin_probation(partner)?;
    }
    context.take_bond(partner, amount)
}

/// Notes that others were paid so much for verifying a job of the primary's: that cannot be had for nothing, whatever value
/// at risk the customer wrote.
// Rule C38.
pub(super) fn count_fees(
    context: &mut Context<'_>,
    job: &JobId,
    primary: &Primary,
    fees: Amount,
) -> Result<(), Abort> {
    let address = primary.partner;
    let mut partner = context
        .partner(&address)?
        .ok_or(Corruption::PartyWithoutPartner {
            job: *job,
            partner: address,
        })?;
    let all = partner.verified_fees.0.saturating_add(fees.0);
    partner.verified_fees = Amount(all);
    context.put_partner(&address, &partner);
    Ok(())
}
