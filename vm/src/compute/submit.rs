//! A customer submits a job: its terms are checked, its policy fixed and its escrow locked.

use std::collections::BTreeSet;

use types::hash::{Address, JobId};
use types::job::{JobRecord, JobSpec, Stage};
use types::number::{Amount, Attempt};

use super::exit::burn_storage;
use super::job::{after, enter};
use super::market::choose_policy;
use super::price::{escrow, opening_fee, total};
use super::spec::check_spec;
use super::{JobError, live};
use crate::{ActionError, Context, Fault};

pub(super) fn submit(
    context: &mut Context<'_>,
    customer: Address,
    id: JobId,
    spec: &JobSpec,
) -> Result<(), ActionError> {
    let params = &context.rules.params;
    check_spec(&params.compute, spec)?;
    let due = live::jobs_due(&context.overlay)?;
    if let Some(full) = live::full(&due, Some(&customer), params.compute.live_jobs_per_customer) {
        return Err(full.into());
    }
    let snapshot = context.snapshot(context.epoch)?.unwrap_or_default();
    let policy = choose_policy(&params.compute, spec, &snapshot)?;
    let escrow = escrow(params, spec, &policy, due.len())?;
    let opening = opening_fee(&params.compute, spec, due.len()).ok_or(JobError::Overflow)?;
    let locked = total(&escrow).ok_or(JobError::Overflow)?;
    let deadline = after(context, params.compute.open_window_ms);
    if live::job(&context.overlay, &id)?.is_some() {
        return Err(Fault::Broken("a job's id names another one").into());
    }
    context.debit(&customer, locked)?;
    live::insert(context, id)?;
    let stage = Stage::Pending {
        stored: BTreeSet::new(),
        draw: None,
        deadline,
    };
    let mut record = JobRecord {
        id,
        customer,
        spec: spec.clone(),
        escrow,
        policy,
        attempt: Attempt::ZERO,
        unrunnable_reports: Vec::new(),
        excluded: Vec::new(),
        stage: stage.clone(),
        burned: Amount::ZERO,
        history: Vec::new(),
    };
    burn_storage(context, &mut record, opening)?;
    Ok(enter(context, record, stage)?)
}
