//! A job's escrow: what is paid out of it, burned as it is used, and refunded at the end.

use types::job::{Escrow, Primary, UnrunnableReport, Verifier};
use types::number::Amount;

use super::price::total;
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

/// Pays each partner that reported the module as unrunnable what declining cost it, up to an equal share of the price
/// cap.
// Rule C26.
pub(super) fn pay_back_reports(context: &mut Context<'_>, job: &mut Job) -> Result<(), Abort> {
    let reports = std::mem::take(&mut job.unrunnable_reports);
    let shares = u128::try_from(reports.len().max(1)).unwrap_or(u128::MAX);
    let max = Amount(job.escrow.execution.0 / shares);
    for report in &reports {
        let back = take(job, |escrow| &mut escrow.execution, report.cost.min(max))?;
        context.credit(&report.partner, back)?;
    }
    job.unrunnable_reports = reports;
    Ok(())
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
    context.credit(&job.customer, left)
}
