//! What a job would cost and who could run it, without submitting it.

use std::collections::BTreeMap;

use state::StateRead;
use types::hash::Address;
use types::job::{Escrow, JobSpec, Policy};
use types::number::{Amount, Height};

use super::JobError;
use super::market::{Exclusion, choose_policy, fixed_exclusion, live_exclusion, places};
use super::price::{escrow, opening_fee, price, total};
use super::queue::too_long;
use super::rent::{longest_ms, no_room, with_rent};
use super::spec::check_spec;
use crate::{Abort, Rules, partner};

/// What submitting a job now would give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEstimate {
    /// How it would be checked (mu, k, x, q and the bonds); `None` if no policy exists.
    pub policy: Option<Policy>,
    /// What would be locked, in base units.
    pub escrow: Option<Escrow>,
    /// What of the escrow's part for storage would be burned at once, in base units.
    pub opening_fee: Option<Amount>,
    /// The sum of the escrow, in base units.
    pub total: Option<Amount>,
    /// The lowest price for execution among the eligible partners.
    pub lowest_price: Option<Amount>,
    /// The longest time that the job may take with all its waits and attempts, without a dispute, in milliseconds of chain
    /// time.
    pub longest_ms: Option<u64>,
    /// Partners that could be drawn now, ascending.
    pub eligible: Vec<Address>,
    /// Why the others could not be drawn, each reason with the number of partners that it concerns.
    pub exclusions: BTreeMap<Exclusion, u32>,
    /// Why it would be refused; `None` if it would be taken.
    pub refusal: Option<JobError>,
}

/// Estimates a job over the state after the block of height `tip`, as the next block would see it.
pub fn estimate(
    rules: &Rules,
    state: &dyn StateRead,
    tip: Height,
    spec: &JobSpec,
) -> Result<JobEstimate, Abort> {
    let snapshot = partner::snapshot(state, rules.epoch(tip.next()))?.unwrap_or_default();
    let mut estimate = JobEstimate {
        policy: None,
        escrow: None,
        opening_fee: None,
        total: None,
        lowest_price: None,
        longest_ms: None,
        eligible: Vec::new(),
        exclusions: BTreeMap::new(),
        refusal: None,
    };
    let now = crate::chain_record(state)?;
    let referees = rules.committee.members().len();
    let priced = check_spec(&rules.params.compute, tip.next(), spec).and_then(|terms| {
        let turnout = super::turnout::share(now.turnouts.get(&terms.class));
        let params = &rules.params.compute;
        let policy = choose_policy(params, spec, &terms, &snapshot, referees, turnout)?;
        let escrow = escrow(&rules.params, &terms, &policy, now.live_jobs, referees)?;
        let (escrow, _) = with_rent(&rules.params, &terms, &policy, &now, escrow)?;
        Ok((terms, policy, escrow))
    });
    let (terms, policy, escrow) = match priced {
        Ok(priced) => priced,
        Err(refusal) => {
            estimate.refusal = Some(refusal);
            return Ok(estimate);
        }
    };
    for entry in snapshot.iter() {
        let fixed = fixed_exclusion(&terms, &spec.constraints, &policy, entry);
        if let Some(exclusion) = fixed.map_or_else(
            || live_exclusion(state, &policy, entry),
            |fixed| Ok(Some(fixed)),
        )? {
            *estimate.exclusions.entry(exclusion).or_default() += 1;
            continue;
        }
        let price = price(entry.profile.ask, &terms);
        estimate.lowest_price = Some(
            estimate
                .lowest_price
                .map_or(price, |lowest| lowest.min(price)),
        );
        estimate.eligible.push(entry.address);
    }
    let per_customer = rules.params.compute.live_jobs_per_customer;
    let full = super::live::full(state, now.live_jobs, None, per_customer)?;
    estimate.refusal = match super::live::banned(state, spec)?.or(full) {
        None => {
            let (params, places) = (
                &rules.params.compute,
                places(&terms, &spec.constraints, &snapshot),
            );
            no_room(params, &terms, &now).or_else(|| too_long(params, &terms, &now, places))
        }
        refusal => refusal,
    };
    let (waiting, running) = longest_ms(&rules.params, &terms, &policy);
    estimate.longest_ms = Some(waiting.saturating_add(running));
    estimate.opening_fee = opening_fee(&rules.params.compute, &terms, now.live_jobs);
    (estimate.total, estimate.policy, estimate.escrow) =
        (total(&escrow), Some(policy), Some(escrow));
    Ok(estimate)
}
