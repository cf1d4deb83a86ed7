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

/// Who has each of a window's slots. Everybody's number of slots is its share of the stake, by largest remainder
/// (ties go to the lower position); the seed alone decides the order (Fisher and Yates).
#[must_use]
pub fn stake_order(committee: &Committee, seed: &Hash32) -> Vec<ValidatorIndex> {
    let mut slots = shares(committee);
    for last in (1..slots.len()).rev() {
        let bound = u64::try_from(last + 1).expect("at most 256 slots");
        let random = u128::from(Hash32::of(Domain::ORDER, &(seed, bound)).low_u64());
        let pick = usize::try_from((random * u128::from(bound)) >> 64).expect("below the bound");
        slots.swap(last, pick);
    }
    slots
}

/// The slots in order of position.
fn shares(committee: &Committee) -> Vec<ValidatorIndex> {
    let slots = u128::try_from(ORDER_SLOTS).expect("256 fits");
    let total = u128::from(committee.thresholds().total.0);
    let mut left = ORDER_SLOTS;
    let mut shares: Vec<_> = committee
        .indices()
        .zip(committee.members())
        .map(|(index, member)| {
            let product = u128::from(member.stake.0) * slots;
            let whole = usize::try_from(product / total).expect("at most 256");
            left -= whole;
            (index, whole, product % total)
        })
        .collect();
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    by_remainder.sort_by_key(|at| std::cmp::Reverse(shares[*at].2));
    for at in by_remainder.into_iter().take(left) {
        shares[at].1 += 1;
    }
    shares
        .into_iter()
        .flat_map(|(index, count, _)| std::iter::repeat_n(index, count))
        .collect()
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
    fn slots_are_in_proportion_by_largest_remainder() {
        assert_eq!(counts(&committee(&[1]), 0), [256]);
        // 4/13, 3/13, 3/13, 3/13 of 256: 78.8, 59.1, 59.1, 59.1.
        assert_eq!(counts(&committee(&[4, 3, 3, 3]), 0), [79, 59, 59, 59]);
        // A tie of remainders goes to the lower position: 85.3 each.
        assert_eq!(counts(&committee(&[1, 1, 1]), 7), [86, 85, 85]);
        let uneven = committee(&[(1 << 62) - 2, 1 << 62, 1]);
        assert_eq!(counts(&uneven, 7), [128, 128, 0]);
        let many = committee(&vec![5; 256]);
        assert!(counts(&many, 1).iter().all(|count| *count == 1));
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
        assert_ne!(one, shares(&committee));
        assert_eq!(counts(&committee, 1), counts(&committee, 2));
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
