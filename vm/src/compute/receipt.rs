//! The receipt of a settled job.

use types::job::{JobReceipt, ReceiptVerifier, Storing, Verifier};
use types::number::{ChainTime, Fuel};

use super::record::Job;
use crate::{Context, Corruption};

/// The receipt of a job that settles in this block.
pub(super) fn receipt(
    context: &Context<'_>,
    job: &Job,
    storing: &Storing,
    fuel: Fuel,
    revocable_until: ChainTime,
) -> Result<JobReceipt, Corruption> {
    let (parties, opening) = (&storing.parties, &storing.opening);
    let terms = &job.terms;
    let tasks = |verifier: &Verifier| u32::try_from(verifier.tasks.len()).unwrap_or(u32::MAX);
    let verifiers = u128::try_from(parties.verifiers.len()).unwrap_or(u128::MAX);
    let verification_paid = job.policy.verifier_fee.checked_mul(verifiers);
    Ok(JobReceipt {
        job: job.id,
        attempt: job.attempt,
        customer: job.customer,
        workload: terms.workload,
        input_root: terms.input_root,
        tasks: terms.tasks.clone(),
        state: terms.state.clone(),
        result_root: opening.root,
        salt: opening.salt,
        outcomes: opening.outcomes,
        fuel,
        class: terms.class,
        primary: parties.primary.partner,
        price: parties.primary.price,
        verifiers: parties
            .verifiers
            .iter()
            .map(|verifier| ReceiptVerifier {
                partner: verifier.partner,
                appointed: verifier.appointed,
                tasks: tasks(verifier),
            })
            .collect(),
        verification_paid: verification_paid.ok_or(Corruption::JobAmountOverflow(job.id))?,
        burned: job.burned,
        value_at_risk: terms.value_at_risk,
        task_value_at_risk: terms.task_value_at_risk,
        policy: job.policy,
        tasks_rerun: parties
            .verifiers
            .iter()
            .map(tasks)
            .fold(0, u32::saturating_add),
        height: context.height,
        time: context.timestamp,
        revocable_until,
    })
}
