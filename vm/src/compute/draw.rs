//! Draws from the beacon: a primary, and verifiers where sortition selected too few.
//!
//! A draw is a function of the beacon, the job, the attempt and what is drawn for, over draw weights that were fixed when
//! the draw was: bonds, asks and places of the epoch in which the job began to wait for it. The beacon puts partners in
//! an order; a partner that cannot take its turn now, for want of a place or of free bond, is passed over. So whoever
//! builds the block that holds the beacon can take itself out of the order, and not change the order of the others.
//! Draw weights are integers; the remainder of a 256-bit hash by their sum picks one.
//!
//! First come *tries*, which pick by bond among a class, so that an index of sums and the page of whoever is picked are all that is
//! read; who does not fit is picked in vain. Where few fit, *turns* follow, over all partners and without replacement. Both find
//! each one of those who can take the job with a chance in proportion to its draw weight.

use std::sync::Arc;

use ruint::aliases::U256;
use types::attestation::drawn_tasks;
use types::hash::{Address, Domain, Hash32};
use types::job::{Appointing, Primary, Verifier};
use types::limits::{DRAW_RECORD_COST, MAX_DRAW_COST_PER_BLOCK};
use types::number::{Amount, EngineClass, Epoch, TaskIndex};
use types::snapshot::{EpochPartner, PartnerSnapshot};

use super::live::spec;
use super::market::{Exclusion, fixed_exclusion, live_exclusion, verification_places};
use super::price::price;
use super::record::Job;
use super::weights::DrawWeights;
use crate::{Abort, Context};

/// What a draw is for.
const FOR_PRIMARY: u8 = 0;
const FOR_VERIFIER: u8 = 1;
/// Marks the hash by which a try weighs an ask.
const ASK: u8 = 0;
/// Tries of one draw, each of which reads one page of partners; turns among all of them follow where these do not do.
const TRIES: u64 = 64;
/// Maximum turns of one draw; if all of them pass, another draw follows with a later beacon.
const MAX_TURNS: usize = 256;

/// What a draw runs over: all of it was fixed before the beacon was known, but for who can take its turn.
pub(super) struct Lottery {
    /// The beacon after the step that draws.
    pub beacon: Hash32,
    /// The epoch in which the draw was fixed, which says who is in it.
    pub epoch: Epoch,
}

/// Bond times min(2, cap / price): the cheaper, the likelier, up to twice.
// Rule C32.
fn primary_draw_weight(bond: Amount, price: Amount, cap: Amount) -> U256 {
    if price == Amount::ZERO {
        return U256::from(bond.0) * U256::from(2u8);
    }
    let times = (U256::from(price.0) * U256::from(2u8)).min(U256::from(cap.0));
    // The bond has 128 bits and the factor 129 at most: it is cut to 128, where it can no longer matter.
    U256::from(bond.0) * U256::from(times.saturating_to::<u128>()) / U256::from(price.0)
}

/// The order into which a seed puts positions with draw weights: each turn draws one of those that are left.
struct Turns {
    seed: Hash32,
    draw_weights: DrawWeights,
    turn: u64,
}

impl Turns {
    // Rule C29.
    fn new(seed: Hash32, draw_weights: Vec<U256>) -> Self {
        Self {
            seed,
            draw_weights: DrawWeights::new(draw_weights),
            turn: TRIES,
        }
    }
}

impl Iterator for Turns {
    type Item = usize;

    // Rule C29.
    fn next(&mut self) -> Option<usize> {
        let seed = Hash32::of(Domain::DRAW, &(self.seed, self.turn));
        let point = U256::from_le_bytes(seed.0).checked_rem(self.draw_weights.left())?;
        self.turn += 1;
        self.draw_weights.take(point)
    }
}

/// True if this block may draw once more.
// Rule C24.
pub(super) fn has_budget(context: &Context<'_>) -> bool {
    context.draw_work.cost < MAX_DRAW_COST_PER_BLOCK
}

/// Why a partner of the snapshot cannot take the job now. A record is read once for those that have no place at all.
// Rules C24, C30, C32.
fn exclusion_now(
    context: &mut Context<'_>,
    job: &Job,
    entry: &EpochPartner,
) -> Result<Option<Exclusion>, Abort> {
    let of = (entry.address, entry.profile.places);
    if context.draw_work.full.contains(&of) {
        return Ok(Some(Exclusion::Places));
    }
    context.draw_work.cost += DRAW_RECORD_COST;
    let found = live_exclusion(&context.overlay, &job.policy, entry)?;
    if matches!(found, Some(Exclusion::Places | Exclusion::Paused)) {
        context.draw_work.full.insert(of);
    }
    Ok(found)
}

// Rule C29.
fn seed(beacon: &Hash32, job: &Job, purpose: u8, round: u16) -> Hash32 {
    Hash32::of(Domain::DRAW, &(beacon, job.id, job.attempt, purpose, round))
}

