//! A job's escrow: what is paid out of it, burned as it is used, and refunded at the end.

use std::collections::BTreeSet;

use types::hash::ValidatorId;
use types::job::{Escrow, Primary, UnrunnableReport, Verifier};
use types::number::Amount;

use super::price::{referee_fee, total};
use super::record::Job;
use crate::{Abort, Context, Corruption};

/// Moves money out of a part of the escrow; gives it to the caller.
fn take(
    job: &mut Job,
    part: fn(&mut Escrow) -> &mut Amount,
    amount: Amount,
) -> Result<Amount, Corruption> {
    let held = part(&mut job.escrow);
    *held = held
        .checked_sub(amount)
        .ok_or(Corruption::EscrowOverdrawn {
            job: job.id,
            amount,
            held: *held,
        })?;
    Ok(amount)
}

/// Counts money of the escrow as burned.
fn count_burned(job: &mut Job, amount: Amount) -> Result<(), Corruption> {
    job.burned = job
        .burned
        .checked_add(amount)
        .ok_or(Corruption::JobAmountOverflow(job.id))?;
    Ok(())
}

/// Pays the primary its price.
// Rule C26.
pub(super) fn pay_primary(
    context: &mut Context<'_>,
    job: &mut Job,
    primary: &Primary,
) -> Result<(), Abort> {
    let price = take(job, |escrow| &mut escrow.execution, primary.price)?;
    context.credit(&primary.partner, price)
}

/// Pays the primary a part of its price, for the part of its work that it had time for.
// Rule C69.
pub(super) fn pay_part(
    context: &mut Context<'_>,
    job: &mut Job,
    primary: &Primary,
    part: Amount,
) -> Result<(), Abort> {
    let part = take(job, |escrow| &mut escrow.execution, part.min(primary.price))?;
    context.credit(&primary.partner, part)
}

/// Pays every bound verifier its fee, whatever it has done so far.
// Rule C69.
pub(super) fn pay_bound(
    context: &mut Context<'_>,
    job: &mut Job,
    verifiers: &[Verifier],
) -> Result<(), Abort> {
    for verifier in verifiers {
        let fee = job.policy.verifier_fee;
        let fee = take(job, |escrow| &mut escrow.verification, fee)?;
        context.credit(&verifier.partner, fee)?;
    }
    Ok(())
}

/// Pays each verifier that opened its commitment its fee.
// Rule C26.
pub(super) fn pay_verifiers(
    context: &mut Context<'_>,
    job: &mut Job,
    verifiers: &[Verifier],
) -> Result<(), Abort> {
    for verifier in verifiers
        .iter()
        .filter(|verifier| verifier.opening.is_some())
    {
        let fee = job.policy.verifier_fee;
        let fee = take(job, |escrow| &mut escrow.verification, fee)?;
        context.credit(&verifier.partner, fee)?;
    }
    Ok(())
}

/// Pays referees that voted and that no forfeited bond pays, as far as the escrow for them reaches.
// Rules C26, C66.
pub(super) fn pay_referees(
    context: &mut Context<'_>,
    job: &mut Job,
    referees: &BTreeSet<ValidatorId>,
) -> Result<(), Abort> {
    for referee in referees {
        let fee = referee_fee(&job.policy).min(job.escrow.referees);
        let fee = take(job, |escrow| &mut escrow.referees, fee)?;
        context.credit(&referee.0, fee)?;
    }
    Ok(())
}

/// Burns a fee for storage.
// Rule C17.
pub(super) fn burn_storage(
    context: &mut Context<'_>,
    job: &mut Job,
    fee: Amount,
) -> Result<(), Abort> {
    let fee = take(job, |escrow| &mut escrow.storage, fee)?;
    context.burn(fee)?;
    Ok(count_burned(job, fee)?)
}

/// Burns what is due of the rent.
// Rule C62.
pub(super) fn burn_rent(
    context: &mut Context<'_>,
    job: &mut Job,
    due: Amount,
) -> Result<(), Abort> {
    let due = take(job, |escrow| &mut escrow.rent, due)?;
    context.burn(due)?;
    Ok(count_burned(job, due)?)
}

/// Burns the fee of a party's step, as far as the escrow's fees last; gives what was burned.
// Rule C20.
pub(crate) fn burn_fee(context: &mut Context<'_>, job: &mut Job) -> Result<Amount, Abort> {
    let fee = context.rules.params.min_fee.min(job.escrow.fees);
    let fee = take(job, |escrow| &mut escrow.fees, fee)?;
    context.burn(fee)?;
    count_burned(job, fee)?;
    Ok(fee)
}

/// Pays each verifier that found no result what saying so cost it, up to an equal share of the escrow for verification.
// Rule C26.
pub(super) fn pay_back_no_results(
    context: &mut Context<'_>,
    job: &mut Job,
    reports: &[UnrunnableReport],
) -> Result<(), Abort> {
    let shares = u128::try_from(reports.len().max(1)).unwrap_or(u128::MAX);
    let max = Amount(job.escrow.verification.0 / shares);
    for report in reports {
        let back = take(job, |escrow| &mut escrow.verification, report.cost.min(max))?;
        context.credit(&report.partner, back)?;
    }
    Ok(())
}

/// Gives what is left of the escrow back to the customer.
// Rule C26.
pub(super) fn refund(context: &mut Context<'_>, job: &mut Job) -> Result<(), Abort> {
    let left = total(&job.escrow).ok_or(Corruption::JobAmountOverflow(job.id))?;
    job.escrow = Escrow::default();
    job.refunded = left;
    context.credit(&job.customer, left)
}
