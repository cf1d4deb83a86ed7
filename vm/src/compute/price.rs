//! Prices, windows and escrow: what follows from a job's terms, a policy and the network's parameters alone.

use types::job::{Escrow, JobTerms, Policy, Workload};
use types::limits::{MAX_ATTEMPTS, MAX_OUTCOME_BYTES, MAX_STATE_ENTRY_BYTES, MAX_VERIFIERS};
use types::number::{Amount, EngineClass};
use types::params::{ClassParams, ComputeParams, Params};
use types::snapshot::EpochPartner;

use super::JobError;
use super::fixed::{ONE, ratio_up};

/// Units of fuel that an ask is the price of.
const ASK_FUEL: u128 = 1_000_000;
/// Bytes of a mebibyte, the unit of storage fees.
const MIB: u128 = 1 << 20;
/// Live jobs for which the fee for opening another one rises by itself once more.
pub(super) const JOBS_PER_OPENING_FEE: u32 = 512;
/// Transactions of one party in one attempt: acknowledge or announce, commit, reveal.
const PARTY_TRANSACTIONS: u128 = 3;

/// The parameters of a class.
pub fn class_params(params: &ComputeParams, class: EngineClass) -> Result<&ClassParams, JobError> {
    params.class(class).ok_or(JobError::UnknownClass(class))
}

/// What a partner with an ask is paid for all tasks: the ask is for the fuel that the limits allow.
// Rule C13.
#[must_use]
pub fn price(ask: Amount, terms: &JobTerms) -> Amount {
    Amount(ratio_up(
        ask.0,
        total_fuel(terms, terms.tasks.count()),
        ASK_FUEL,
    ))
}

fn total_fuel(terms: &JobTerms, tasks: u32) -> u128 {
    u128::from(terms.fuel.0) * u128::from(tasks)
}

/// The minimum price cap: the class's floor for the fuel of all tasks.
// Rule C13.
pub fn min_price(params: &ComputeParams, terms: &JobTerms) -> Result<Amount, JobError> {
    Ok(price(class_params(params, terms.class)?.min_ask, terms))
}

/// What fuel is worth among the partners of a class: the ask that half of their bond is at or below, and at least the
/// floor.
// Rule C18.
pub fn ask_level(
    params: &ComputeParams,
    class: EngineClass,
    partners: &[&EpochPartner],
) -> Result<Amount, JobError> {
    let mut asks: Vec<_> = partners
        .iter()
        .map(|partner| (partner.profile.ask, partner.bond.0))
        .collect();
    asks.sort_unstable();
    let all = asks
        .iter()
        .fold(0u128, |sum, (_, bond)| sum.saturating_add(*bond));
    let below = asks.iter().scan(0u128, |sum, (ask, bond)| {
        *sum = sum.saturating_add(*bond);
        Some((*sum, *ask))
    });
    let median = below
        .into_iter()
        .find(|(sum, _)| *sum >= all.div_ceil(2))
        .map(|(_, ask)| ask);
    Ok(median
        .unwrap_or_default()
        .max(class_params(params, class)?.min_ask))
}

/// What a verifier of `tasks_per_verifier` tasks is paid: a share of what their fuel is worth at a level of asks,
/// whatever the customer's price cap is.
// Rule C18.
#[must_use]
pub fn verifier_fee(
    params: &ComputeParams,
    terms: &JobTerms,
    tasks_per_verifier: u32,
    level: Amount,
) -> Amount {
    let share = total_fuel(terms, tasks_per_verifier)
        .saturating_mul(u128::from(params.verifier_fee_percent));
    Amount(ratio_up(level.0, share, ASK_FUEL * 100))
}

/// What all referees of a dispute are paid, each as a verifier for one task.
// Rules C16, C67.
#[must_use]
pub fn referees_fees(
    params: &ComputeParams,
    terms: &JobTerms,
    level: Amount,
    referees: usize,
) -> Amount {
    let referees = u128::try_from(referees).unwrap_or(u128::MAX);
    let fee = verifier_fee(params, terms, 1, level);
    Amount(fee.0.saturating_mul(referees))
}

/// What a referee is paid for a vote: a verifier's fee for one task.
// Rule C67.
#[must_use]
pub fn referee_fee(policy: &Policy) -> Amount {
    let tasks = u128::from(policy.tasks_per_verifier.max(1));
    Amount(policy.verifier_fee.0.div_ceil(tasks))
}

/// Maximum number of verifiers bound to an attempt: far more than sortition draws in all but one of 10^5 jobs, and the
/// minimum twice, so that each may be replaced.
// Rule C19.
#[must_use]
pub fn max_verifiers(policy: &Policy) -> usize {
    let drawn = policy
        .expected_verifiers
        .0
        .saturating_mul(3)
        .div_ceil(ONE)
        .saturating_add(4);
    let appointed = 2 * usize::from(policy.min_verifiers.max(1));
    usize::try_from(drawn)
        .unwrap_or(MAX_VERIFIERS)
        .saturating_add(appointed)
        .min(MAX_VERIFIERS)
}

/// Maximum number of attempts of a job.
#[must_use]
pub fn max_attempts(params: &ComputeParams) -> u16 {
    params.max_attempts.clamp(1, MAX_ATTEMPTS)
}

