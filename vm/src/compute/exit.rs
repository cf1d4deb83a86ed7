//! How an attempt ends, and where the money goes: payments, refunds, penalties, and the release of bonds.

use std::collections::BTreeSet;

use types::attestation::leaves_hash;
use types::hash::{Address, Hash32};
use types::job::{
    FailureReason, JobReceipt, JobRecord, Primary, PrimaryOpening, ReceiptVerifier, Stage, Verifier,
};
use types::number::{Amount, TaskIndex};
use types::state_key::StateKey;

use super::job::{after, await_primary, count_running, enter, parties};
use super::penalty::{Breach, penalty};
use super::price::{max_attempts, results_fee, store_window_ms, total};
use crate::{Context, Fault};

/// What a settled job names, beside its record.
struct Agreement {
    primary: Primary,
    opened: PrimaryOpening,
    verifiers: Vec<Verifier>,
}

/// Takes a party's bond for the job out of its lock and burns the penalty; gives what was burned.
pub(super) fn punish(
    context: &mut Context<'_>,
    record: &JobRecord,
    partner: &Address,
    locked: Amount,
    breach: Breach,
) -> Result<Amount, Fault> {
    let amount = penalty(&context.rules.params.compute, breach, locked);
    context.unlock_bond(partner, &record.id)?;
    context.changed = true;
    context.burn_bond(partner, amount)
}

/// Frees the bonds that the parties of the attempt still lock, and the primary's place.
fn release(context: &mut Context<'_>, record: &JobRecord) -> Result<(), Fault> {
    let (primary, verifiers) = parties(&record.stage);
    for verifier in verifiers {
        context.unlock_bond(&verifier.partner, &record.id)?;
    }
    if let Some(primary) = primary {
        context.unlock_bond(&primary.partner, &record.id)?;
        count_running(context, &primary.partner, 0, 1)?;
    }
    Ok(())
}

/// Moves money out of a part of the escrow; gives it to the caller.
fn take(pot: &mut Amount, amount: Amount) -> Result<Amount, Fault> {
    *pot = pot
        .checked_sub(amount)
        .ok_or(Fault::Broken("a job pays more than its escrow holds"))?;
    Ok(amount)
}

fn pay_primary(
    context: &mut Context<'_>,
    record: &mut JobRecord,
    primary: &Primary,
) -> Result<(), Fault> {
    let amount = take(&mut record.escrow.execution, primary.price)?;
    context.credit(&primary.partner, amount)
}

/// Pays each verifier whose opening is there.
fn pay_verifiers(
    context: &mut Context<'_>,
    record: &mut JobRecord,
    verifiers: &[Verifier],
) -> Result<(), Fault> {
    for verifier in verifiers
        .iter()
        .filter(|verifier| verifier.opened.is_some())
    {
        let fee = take(&mut record.escrow.verification, record.policy.verifier_fee)?;
        context.credit(&verifier.partner, fee)?;
    }
    Ok(())
}

/// Burns a fee for storage.
pub(super) fn burn_storage(
    context: &mut Context<'_>,
    record: &mut JobRecord,
    fee: Amount,
) -> Result<(), Fault> {
    let fee = take(&mut record.escrow.storage, fee)?;
    context.burn(fee)?;
    record.burned = record
        .burned
        .checked_add(fee)
        .ok_or(Fault::Broken("more burned than there is"))?;
    Ok(())
}

/// Pays a party back the fee of a transaction that served the job. The fee itself was burned when it was included, so
/// that what is burned is the customer's.
pub(super) fn reimburse(
    context: &mut Context<'_>,
    record: &mut JobRecord,
    party: &Address,
    fee: Amount,
) -> Result<(), Fault> {
    let fee = fee
        .min(context.rules.params.min_fee)
        .min(record.escrow.fees);
    let fee = take(&mut record.escrow.fees, fee)?;
    context.credit(party, fee)?;
    record.burned = record
        .burned
        .checked_add(fee)
        .ok_or(Fault::Broken("more burned than there is"))?;
    Ok(())
}

