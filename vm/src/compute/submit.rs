//! A customer submits a job: its terms are checked, its policy fixed and its escrow locked.

use types::hash::{Address, JobId};
use types::job::{EarlierVerifiers, JobRecord, JobSpec};
use types::number::{Amount, Attempt};
use types::state_key::StateKey;

use super::escrow::burn_storage;
use super::market::{self, choose_policy};
use super::pending::await_inputs;
use super::price::{escrow, opening_fee, total};
use super::queue::too_long;
use super::rent::{begin_waiting, no_room, with_rent};
use super::spec::check_spec;
use super::{JobError, live, turnout};
use crate::{ActionError, Context, Corruption};

/// Takes a job in, or says which rule it breaks.
// Rules C15, C16, C17.
pub(crate) fn submit(
    context: &mut Context<'_>,
    customer: &Address,
    id: JobId,
    spec: &JobSpec,
) -> Result<(), ActionError> {
    let rules = context.rules;
    let params = &rules.params;
    let terms = check_spec(&params.compute, context.height, spec)?;
    if let Some(banned) = live::banned(&context.overlay, spec)? {
        return Err(banned.into());
    }
    let per_customer = params.compute.live_jobs_per_customer;
    let live = context.chain.live_jobs;
    if let Some(full) = live::full(&context.overlay, live, Some(customer), per_customer)? {
        return Err(full.into());
    }
    let snapshot = context.partners_of(context.epoch)?;
    let referees = context.rules.committee.members().len();
    let now = &context.chain;
    let turnout = turnout::share(now.turnouts.get(&terms.class));
    let policy = choose_policy(&params.compute, spec, &terms, &snapshot, referees, turnout)?;
    if let Some(full) = no_room(&params.compute, &terms, now) {
        return Err(full.into());
    }
    let places = market::places(&terms, &spec.constraints, &snapshot);
    if let Some(refusal) = too_long(&params.compute, &terms, now, places) {
        return Err(refusal.into());
    }
    let escrow = escrow(params, &terms, &policy, live, referees)?;
    let (escrow, rent) = with_rent(params, &terms, &policy, now, escrow)?;
    let opening = opening_fee(&params.compute, &terms, live).ok_or(JobError::Overflow)?;
    let locked = total(&escrow).ok_or(JobError::Overflow)?;
    if live::job(&context.overlay, &id)?.is_some() {
        return Err(Corruption::JobExists(id).into());
    }
    context.debit(customer, locked)?;
    live::insert(context, id, customer)?;
    context.overlay.put(StateKey::JobSpec(id), spec);
    let mut job = JobRecord {
        id,
        customer: *customer,
        terms,
        escrow,
        rent,
        policy,
        attempt: Attempt::ZERO,
        unrunnable_reports: Vec::new(),
        excluded: Vec::new(),
        earlier: EarlierVerifiers::default(),
        states: None,
        stage: (),
        deadline: None,
        opened: context.height,
        draw: None,
        verdicts: 0,
        queued: None,
        burned: Amount::ZERO,
        locked,
        refunded: Amount::ZERO,
        history: Vec::new(),
        settlement: None,
    };
    burn_storage(context, &mut job, opening)?;
    begin_waiting(context, &mut job, false)?;
    Ok(await_inputs(context, job)?)
}
