//! Rent: what a job holds is paid by the time, so that nobody keeps others from it for nothing.
//!
//! Its place among the live jobs and the bytes that validators promise to store are the chain's; the bonds are its
//! parties'. The escrow covers the longest time that all windows of all attempts can take; what is due is burned at the
//! end and the rest given back. The rates are those of the block that took the job in: they rise with what is taken.

use types::job::{Escrow, JobRent, JobTerms, Policy};
use types::number::{Amount, ChainTime};
use types::params::{ComputeParams, Params};

use super::JobError;
use super::escrow::burn_rent;
use super::price::{
    JOBS_PER_OPENING_FEE, execute_window_ms, max_attempts, max_stored_bytes, max_verifiers,
    store_window_ms, total,
};
use super::queue::{attempt_began, attempt_ended, patience_ms};
use super::record::Job;
use crate::{Abort, ChainRecord, Context, Corruption};

/// What a rate is for, in milliseconds.
const MINUTE_MS: u128 = 60_000;
/// Steps in which the rent of room for blobs rises until all of it is taken.
const ROOM_STEPS: u64 = 8;
/// Appointments, executions and openings that one attempt may take, each with a window of its own.
const ROUNDS: u64 = 2;

/// What an amount per minute comes to in a time, rounded up.
fn over(per_minute: Amount, ms: u64) -> Option<Amount> {
    let all = per_minute.0.checked_mul(u128::from(ms))?;
    Some(Amount(all.div_ceil(MINUTE_MS)))
}

/// Bytes that the results of a job can take, as the chain counts them.
fn result_bytes(terms: &JobTerms) -> u64 {
    u64::try_from(max_stored_bytes(terms)).unwrap_or(u64::MAX)
}

/// The rent of a job that is taken in now.
// Rule C62.
fn rates(
    params: &ComputeParams,
    terms: &JobTerms,
    policy: &Policy,
    now: &ChainRecord,
) -> Option<JobRent> {
    let places = u128::from(now.live_jobs / JOBS_PER_OPENING_FEE) + 1;
    let room = params.blob_room_bytes.max(1);
    let step = now.live_bytes.saturating_mul(ROOM_STEPS) / room;
    let of_bytes = |bytes: u64| {
        let rate = params.blob_rent_per_gib.checked_mul(u128::from(step) + 1)?;
        let all = rate.checked_mul(bytes.into())?;
        Some(Amount(all.0.div_ceil(1 << 30)))
    };
    let verifiers = u128::try_from(max_verifiers(policy)).ok()?;
    let bonds = policy
        .verifier_bond
        .checked_mul(verifiers)?
        .checked_add(policy.bond)?;
    let bonds = bonds.checked_mul(params.bond_rent_ppb.into())?;
    let place = params.place_rent.checked_mul(places)?;
    let waiting = place.checked_add(of_bytes(terms.input_bytes)?)?;
    let running = waiting
        .checked_add(of_bytes(result_bytes(terms))?)?
        .checked_add(Amount(bonds.0.div_ceil(1_000_000_000)))?;
    Some(JobRent {
        waiting,
        running,
        due: Amount::ZERO,
        until: now.chain_time,
        bytes: 0,
    })
}

/// The longest that a job may wait for inputs and primaries, and the longest that its attempts may take, in milliseconds.
pub(super) fn longest_ms(params: &Params, terms: &JobTerms, policy: &Policy) -> (u64, u64) {
    let compute = &params.compute;
    let attempts = u64::from(max_attempts(compute));
    let waiting = patience_ms(compute, terms)
        .saturating_mul(attempts)
        .saturating_add(compute.open_window_ms);
    let round = [
        compute.open_window_ms,
        execute_window_ms(compute, terms, policy.tasks_per_verifier),
        compute.reveal_window_ms,
    ];
    let rounds = round
        .into_iter()
        .fold(0, u64::saturating_add)
        .saturating_mul(ROUNDS);
    let attempt = [
        compute.acknowledge_window_ms,
        execute_window_ms(compute, terms, terms.tasks.count()),
        params.announcements_last_ms(),
        rounds,
    ];
    let attempt = attempt.into_iter().fold(0, u64::saturating_add);
    let running = attempt
        .saturating_mul(attempts)
        .saturating_add(store_window_ms(compute, terms));
    (waiting, running)
}