/// Gives what is left of the escrow back to the customer.
fn refund(context: &mut Context<'_>, record: &mut JobRecord) -> Result<(), Fault> {
    let left = total(&record.escrow).ok_or(Fault::Broken("an escrow beyond the supply"))?;
    record.escrow = types::job::Escrow::default();
    context.credit(&record.customer, left)
}

/// Ends the job without a result.
pub(super) fn fail(
    context: &mut Context<'_>,
    mut record: JobRecord,
    reason: FailureReason,
) -> Result<(), Fault> {
    release(context, &record)?;
    refund(context, &mut record)?;
    enter(context, record, Stage::Failed { reason })
}

/// Hands the job to another primary, or ends it for `reason` if it was handed over as often as it may be.
pub(super) fn next_attempt(
    context: &mut Context<'_>,
    mut record: JobRecord,
    reason: FailureReason,
) -> Result<(), Fault> {
    let attempt = record.attempt.next();
    if attempt.0 >= max_attempts(&context.rules.params.compute) {
        return fail(context, record, reason);
    }
    release(context, &record)?;
    record
        .excluded
        .extend(parties(&record.stage).0.map(|primary| primary.partner));
    record.attempt = attempt;
    await_primary(context, record, BTreeSet::new())
}

/// Enough drawn primaries say that the module cannot be run: the customer pays them back what saying so cost, each up to
/// an equal part of the price cap.
pub(super) fn fail_unrunnable(
    context: &mut Context<'_>,
    mut record: JobRecord,
) -> Result<(), Fault> {
    let reports = record.unrunnable_reports.clone();
    let shares = u128::try_from(reports.len().max(1)).unwrap_or(u128::MAX);
    let most = Amount(record.escrow.execution.0 / shares);
    for report in &reports {
        let back = take(&mut record.escrow.execution, report.cost.min(most))?;
        context.credit(&report.partner, back)?;
    }
    fail(context, record, FailureReason::Unrunnable)
}

/// The results did not reach a quorum of validators: verifiers are paid for what they opened. To bring the results was
/// the primary's part, and without them nobody can tell its work from none.
pub(super) fn fail_unstored(context: &mut Context<'_>, mut record: JobRecord) -> Result<(), Fault> {
    let verifiers = parties(&record.stage).1.to_vec();
    pay_verifiers(context, &mut record, &verifiers)?;
    fail(context, record, FailureReason::NotStored)
}

/// The hash of the primary's leaves of a verifier's tasks; nothing if one of them is not open.
fn expected_leaves(opened: &PrimaryOpening, tasks: &[TaskIndex]) -> Option<Hash32> {
    let mut leaves = Vec::with_capacity(tasks.len());
    for task in tasks {
        let at = opened
            .leaves
            .binary_search_by_key(task, |(index, _)| *index)
            .ok()?;
        leaves.push(*opened.leaves.get(at)?);
    }
    Some(leaves_hash(&leaves))
}

/// All openings are there, or their window is over.
///
/// Who sealed and does not open loses its locked bond. A verifier's seat cannot be filled any more, since an opening
/// that is public can be copied: without it the job is unverified. For the same reason another attempt follows a
/// silent primary only if nobody else opened. Where verification could not be completed, who opened is paid all the same.
pub(super) fn conclude(context: &mut Context<'_>, mut record: JobRecord) -> Result<(), Fault> {
    let Stage::Revealing {
        primary,
        opened,
        verifiers,
        committed,
        unverified,
        ..
    } = record.stage.clone()
    else {
        return Err(Fault::Broken("a conclusion of another stage"));
    };
    let silent: Vec<_> = verifiers
        .iter()
        .filter(|verifier| verifier.opened.is_none())
        .collect();
    for verifier in &silent {
        punish(
            context,
            &record,
            &verifier.partner,
            verifier.bond,
            Breach::VerifierUnopened,
        )?;
    }
    let Some(opened) = opened else {
        punish(
            context,
            &record,
            &primary.partner,
            primary.bond,
            Breach::PrimaryUnopened,
        )?;
        if silent.len() == verifiers.len() {
            return next_attempt(context, record, FailureReason::Unopened);
        }
        pay_verifiers(context, &mut record, &verifiers)?;
        return fail(context, record, FailureReason::Unopened);
    };
    let differs = |verifier: &Verifier| {
        verifier
            .opened
            .is_some_and(|claim| expected_leaves(&opened, &verifier.tasks) != Some(claim.leaves))
    };
    if verifiers.iter().any(differs) {
        return fail(context, record, FailureReason::Unresolved);
    }
    if unverified || !silent.is_empty() {
        pay_verifiers(context, &mut record, &verifiers)?;
        pay_primary(context, &mut record, &primary)?;
        return fail(context, record, FailureReason::Unverified);
    }
    let deadline = after(
        context,
        store_window_ms(&context.rules.params.compute, &record.spec),
    );
    let stored = BTreeSet::new();
    enter(
        context,
        record,
        Stage::Storing {
            primary,
            committed,
            opened,
            verifiers,
            stored,
            deadline,
        },
    )
}

