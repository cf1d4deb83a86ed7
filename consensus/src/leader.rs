//! Who leads a view: the stake-weighted slot order of [`types::order`], in windows of 256 views.
//!
//! The order of a window is permuted by a hash of the chain id, the first epoch of the committee's term and the window's
//! number. It depends on nothing that anybody can choose while the chain runs.

use std::hash::{Hash, Hasher};

use types::committee::Committee;
use types::hash::{ChainId, Domain, Hash32};
use types::number::{Epoch, ValidatorIndex, View};
use types::order::{stake_order, window_of};

/// Windows whose orders are kept: a view near the edge of one asks about the next.
const KEPT_WINDOWS: usize = 2;

/// The leaders of all views of one committee's term.
#[derive(Debug, Clone)]
pub struct Leaders {
    chain: ChainId,
    epoch: Epoch,
    committee: Committee,
    /// Orders computed lately; says nothing that the other fields do not.
    orders: Vec<(u64, Vec<ValidatorIndex>)>,
}

impl PartialEq for Leaders {
    fn eq(&self, other: &Self) -> bool {
        let key = |leaders: &Self| (leaders.chain, leaders.epoch);
        key(self) == key(other) && self.committee == other.committee
    }
}

impl Eq for Leaders {}

impl Hash for Leaders {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.chain, self.epoch, &self.committee).hash(state);
    }
}

impl Leaders {
    /// The leaders of the term of `committee` that begins with `epoch`.
    #[must_use]
    pub fn new(chain: ChainId, epoch: Epoch, committee: Committee) -> Self {
        Self {
            chain,
            epoch,
            committee,
            orders: Vec::new(),
        }
    }

    /// The position of a view's leader.
    pub fn leader(&mut self, view: View) -> ValidatorIndex {
        let (window, slot) = window_of(view.0);
        if let Some((_, order)) = self.orders.iter().find(|(number, _)| *number == window) {
            return order[slot];
        }
        let seed = Hash32::of(Domain::LEADERS, &(self.chain, self.epoch, window));
        let order = stake_order(&self.committee, &seed);
        let leader = order[slot];
        if self.orders.len() >= KEPT_WINDOWS {
            self.orders.remove(0);
        }
        self.orders.push((window, order));
        leader
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaders(stakes: &[u64], epoch: u64, window: u64) -> Vec<ValidatorIndex> {
        let committee = types::testing::committee(stakes);
        let mut leaders = Leaders::new(ChainId::default(), Epoch(epoch), committee);
        let views = window * 256..(window + 1) * 256;
        views.map(|view| leaders.leader(View(view))).collect()
    }

    #[test]
    fn leaders_follow_the_slot_order() {
        let committee = types::testing::committee(&[4, 3, 3, 3]);
        let seed = Hash32::of(Domain::LEADERS, &(ChainId::default(), Epoch(1), 3u64));
        assert_eq!(leaders(&[4, 3, 3, 3], 1, 3), stake_order(&committee, &seed));
    }

    #[test]
    fn every_window_and_every_term_has_its_own_order() {
        let first = leaders(&[4, 3, 3, 3], 1, 0);
        assert_eq!(first, leaders(&[4, 3, 3, 3], 1, 0));
        assert_ne!(first, leaders(&[4, 3, 3, 3], 1, 1));
        assert_ne!(first, leaders(&[4, 3, 3, 3], 2, 0));
        // Neither sorted nor in long runs: a run of one leader is bounded by chance.
        let order = leaders(&[1, 1, 1, 1], 1, 0);
        let longest = order
            .chunk_by(|a, b| a == b)
            .map(<[ValidatorIndex]>::len)
            .max();
        assert!(longest < Some(12), "{longest:?}");
    }

    #[test]
    fn what_is_kept_does_not_change_who_leads() {
        let mut leaders = Leaders::new(
            ChainId::default(),
            Epoch(1),
            types::testing::committee(&[4, 3, 3, 3]),
        );
        let far = [1u64, 300, 600, 2, 900, 301].map(View);
        let found = far.map(|view| leaders.leader(view));
        assert_eq!(found, far.map(|view| leaders.clone().leader(view)));
        assert!(leaders.orders.len() <= KEPT_WINDOWS);
    }
}