/// Adds the rent of the longest time to an escrow.
// Rules C16, C62.
pub(super) fn with_rent(
    params: &Params,
    terms: &JobTerms,
    policy: &Policy,
    now: &ChainRecord,
    escrow: Escrow,
) -> Result<(Escrow, JobRent), JobError> {
    let build = || {
        let rent = rates(&params.compute, terms, policy, now)?;
        let (waiting, running) = longest_ms(params, terms, policy);
        let all = over(rent.waiting, waiting)?.checked_add(over(rent.running, running)?)?;
        let escrow = Escrow {
            rent: all,
            ..escrow
        };
        total(&escrow).map(|_| (escrow, rent))
    };
    build().ok_or(JobError::Overflow)
}

/// The refusal of a job for whose inputs there is no room.
// Rule C62.
pub(super) fn no_room(
    params: &ComputeParams,
    terms: &JobTerms,
    now: &ChainRecord,
) -> Option<JobError> {
    let left = params.blob_room_bytes.saturating_sub(now.live_bytes);
    (terms.input_bytes > left).then_some(JobError::NoRoom {
        needed: terms.input_bytes,
        left,
    })
}

/// True if there is room for what the results of a job may take.
// Rule C62.
pub(super) fn has_room_for_results(context: &Context<'_>, terms: &JobTerms) -> bool {
    let held = context.chain.live_bytes;
    result_bytes(terms)
        <= context
            .rules
            .params
            .compute
            .blob_room_bytes
            .saturating_sub(held)
}

fn hold(context: &mut Context<'_>, job: &mut Job, bytes: u64) -> Result<(), Corruption> {
    let others = context.chain.live_bytes.checked_sub(job.rent.bytes);
    let others = others.ok_or(Corruption::LiveBytes(job.id))?;
    context.chain.live_bytes = others.saturating_add(bytes);
    job.rent.bytes = bytes;
    Ok(())
}

fn accrue(rent: &mut JobRent, per_minute: Amount, now: ChainTime) -> Option<()> {
    let ms = now.0.saturating_sub(rent.until.0);
    rent.due = rent.due.checked_add(over(per_minute, ms)?)?;
    rent.until = now;
    Some(())
}

/// The job begins to wait for inputs or for a primary: it holds room for its inputs.
pub(super) fn begin_waiting(
    context: &mut Context<'_>,
    job: &mut Job,
    was_running: bool,
) -> Result<(), Abort> {
    owe(context, job, was_running)?;
    let bytes = job.terms.input_bytes;
    Ok(hold(context, job, bytes)?)
}

/// An attempt begins: it holds room for its results too.
pub(super) fn begin_running(context: &mut Context<'_>, job: &mut Job) -> Result<(), Abort> {
    owe(context, job, false)?;
    attempt_began(context);
    let bytes = job
        .terms
        .input_bytes
        .saturating_add(result_bytes(&job.terms));
    Ok(hold(context, job, bytes)?)
}

/// Counts the rent up to now.
fn owe(context: &mut Context<'_>, job: &mut Job, was_running: bool) -> Result<(), Corruption> {
    let rate = if was_running {
        let ms = context.chain_time.0.saturating_sub(job.rent.until.0);
        attempt_ended(context, ms);
        job.rent.running
    } else {
        job.rent.waiting
    };
    accrue(&mut job.rent, rate, context.chain_time).ok_or(Corruption::JobAmountOverflow(job.id))
}

/// The job ends: its room is free, and what is due is burned, as far as the escrow covers it.
// Rule C62.
pub(super) fn pay_rent(
    context: &mut Context<'_>,
    job: &mut Job,
    was_running: bool,
) -> Result<(), Abort> {
    owe(context, job, was_running)?;
    hold(context, job, 0)?;
    let due = job.rent.due.min(job.escrow.rent);
    burn_rent(context, job, due)
}
