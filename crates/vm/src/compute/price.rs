//! Prices, windows and escrow: what follows from a spec, a policy and the network's parameters alone.

use types::job::{Escrow, JobSpec, Policy};
use types::limits::{MAX_ATTEMPTS, MAX_VERIFIERS};
use types::number::{Amount, EngineClass};
use types::params::{ClassParams, ComputeParams, Params};

use super::JobError;
use super::fixed::{ONE, ratio_up};
use super::spec::input_bytes;

/// Units of weight that an ask is the price of.
const ASK_WEIGHT: u128 = 1_000_000;
/// A mebibyte.
const MIB: u128 = 1 << 20;
/// Transactions of one party in one attempt: acknowledge, commit, reveal, or announce, claim, reveal.
const PARTY_TRANSACTIONS: u128 = 3;

/// The parameters of a class.
pub fn class_params(params: &ComputeParams, class: EngineClass) -> Result<&ClassParams, JobError> {
    params.classes.iter().find(|known| known.class == class).ok_or(JobError::UnknownClass(class))
}

/// What a partner with an ask is paid for all tasks: the ask is for the weight that the limits allow.
#[must_use]
pub fn price(ask: Amount, spec: &JobSpec) -> Amount {
    Amount(ratio_up(ask.0, total_weight(spec, spec.workload.tasks), ASK_WEIGHT))
}

fn total_weight(spec: &JobSpec, tasks: u32) -> u128 {
    u128::from(spec.workload.limits.weight.0) * u128::from(tasks)
}

/// What a verifier of `tasks_per_verifier` tasks is paid: a share of the price cap of as many tasks.
#[must_use]
pub fn verifier_fee(params: &ComputeParams, spec: &JobSpec, tasks_per_verifier: u32) -> Amount {
    let tasks = u128::from(spec.workload.tasks.max(1));
    let share = u128::from(tasks_per_verifier) * u128::from(params.verifier_fee_percent);
    Amount(ratio_up(spec.price_cap.0, share, tasks * 100))
}

/// How many verifiers may be bound to an attempt: far more than sortition draws in all but one of 10^5 jobs, and the
/// minimum twice, so that each may be replaced.
#[must_use]
pub fn seats(policy: &Policy) -> usize {
    let drawn = policy.expected_verifiers.0.saturating_mul(3).div_ceil(ONE).saturating_add(4);
    let filled = 2 * usize::from(policy.minimum_verifiers.max(1));
    usize::try_from(drawn).unwrap_or(MAX_VERIFIERS).saturating_add(filled).min(MAX_VERIFIERS)
}

/// Most attempts of a job.
#[must_use]
pub fn most_attempts(params: &ComputeParams) -> u16 {
    params.max_attempts.clamp(1, MAX_ATTEMPTS)
}

/// The fee for storing the inputs, and the one for storing what the limits let all tasks write.
#[must_use]
pub fn storage_fees(params: &ComputeParams, spec: &JobSpec) -> Option<(Amount, Amount)> {
    let inputs = input_bytes(&spec.workload);
    let results = u128::from(spec.workload.limits.output_bytes) * u128::from(spec.workload.tasks);
    let fee = |bytes: u128| params.storage_fee_per_mib.checked_mul(bytes.div_ceil(MIB));
    Some((fee(inputs)?, fee(results)?))
}

/// What is locked when a job is opened.
pub fn escrow(params: &Params, spec: &JobSpec, policy: &Policy) -> Result<Escrow, JobError> {
    let seats = u128::try_from(seats(policy)).map_err(|_| JobError::Overflow)?;
    let parties = seats + u128::from(most_attempts(&params.compute));
    let build = || {
        let (inputs, results) = storage_fees(&params.compute, spec)?;
        let escrow = Escrow {
            execution: spec.price_cap,
            verification: policy.verifier_fee.checked_mul(seats)?,
            storage: inputs.checked_add(results)?,
            fees: params.minimum_fee.checked_mul(parties * PARTY_TRANSACTIONS)?,
        };
        total(&escrow).map(|_| escrow)
    };
    build().ok_or(JobError::Overflow)
}

/// All that an escrow holds.
#[must_use]
pub fn total(escrow: &Escrow) -> Option<Amount> {
    Amount::sum([escrow.execution, escrow.verification, escrow.storage, escrow.fees])
}

/// The chain time for running `tasks` tasks: three times their weight at the class's lowest admitted speed, and the
/// network's window.
#[must_use]
pub fn execute_window_ms(params: &ComputeParams, spec: &JobSpec, tasks: u32) -> u64 {
    let speed = class_params(params, spec.workload.class).map_or(1, |class| class.lowest_weight_per_ms.max(1));
    let run = (3 * total_weight(spec, tasks)).div_ceil(u128::from(speed));
    params.execute_window_ms.saturating_add(u64::try_from(run).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
