//! Draws from the beacon: a primary, and verifiers that fill up the seats which sortition left empty.
//!
//! A draw is a function of the beacon, the job, the attempt and what is drawn for; nobody chooses any of them after the
//! beacon is known. Weights are integers; the remainder of a 256-bit hash by their sum picks one.

use ruint::aliases::U256;
use types::account::CountedPartner;
use types::attestation::drawn_tasks;
use types::hash::{Address, Domain, Hash32};
use types::job::{JobRecord, Primary, Verifier};
use types::number::{Amount, TaskIndex};

use super::market::exclusion;
use super::price::price;
use crate::{Context, Fault};

/// What a draw is for.
const FOR_PRIMARY: u8 = 0;
const FOR_VERIFIER: u8 = 1;

/// Bond times min(2, cap / price): the cheaper, the likelier, up to twice.
fn primary_weight(bond: Amount, price: Amount, cap: Amount) -> U256 {
    if price == Amount::ZERO {
        return U256::from(bond.0) * U256::from(2u8);
    }
    let times = (U256::from(price.0) * U256::from(2u8)).min(U256::from(cap.0));
    // The bond has 128 bits and the factor 129 at most: it is cut to 128, where it can no longer matter.
    U256::from(bond.0) * U256::from(times.saturating_to::<u128>()) / U256::from(price.0)
}

/// Picks a position by weight; nothing if all weights are zero.
fn pick(seed: &Hash32, weights: &[U256]) -> Option<usize> {
    let total = weights.iter().try_fold(U256::ZERO, |sum, weight| sum.checked_add(*weight))?;
    let mut rest = U256::from_le_bytes(seed.0).checked_rem(total)?;
    weights.iter().position(|weight| {
        let hit = rest < *weight;
        rest = rest.saturating_sub(*weight);
        hit
    })
}

fn seed(beacon: &Hash32, record: &JobRecord, purpose: u8, round: u16) -> Hash32 {
    Hash32::of(Domain::DRAW, &(beacon, record.id, record.attempt, purpose, round))
}

/// Draws a primary among those that can run the job now; nothing if nobody can.
pub(super) fn draw_primary(context: &Context<'_>, record: &JobRecord) -> Result<Option<Primary>, Fault> {
    let snapshot = context.snapshot(context.epoch)?.unwrap_or_default();
    let (mut able, mut weights) = (Vec::new(), Vec::new());
    for counted in &snapshot.0 {
        let against = exclusion(&context.overlay, &record.spec, &record.policy, &record.excluded, counted)?;
        if against.is_none() {
            let price = price(counted.profile.ask, &record.spec);
            weights.push(primary_weight(counted.bond, price, record.spec.price_cap));
            able.push((counted.address, price));
        }
    }
    let seed = seed(&context.beacon.value, record, FOR_PRIMARY, 0);
    let drawn = pick(&seed, &weights).and_then(|at| able.get(at));
    Ok(drawn.map(|(partner, price)| Primary { partner: *partner, price: *price, bond: record.policy.bond }))
}

/// Draws up to `count` verifiers by bond, none of them in `taken`, each able to lock the verifier's bond.
pub(super) fn draw_verifiers(
    context: &Context<'_>,
    record: &JobRecord,
    taken: &[Address],
    count: usize,
    round: u16,
) -> Result<Vec<Verifier>, Fault> {
    let snapshot = context.snapshot(context.epoch)?.unwrap_or_default();
    let class = record.spec.workload.class;
    let mut able: Vec<&CountedPartner> = Vec::new();
    for counted in snapshot.0.iter().filter(|partner| partner.profile.class == class) {
        let out = taken.contains(&counted.address) || record.excluded.contains(&counted.address);
        let free = context.partner(&counted.address)?.map(|partner| partner.free()).unwrap_or_default();
        if !out && free >= record.policy.verifier_bond {
            able.push(counted);
        }
    }
    let seed = seed(&context.beacon.value, record, FOR_VERIFIER, round);
    let mut drawn = Vec::new();
    for turn in 0u64.. {
        let weights: Vec<_> = able.iter().map(|partner| U256::from(partner.bond.0)).collect();
        let turn_seed = Hash32::of(Domain::DRAW, &(seed, turn));
        let Some(at) = pick(&turn_seed, &weights).filter(|_| drawn.len() < count) else { break };
        let partner = able.remove(at).address;
        drawn.push(Verifier {
            partner,
            fill_up: true,
            tasks: fill_up_tasks(&seed, record, &partner),
            bond: record.policy.verifier_bond,
            claim: None,
            opened: None,
        });
    }
    Ok(drawn)
}

fn fill_up_tasks(seed: &Hash32, record: &JobRecord, partner: &Address) -> Vec<TaskIndex> {
    let own = Hash32::of(Domain::DRAWN_TASKS, &(seed, partner));
    drawn_tasks(&own, record.spec.workload.tasks, record.policy.tasks_per_verifier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheapness_counts_up_to_twice() {
        let weight = |price, cap| primary_weight(Amount(100), Amount(price), Amount(cap));
        assert_eq!(weight(10, 10), U256::from(100u8));
        assert_eq!(weight(10, 15), U256::from(150u8));
        assert_eq!(weight(10, 20), U256::from(200u8));
        assert_eq!(weight(10, 1_000), U256::from(200u8));
        assert_eq!(weight(0, 0), U256::from(200u8));
        assert!(primary_weight(Amount(u128::MAX), Amount(u128::MAX), Amount(u128::MAX)) > U256::ZERO);
    }

    #[test]
    fn picks_follow_the_weights() {
        let weights = [U256::from(1u8), U256::ZERO, U256::from(3u8)];
        let mut hits = [0u32; 3];
        for i in 0..4_000u32 {
            hits[pick(&Hash32::of(Domain::DRAW, &i), &weights).unwrap()] += 1;
        }
        assert_eq!(hits[1], 0);
        // A quarter of 4,000 with a standard deviation of 27.
        assert!((900..1_100).contains(&hits[0]), "{hits:?}");
        assert_eq!(pick(&Hash32::ZERO, &[]), None);
        assert_eq!(pick(&Hash32::ZERO, &[U256::ZERO]), None);
    }
}