/// The partner of a class that a try picks by bond; `None` if the epoch sees none.
// Rules C24, C29.
fn picked(
    context: &mut Context<'_>,
    (epoch, class): (Epoch, EngineClass),
    seed: &Hash32,
    number: u64,
) -> Result<Option<EpochPartner>, Abort> {
    context.draw_work.cost += 1;
    let index = context.index_of(epoch)?;
    let all = U256::from(index.class_bond(class).0);
    let point = Hash32::of(Domain::DRAW, &(seed, number));
    let Some(point) = U256::from_le_bytes(point.0).checked_rem(all) else {
        return Ok(None);
    };
    let mut rest = Amount(point.saturating_to());
    for (number, version) in index.pages() {
        let bond = version.bond(class);
        if rest >= bond {
            rest = rest.saturating_sub(bond);
            continue;
        }
        if context.draw_work.pages.insert((number, version.since)) {
            context.draw_work.cost += usize::from(version.partners);
        }
        let page = context.seen_page(number, version.since)?;
        for entry in page.0.iter().filter(|entry| entry.runs(class)) {
            if rest < entry.bond {
                return Ok(Some(entry.clone()));
            }
            rest = rest.saturating_sub(entry.bond);
        }
    }
    Ok(None)
}

/// True if a try takes a partner that it picked by bond as a primary of this price: the cheaper, the likelier, as in its draw weight.
// Rules C29, C32.
fn is_cheap_enough(seed: &Hash32, number: u64, price: Amount, cap: Amount) -> bool {
    let point = Hash32::of(Domain::DRAW, &(seed, number, ASK));
    let twice = U256::from(price.0) * U256::from(2u8);
    let point = U256::from_le_bytes(point.0).checked_rem(twice);
    point.is_none_or(|point| point < U256::from(cap.0))
}

/// All partners that an epoch sees, for a draw that looks at each.
// Rule C24.
fn everybody(context: &mut Context<'_>, epoch: Epoch) -> Result<Arc<PartnerSnapshot>, Abort> {
    let index = context.index_of(epoch)?;
    let count = index.pages().map(|(_, page)| usize::from(page.partners));
    context.draw_work.cost += count.sum::<usize>();
    context.partners_of(epoch)
}

/// Draws a primary among those that can run the job now; `None` if neither tries nor turns find one.
// Rules C29, C30, C32.
pub(super) fn draw_primary(
    context: &mut Context<'_>,
    job: &Job,
    lottery: &Lottery,
) -> Result<Option<Primary>, Abort> {
    let constraints = spec(&context.overlay, &job.id)?.constraints;
    let fits = |entry: &&EpochPartner| {
        fixed_exclusion(&job.terms, &constraints, &job.policy, entry).is_none()
            && !job.excluded.contains(&entry.address)
    };
    let price = |entry: &EpochPartner| price(entry.profile.ask, &job.terms);
    let primary = |entry: &EpochPartner| Primary {
        partner: entry.address,
        price: price(entry),
        bond: job.policy.bond,
    };
    let (seed, cap) = (
        seed(&lottery.beacon, job, FOR_PRIMARY, 0),
        job.terms.price_cap,
    );
    for number in 0..TRIES {
        let class = (lottery.epoch, job.terms.class);
        let Some(entry) = picked(context, class, &seed, number)? else {
            return Ok(None);
        };
        let takes = fits(&&entry) && is_cheap_enough(&seed, number, price(&entry), cap);
        if takes && exclusion_now(context, job, &entry)?.is_none() {
            return Ok(Some(primary(&entry)));
        }
    }
    let all = everybody(context, lottery.epoch)?;
    let fitting: Vec<_> = all.iter().filter(fits).collect();
    let draw_weights = fitting
        .iter()
        .map(|entry| primary_draw_weight(entry.bond, price(entry), cap));
    let turns = Turns::new(seed, draw_weights.collect());
    for entry in turns.take(MAX_TURNS).filter_map(|at| fitting.get(at)) {
        context.draw_work.cost += 1;
        if exclusion_now(context, job, entry)?.is_none() {
            return Ok(Some(primary(entry)));
        }
    }
    Ok(None)
}