/// The fee for opening a job, burned when it is submitted: for storing its inputs, and as much again for every so many
/// jobs that are live, so that places for jobs cannot be held for nothing.
// Rule C17.
#[must_use]
pub fn opening_fee(params: &ComputeParams, terms: &JobTerms, live: u32) -> Option<Amount> {
    let times = u128::from(live / JOBS_PER_OPENING_FEE).checked_add(1)?;
    params
        .storage_fee_per_mib
        .checked_mul(u128::from(terms.input_bytes).div_ceil(MIB))?
        .checked_mul(times)
}

/// The fee for storing so many bytes of results, burned when they are stored.
// Rule C17.
#[must_use]
pub fn results_fee(params: &ComputeParams, bytes: u128) -> Option<Amount> {
    params.storage_fee_per_mib.checked_mul(bytes.div_ceil(MIB))
}

/// The most that the results of a job and their list can take, in bytes.
// Rule C17.
#[must_use]
pub fn max_stored_bytes(terms: &JobTerms) -> u128 {
    let of_state = if terms.state.is_chain() {
        MAX_STATE_ENTRY_BYTES
    } else {
        0
    };
    let listed = u128::try_from(MAX_OUTCOME_BYTES + of_state).unwrap_or(u128::MAX);
    (u128::from(terms.output_bytes) + listed) * u128::from(terms.tasks.count())
}

/// What is locked beside the rent when a job is opened while `live` others are and so many validators would be referees; the
/// opening fee is burned at once.
// Rule C16.
pub fn escrow(
    params: &Params,
    terms: &JobTerms,
    policy: &Policy,
    live: u32,
    referees: usize,
) -> Result<Escrow, JobError> {
    let verifiers = u128::try_from(max_verifiers(policy)).map_err(|_| JobError::Overflow)?;
    let referees = u128::try_from(referees).map_err(|_| JobError::Overflow)?;
    let parties = verifiers + u128::from(max_attempts(&params.compute));
    let build = || {
        let (opening, results) = (
            opening_fee(&params.compute, terms, live)?,
            results_fee(&params.compute, max_stored_bytes(terms))?,
        );
        let escrow = Escrow {
            execution: terms.price_cap,
            verification: policy.verifier_fee.checked_mul(verifiers)?,
            storage: opening.checked_add(results)?,
            fees: params.min_fee.checked_mul(parties * PARTY_TRANSACTIONS)?,
            rent: Amount::ZERO,
            referees: referee_fee(policy).checked_mul(referees)?,
        };
        total(&escrow).map(|_| escrow)
    };
    build().ok_or(JobError::Overflow)
}

/// All that an escrow holds.
#[must_use]
pub fn total(escrow: &Escrow) -> Option<Amount> {
    Amount::sum([
        escrow.execution,
        escrow.verification,
        escrow.storage,
        escrow.fees,
        escrow.rent,
        escrow.referees,
    ])
}

/// The chain time for running `tasks` tasks: what the network gives for their fuel, the inputs at the class's lowest
/// admitted bandwidth, and the network's window.
// Rule C21.
#[must_use]
pub fn execute_window_ms(params: &ComputeParams, terms: &JobTerms, tasks: u32) -> u64 {
    let run = params.run_window_ms(terms.class, total_fuel(terms, tasks));
    let moved = u128::from(terms.input_bytes) + state_bytes(terms, tasks);
    let all = run.saturating_add(transfer_ms(params, terms, moved));
    params
        .execute_window_ms
        .saturating_add(u64::try_from(all).unwrap_or(u64::MAX))
}

/// Bytes of the states with which so many tasks begin, at most; none where they are independent.
// Rule C82.
fn state_bytes(terms: &JobTerms, tasks: u32) -> u128 {
    if terms.state.is_chain() {
        u128::from(terms.output_bytes) * u128::from(tasks)
    } else {
        0
    }
}

/// The chain time for referees to run one task: three times what verifiers have, since a referee runs it again for its
/// witness and may have several to run.
// Rule C64.
#[must_use]
pub fn vote_window_ms(params: &ComputeParams, terms: &JobTerms) -> u64 {
    execute_window_ms(params, terms, 1).saturating_mul(3)
}

/// The chain time for storing the results: what the limits let all tasks write at the class's lowest admitted bandwidth,
/// and the network's window.
// Rule C21.
#[must_use]
pub fn store_window_ms(params: &ComputeParams, terms: &JobTerms) -> u64 {
    let move_all = transfer_ms(params, terms, result_bytes(terms));
    params
        .store_window_ms
        .saturating_add(u64::try_from(move_all).unwrap_or(u64::MAX))
}

fn transfer_ms(params: &ComputeParams, terms: &JobTerms, bytes: u128) -> u128 {
    let bandwidth =
        class_params(params, terms.class).map_or(1, |class| class.lowest_bytes_per_ms.max(1));
    bytes.div_ceil(u128::from(bandwidth))
}

/// Bytes that the limits let all tasks write.
pub(super) fn result_bytes(terms: &JobTerms) -> u128 {
    u128::from(terms.output_bytes) * u128::from(terms.tasks.count())
}

/// The minimum fuel of a task: its module has to be compiled and its inputs read before anything runs.
// Rule C8.
#[must_use]
pub fn min_fuel(workload: &Workload) -> u128 {
    u128::from(workload.loading_fuel()).max(1)
}

#[cfg(test)]
mod tests;
