//! The jobs that wait for a draw, by the step of the beacon that draws: a block reads those whose step is over.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use state::{StateRead, read_as};
use types::hash::JobId;
use types::number::{BeaconStep, ChainTime, Epoch};
use types::state_key::StateKey;

use crate::{Abort, Context, Corruption};

/// When a draw was fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Draw {
    /// The epoch in which it was fixed: it draws from that epoch's snapshot of partners.
    pub epoch: Epoch,
    /// Chain time at which it was fixed.
    pub since: ChainTime,
}

/// The draws that a step of the beacon ends, under `StateKey::Draws`.
pub type Draws = BTreeMap<JobId, Draw>;

/// The draws of a step, in any state.
pub fn draws(state: &dyn StateRead, step: BeaconStep) -> Result<Draws, Abort> {
    Ok(read_as(state, &StateKey::Draws(step))?.unwrap_or_default())
}

fn put(context: &mut Context<'_>, step: BeaconStep, draws: &Draws) {
    let key = StateKey::Draws(step);
    if draws.is_empty() {
        context.overlay.delete(key);
    } else {
        context.overlay.put(key, draws);
    }
}

/// Fixes a job's draw in this block.
// Rule C28.
pub(crate) fn insert(context: &mut Context<'_>, step: BeaconStep, job: JobId) -> Result<(), Abort> {
    let mut draws = draws(&context.overlay, step)?;
    let draw = Draw {
        epoch: context.epoch,
        since: context.chain_time,
    };
    context.chain.first_draw = context.chain.first_draw.min(step);
    if draws.insert(job, draw).is_none() {
        context.chain.draws = context.chain.draws.saturating_add(1);
    }
    put(context, step, &draws);
    Ok(())
}

/// Takes out a draw that is done, or that the job does not wait for any more.
pub(crate) fn remove(context: &mut Context<'_>, step: BeaconStep, job: JobId) -> Result<(), Abort> {
    let mut draws = draws(&context.overlay, step)?;
    draws.remove(&job).ok_or(Corruption::NoDraw { job, step })?;
    context.chain.draws = context.chain.draws.saturating_sub(1);
    put(context, step, &draws);
    Ok(())
}

/// The draws whose steps are over, those of the oldest steps first and at least `max` if there are as many, each with the
/// chain time at which it was fixed.
pub(crate) fn ready(
    context: &mut Context<'_>,
    max: usize,
) -> Result<Vec<(ChainTime, JobId)>, Abort> {
    let last = context.beacon.step;
    let (mut found, mut all_done) = (Vec::new(), true);
    let mut step = context.chain.first_draw;
    while step <= last && found.len() < max {
        let draws = draws(&context.overlay, step)?;
        all_done &= draws.is_empty();
        step = step.next();
        if all_done {
            context.chain.first_draw = step;
        }
        found.extend(draws.into_iter().map(|(job, draw)| (draw.since, job)));
    }
    Ok(found)
}