/// Draws the missing verifiers by bond, as many as tries and turns find: none of them a party already or excluded, each able to
/// lock the verifier's bond and with a place for another verification.
// Rules C29, C30, C33.
pub(super) fn draw_verifiers(
    context: &mut Context<'_>,
    job: &Job,
    appointing: &Appointing,
    lottery: &Lottery,
) -> Result<Vec<Verifier>, Abort> {
    let parties = &appointing.parties;
    let fits = |entry: &&EpochPartner| {
        let is_party = entry.address == parties.primary.partner
            || parties
                .verifiers
                .iter()
                .any(|verifier| verifier.partner == entry.address);
        entry.runs(job.terms.class) && !is_party && !job.excluded.contains(&entry.address)
    };
    let seed = seed(&lottery.beacon, job, FOR_VERIFIER, appointing.round);
    let missing = usize::from(appointing.missing);
    let mut drawn = Vec::<Verifier>::new();
    for number in 0..TRIES {
        if drawn.len() >= missing {
            break;
        }
        let class = (lottery.epoch, job.terms.class);
        let Some(entry) = picked(context, class, &seed, number)? else {
            return Ok(drawn);
        };
        if fits(&&entry) && !is_among(&drawn, &entry) && can_verify(context, job, &entry)? {
            drawn.push(appointed(&seed, job, &entry));
        }
    }
    if drawn.len() >= missing {
        return Ok(drawn);
    }
    let all = everybody(context, lottery.epoch)?;
    // Whom tries found is among them: the order of the others is the same whether tries found it or it had no place.
    let fitting: Vec<_> = all.iter().filter(fits).collect();
    let draw_weights = fitting.iter().map(|entry| U256::from(entry.bond.0));
    let turns = Turns::new(seed, draw_weights.collect());
    for entry in turns.take(MAX_TURNS).filter_map(|at| fitting.get(at)) {
        if drawn.len() >= missing {
            break;
        }
        context.draw_work.cost += 1;
        if !is_among(&drawn, entry) && can_verify(context, job, entry)? {
            drawn.push(appointed(&seed, job, entry));
        }
    }
    Ok(drawn)
}

fn is_among(drawn: &[Verifier], entry: &EpochPartner) -> bool {
    drawn
        .iter()
        .any(|verifier| verifier.partner == entry.address)
}

/// True if a partner of the snapshot can be bound to verify the job now.
// Rules C24, C30, C33.
fn can_verify(context: &mut Context<'_>, job: &Job, entry: &EpochPartner) -> Result<bool, Abort> {
    context.draw_work.cost += DRAW_RECORD_COST;
    let places = verification_places(&context.rules.params.compute, &entry.profile);
    let now = context.partner(&entry.address)?;
    Ok(now.is_some_and(|now| {
        !now.profile.is_paused()
            && now.free() >= job.policy.verifier_bond
            && now.verifications() < places
    }))
}

// Rule C33.
fn appointed(seed: &Hash32, job: &Job, entry: &EpochPartner) -> Verifier {
    Verifier {
        partner: entry.address,
        appointed: true,
        tasks: appointed_tasks(seed, job, &entry.address),
        bond: job.policy.verifier_bond,
        commitment: None,
        opening: None,
    }
}

/// The tasks that an appointed verifier runs.
// Rule C33.
fn appointed_tasks(seed: &Hash32, job: &Job, partner: &Address) -> Vec<TaskIndex> {
    let own = Hash32::of(Domain::DRAWN_TASKS, &(seed, partner));
    drawn_tasks(&own, job.terms.drawable(), job.policy.tasks_per_verifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheapness_counts_up_to_twice() {
        let draw_weight = |price, cap| primary_draw_weight(Amount(100), Amount(price), Amount(cap));
        assert_eq!(draw_weight(10, 10), U256::from(100u8));
        assert_eq!(draw_weight(10, 15), U256::from(150u8));
        assert_eq!(draw_weight(10, 20), U256::from(200u8));
        assert_eq!(draw_weight(10, 1_000), U256::from(200u8));
        assert_eq!(draw_weight(0, 0), U256::from(200u8));
        assert!(
            primary_draw_weight(Amount(u128::MAX), Amount(u128::MAX), Amount(u128::MAX))
                > U256::ZERO
        );
    }

    #[test]
    fn turns_follow_the_weights_and_nobody_has_two() {
        let draw_weights = [U256::from(1u8), U256::ZERO, U256::from(3u8)];
        let mut hits = [0u32; 3];
        for i in 0..4_000u32 {
            let order: Vec<_> =
                Turns::new(Hash32::of(Domain::DRAW, &i), draw_weights.to_vec()).collect();
            hits[order[0]] += 1;
            assert!(order == [0, 2] || order == [2, 0], "{order:?}");
        }
        // A quarter of 4,000 with a standard deviation of 27.
        assert!((900..1_100).contains(&hits[0]), "{hits:?}");
        assert_eq!(Turns::new(Hash32::ZERO, Vec::new()).next(), None);
        assert_eq!(Turns::new(Hash32::ZERO, vec![U256::ZERO]).next(), None);
    }

    #[test]
    fn a_seed_puts_every_position_into_its_order_once() {
        // That a draw passes over positions of it is shown in `tests/it/job/draws.rs`.
        let draw_weights: Vec<_> = (1..40u8).map(U256::from).collect();
        let order = |seed: u32| {
            Turns::new(Hash32::of(Domain::DRAW, &seed), draw_weights.clone()).collect::<Vec<_>>()
        };
        let mut sorted = order(1);
        assert_ne!(order(1), order(2));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..39).collect::<Vec<_>>());
    }
}
