//! The ends of a job: settled, or failed for a reason. Whatever it holds is paid, burned or given back to the unit, and the
//! bonds that it locks are freed.

use std::collections::BTreeSet;

use types::account::LockReason;
use types::hash::ValidatorId;
use types::job::{Duties, Failed, FailureReason, Parties, Settlement, Stage, Storing, Verifying};
use types::number::Amount;
use types::state_key::{StateKey, program_hash};
use types::stored::StoredStatement;

use super::earlier;
use super::escrow::{
    burn_storage, pay_back_no_results, pay_primary, pay_referees, pay_verifiers, refund,
};
use super::live;
use super::parties::{count_fees, release};
use super::price::results_fee;
use super::receipt::receipt;
use super::record::{Job, end};
use super::rent::pay_rent;
use super::standing;
use crate::{Abort, Context};

/// A quorum of validators holds the results, so many bytes: everybody is paid and the receipt written.
// Rules C26, C38, C60.
pub(super) fn settle(
    context: &mut Context<'_>,
    mut job: Job,
    storing: Storing,
    held: &StoredStatement,
) -> Result<(), Abort> {
    let fee = results_fee(&context.rules.params.compute, held.bytes.into());
    // The fee may have risen since the escrow was locked: what is there is all that is burned.
    let fee = fee.map_or(job.escrow.storage, |fee| fee.min(job.escrow.storage));
    burn_storage(context, &mut job, fee)?;
    pay_primary(context, &mut job, &storing.parties.primary)?;
    pay_verifiers(context, &mut job, &storing.parties.verifiers)?;
    let checks = u128::try_from(storing.parties.verifiers.len()).unwrap_or(u128::MAX);
    let fees = Amount(job.policy.verifier_fee.0.saturating_mul(checks));
    count_fees(context, &job.id, &storing.parties.primary, fees)?;
    pay_rent(context, &mut job, true)?;
    let until = context.audit_end();
    let receipt = receipt(context, &job, &storing, held.fuel, until)?;
    context.overlay.put(StateKey::Receipt(job.id), &receipt);
    job.settlement = Some(Settlement {
        until,
        challenges: 0,
    });
    let primary = &storing.parties.primary;
    let (from, to) = (LockReason::Primary(job.id), LockReason::Audit(until));
    context.move_lock(&primary.partner, from, to, primary.bond)?;
    release(context, &job.id, &Stage::Storing(storing))?;
    refund(context, &mut job)?;
    end(context, job, Stage::Settled)
}

/// Ends the job without a result.
// Rule C26.
pub(super) fn fail(
    context: &mut Context<'_>,
    mut job: Job,
    left: &Stage,
    reason: FailureReason,
) -> Result<(), Abort> {
    release(context, &job.id, left)?;
    earlier::release(context, &mut job)?;
    pay_rent(context, &mut job, left.primary().is_some())?;
    refund(context, &mut job)?;
    end(context, job, Stage::Failed(Failed { reason }))
}

/// Referees found no verdict: nobody can be at fault where one program has several results. Whoever opened is paid, the
/// referees of the last ballot among them, and no job may run the program any more.
// Rule C66.
pub(super) fn fail_non_canonical(
    context: &mut Context<'_>,
    mut job: Job,
    parties: Parties,
    referees: &BTreeSet<ValidatorId>,
) -> Result<(), Abort> {
    let workload = live::spec(&context.overlay, &job.id)?.workload;
    let key = StateKey::Banned(program_hash(workload.class, workload.module));
    context.overlay.put(key, &context.height);
    if job.settlement.is_some() {
        return standing::no_verdict(context, job, &parties);
    }
    pay_primary(context, &mut job, &parties.primary)?;
    pay_verifiers(context, &mut job, &parties.verifiers)?;
    pay_referees(context, &mut job, referees)?;
    let left = Stage::Verifying(Verifying {
        parties,
        needed: 0,
        round: 0,
        duties: Duties::default(),
    });
    fail(context, job, &left, FailureReason::NonCanonical)
}

/// No verifier has a result, and some say that there is none to be had: the primary is not paid for what nobody could
/// check, and who said so is paid back.
// Rule C57.
pub(super) fn fail_unrunnable(
    context: &mut Context<'_>,
    mut job: Job,
    parties: Parties,
) -> Result<(), Abort> {
    pay_back_no_results(context, &mut job, &parties.no_results)?;
    let left = Stage::Verifying(Verifying {
        parties,
        needed: 0,
        round: 0,
        duties: Duties::default(),
    });
    fail(context, job, &left, FailureReason::Unrunnable)
}
