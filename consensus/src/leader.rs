//! Who leads a view: slots in exact proportion to stake, in an order that changes with every window of views.
//!
//! A window is 256 views. Each validator gets 256 x stake / total slots of it, what is left goes to the largest
//! remainders (the lower position first), and the slots are permuted by H(chain id, view / 256). The order depends on
//! nothing that anybody can choose while the chain runs.

use std::hash::{Hash, Hasher};

use types::committee::Committee;
use types::hash::{ChainId, Domain, Hash32};
use types::number::{ValidatorIndex, View};

/// Views per window.
pub const WINDOW_VIEWS: u64 = 256;

/// The leaders of all views.
#[derive(Debug, Clone)]
pub struct Leaders {
    chain: ChainId,
    /// The owner of each slot before the permutation.
    slots: Vec<ValidatorIndex>,
    /// Windows computed lately; says nothing that `chain` and `slots` do not.
    windows: Vec<(u64, Vec<ValidatorIndex>)>,
}

impl PartialEq for Leaders {
    fn eq(&self, other: &Self) -> bool {
        (self.chain, &self.slots) == (other.chain, &other.slots)
    }
}

impl Eq for Leaders {}

impl Hash for Leaders {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.chain, &self.slots).hash(state);
    }
}

impl Leaders {
    /// Shares the slots out.
    #[must_use]
    pub fn new(chain: ChainId, committee: &Committee) -> Self {
        let total = u128::from(committee.thresholds().total.0);
        let mut slots = Vec::new();
        let mut remainders = Vec::new();
        for (index, member) in committee.indices().zip(committee.members()) {
            let share = u128::from(WINDOW_VIEWS) * u128::from(member.stake.0);
            slots.extend((0..share / total).map(|_| index));
            remainders.push((std::cmp::Reverse(share % total), index));
        }
        remainders.sort_unstable();
        let window = usize::try_from(WINDOW_VIEWS).expect("256 fits");
        let missing = window - slots.len();
        slots.extend(remainders.into_iter().take(missing).map(|(_, index)| index));
        Self {
            chain,
            slots,
            windows: Vec::new(),
        }
    }

    /// The leader of a view.
    pub fn leader(&mut self, view: View) -> ValidatorIndex {
        let window = view.0 / WINDOW_VIEWS;
        let slot = usize::try_from(view.0 % WINDOW_VIEWS).expect("below 256");
        if let Some((_, order)) = self.windows.iter().find(|(number, _)| *number == window) {
            return order[slot];
        }
        let order = self.permuted(window);
        let leader = order[slot];
        if self.windows.len() > 1 {
            self.windows.remove(0);
        }
        self.windows.push((window, order));
        leader
    }

    /// Fisher and Yates' shuffle, drawing from a hash of chain and window; the bias of `% bound` is below 2^-55.
    fn permuted(&self, window: u64) -> Vec<ValidatorIndex> {
        let mut order = self.slots.clone();
        for last in (1..order.len()).rev() {
            let bound = u64::try_from(last).expect("below 256") + 1;
            let step = bound.to_le_bytes();
            let drawn = Hash32::of_parts(
                Domain::LEADERS,
                &[&self.chain.0.0, &window.to_le_bytes(), &step],
            )
            .low_u64();
            order.swap(last, usize::try_from(drawn % bound).expect("below 256"));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::collector::fixtures::committee;

    fn slots(stakes: &[u64], window: u64) -> Vec<u16> {
        let (committee, _) = committee(stakes);
        let mut leaders = Leaders::new(ChainId::default(), &committee);
        (0..WINDOW_VIEWS)
            .map(|slot| leaders.leader(View(window * WINDOW_VIEWS + slot)).0)
            .collect()
    }

    #[test]
    fn slots_follow_stake_to_the_unit() {
        for stakes in [
            &[4u64, 3, 3, 3][..],
            &[3, 2, 1, 1],
            &[1],
            &[1, 1 << 61],
            &[7; 100],
        ] {
            let (committee, _) = committee(stakes);
            let total: u64 = stakes.iter().sum();
            let mut count = BTreeMap::new();
            for index in slots(stakes, 3) {
                *count.entry(index).or_insert(0u64) += 1;
            }
            for (index, member) in committee.indices().zip(committee.members()) {
                let exact =
                    u128::from(WINDOW_VIEWS) * u128::from(member.stake.0) / u128::from(total);
                let found = u128::from(count.get(&index.0).copied().unwrap_or(0));
                assert!(
                    found == exact || found == exact + 1,
                    "{stakes:?}: {found} slots for {exact}"
                );
            }
        }
    }

    #[test]
    fn every_window_has_its_own_order() {
        assert_ne!(slots(&[4, 3, 3, 3], 0), slots(&[4, 3, 3, 3], 1));
        assert_eq!(slots(&[4, 3, 3, 3], 1), slots(&[4, 3, 3, 3], 1));
        // Neither sorted nor in long runs: a run of one leader is bounded by chance.
        let order = slots(&[1, 1, 1, 1], 0);
        let longest = order.chunk_by(|a, b| a == b).map(<[u16]>::len).max();
        assert!(longest < Some(12), "{longest:?}");
    }
}
