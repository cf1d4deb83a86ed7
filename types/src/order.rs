//! Stake-weighted order: slots of a window in proportion to stake, permuted by a seed. Never sorted by key, since
//! ground keys would sit side by side. Leaders of views and contributors of the beacon follow it, each with seeds of
//! their own.

use crate::committee::Committee;
use crate::hash::{Domain, Hash32};
use crate::number::ValidatorIndex;

/// Slots of one window.
pub const ORDER_SLOTS: usize = 256;

/// The window and the slot in it of a view or a step: windows are runs of [`ORDER_SLOTS`] numbers.
#[must_use]
pub fn window_of(number: u64) -> (u64, usize) {
    let slots = u64::try_from(ORDER_SLOTS).expect("256 fits");
    let slot = usize::try_from(number % slots).expect("below 256");
    (number / slots, slot)
}

/// Who has each of a window's slots. Everybody's number of slots is its share of the stake, rounded up or down by the
/// seed so that over many windows it is exactly the share, also for less than a slot of stake. The seed alone decides
/// the order (Fisher and Yates).
#[must_use]
pub fn stake_order(committee: &Committee, seed: &Hash32) -> Vec<ValidatorIndex> {
    let mut slots = shares(committee, seed);
    for last in (1..slots.len()).rev() {
        let bound = u64::try_from(last + 1).expect("at most 256 slots");
        let random = u128::from(Hash32::of(Domain::ORDER, &(seed, bound)).low_u64());
        let pick = usize::try_from((random * u128::from(bound)) >> 64).expect("below the bound");
        slots.swap(last, pick);
    }
    slots
}

/// The slots in order of position: the stakes lie side by side, and a slot is whoever's stake a needle hits. The needles
/// stand one 256th of the whole apart, the first where the seed puts it.
fn shares(committee: &Committee, seed: &Hash32) -> Vec<ValidatorIndex> {
    let slots = u128::try_from(ORDER_SLOTS).expect("256 fits");
    let total = u128::from(committee.thresholds().total.0);
    let random = u128::from(Hash32::of(Domain::ORDER, &(seed, 0u64)).low_u64());
    // Below the total, which is below 2^63.
    let first = (random * total) >> 64;
    let mut members = committee.indices().zip(committee.members());
    let mut shares = Vec::with_capacity(ORDER_SLOTS);
    let (mut owner, mut end) = (ValidatorIndex(0), 0);
    for slot in 0..slots {
        let needle = slot * total + first;
        while end <= needle {
            let (index, member) = members.next().expect("the needles stand within the stake");
            (owner, end) = (index, end + u128::from(member.stake.0) * slots);
        }
        shares.push(owner);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::committee;

    fn counts(committee: &Committee, seed: u8) -> Vec<usize> {
        let order = stake_order(committee, &Hash32([seed; 32]));
        committee
            .indices()
            .map(|index| order.iter().filter(|slot| **slot == index).count())
            .collect()
    }

    #[test]
    fn slots_are_the_share_rounded_up_or_down() {
        assert_eq!(counts(&committee(&[1]), 0), [256]);
        let many = committee(&vec![5; 256]);
        assert!(counts(&many, 1).iter().all(|count| *count == 1));
        let uneven = committee(&[(1 << 62) - 2, 1 << 62, 1]);
        for seed in 0..100 {
            // 4/13, 3/13, 3/13, 3/13 of 256: 78.8, 59.1, 59.1, 59.1.
            let found = counts(&committee(&[4, 3, 3, 3]), seed);
            assert!(
                found.iter().all(|n| [59, 60, 78, 79].contains(n)),
                "{found:?}"
            );
            let found = counts(&uneven, seed);
            assert!(
                found.iter().all(|n| *n <= 1 || (127..=129).contains(n)),
                "{found:?}"
            );
        }
    }

    #[test]
    fn who_holds_less_than_a_slot_has_its_share_over_many_windows() {
        // 1 of 1,001 has 0.256 slots of a window, 2,048 of them 524.
        let committee = committee(&[500, 500, 1]);
        let least = committee
            .indices()
            .min_by_key(|index| committee.member(*index).unwrap().stake);
        let mut slots = 0;
        for window in 0..2_048u64 {
            let seed = Hash32::of(Domain::LEADERS, &window);
            let order = stake_order(&committee, &seed);
            slots += order.iter().filter(|slot| Some(**slot) == least).count();
        }
        assert!((450..600).contains(&slots), "{slots}");
    }

    #[test]
    fn the_seed_permutes() {
        let committee = committee(&[4, 3, 3, 3]);
        let (one, two) = (
            stake_order(&committee, &Hash32([1; 32])),
            stake_order(&committee, &Hash32([2; 32])),
        );
        assert_eq!(one, stake_order(&committee, &Hash32([1; 32])));
        assert_ne!(one, two);
        assert_ne!(one, shares(&committee, &Hash32([1; 32])));
    }

    #[test]
    fn windows_are_runs_of_256_numbers() {
        assert_eq!(window_of(0), (0, 0));
        assert_eq!(window_of(255), (0, 255));
        assert_eq!(window_of(256), (1, 0));
        assert_eq!(window_of(u64::MAX), (u64::MAX / 256, 255));
    }

    #[test]
    fn every_slot_is_a_members() {
        let mut random = crate::testing::Random::printed(11);
        for _ in 0..50 {
            let size = 1 + random.index(256);
            let stakes: Vec<u64> = (0..size).map(|_| 1 + random.below(1 << 40)).collect();
            let committee = committee(&stakes);
            let order = stake_order(&committee, &Hash32([3; 32]));
            assert_eq!(order.len(), ORDER_SLOTS);
            assert!(order.iter().all(|slot| committee.member(*slot).is_some()));
        }
    }
}