/// A quorum of validators holds the results: everybody is paid and the receipt written.
pub(super) fn settle(context: &mut Context<'_>, mut record: JobRecord) -> Result<(), Fault> {
    let Stage::Storing {
        primary,
        opened,
        verifiers,
        ..
    } = record.stage.clone()
    else {
        return Err(Fault::Broken("a settlement of another stage"));
    };
    let results = results_fee(&context.rules.params.compute, &record.spec);
    let results = results.ok_or(Fault::Broken("a storage fee beyond the supply"))?;
    burn_storage(context, &mut record, results)?;
    pay_primary(context, &mut record, &primary)?;
    pay_verifiers(context, &mut record, &verifiers)?;
    if !verifiers.is_empty() {
        let mut partner = context
            .partner(&primary.partner)?
            .ok_or(Fault::Broken("a primary that is no partner"))?;
        partner.verified_value = Amount(
            partner
                .verified_value
                .0
                .saturating_add(record.spec.verification.value_at_risk.0),
        );
        context.put_partner(&primary.partner, &partner);
    }
    let agreement = Agreement {
        primary,
        opened,
        verifiers,
    };
    let receipt = receipt(context, &record, &agreement)?;
    context.overlay.put(StateKey::Receipt(record.id), &receipt);
    release(context, &record)?;
    refund(context, &mut record)?;
    enter(context, record, Stage::Settled)
}

fn receipt(
    context: &Context<'_>,
    record: &JobRecord,
    agreement: &Agreement,
) -> Result<JobReceipt, Fault> {
    let Agreement {
        primary,
        opened,
        verifiers,
    } = agreement;
    let workload = &record.spec.workload;
    let tasks = |verifier: &Verifier| u32::try_from(verifier.tasks.len()).unwrap_or(u32::MAX);
    let paid = record
        .policy
        .verifier_fee
        .checked_mul(u128::try_from(verifiers.len()).unwrap_or(u128::MAX));
    Ok(JobReceipt {
        job: record.id,
        attempt: record.attempt,
        customer: record.customer,
        workload: workload.id(),
        input_root: workload.input_root(),
        tasks: workload.tasks,
        result_root: opened.root,
        salt: opened.salt,
        outcomes: opened
            .outcomes
            .ok_or(Fault::Broken("an opening without outcomes"))?,
        class: workload.class,
        primary: primary.partner,
        price: primary.price,
        verifiers: verifiers
            .iter()
            .map(|v| ReceiptVerifier {
                partner: v.partner,
                appointed: v.appointed,
                tasks: tasks(v),
            })
            .collect(),
        verification_paid: paid.ok_or(Fault::Broken("verifiers paid beyond the supply"))?,
        burned: record.burned,
        value_at_risk: record.spec.verification.value_at_risk,
        task_value_at_risk: record.spec.verification.task_value_at_risk,
        policy: record.policy,
        tasks_rerun: verifiers.iter().map(tasks).fold(0, u32::saturating_add),
        height: context.height,
        time: context.timestamp,
    })
}
