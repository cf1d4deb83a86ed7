//! The committee of a run: how much stake each member has, and who lies, and how. Liars hold at most F of the stake.

use std::collections::BTreeMap;

use crate::liar::LiarKind;
use crate::random::SeededRandom;

/// Sizes of committees, and how many of 100 seeds have them.
const SIZES: [(usize, u64); 4] = [(4, 70), (7, 18), (10, 10), (21, 2)];

/// Who votes with how much stake in a run, and who of them lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedCommittee {
    /// The stakes, by position.
    pub stakes: Vec<u64>,
    /// The liars, by position.
    pub liars: BTreeMap<usize, LiarKind>,
    /// Whenever a member stops, its disk loses the last of what was synced. Only vote recovery can make up for that, and
    /// only if every frame arrived.
    pub cuts_logs: bool,
}

impl SimulatedCommittee {
    /// Four members with stakes 4, 3, 3, 3; all honest.
    #[must_use]
    pub fn honest() -> Self {
        Self::of(&[4, 3, 3, 3])
    }

    /// Honest members with these stakes.
    #[must_use]
    pub fn of(stakes: &[u64]) -> Self {
        Self {
            stakes: stakes.to_vec(),
            liars: BTreeMap::new(),
            cuts_logs: false,
        }
    }

    /// The same with liars of these kinds at these positions.
    #[must_use]
    pub fn with_liars(mut self, liars: impl IntoIterator<Item = (usize, LiarKind)>) -> Self {
        self.liars.extend(liars);
        self
    }

    /// A committee of a random kind.
    #[must_use]
    pub fn draw(random: &mut SeededRandom) -> Self {
        match random.range(0, 10) {
            0 => Self {
                cuts_logs: true,
                ..Self::honest()
            },
            // Two large honest members and four small liars: two thirds of the heads.
            1 => {
                let small = (2..6).map(|position| (position, LiarKind::Twin));
                Self::of(&[5, 5, 1, 1, 1, 1]).with_liars(small)
            }
            2 => Self::honest(),
            3..=4 => Self::honest().with_liars([(0, LiarKind::draw(random))]),
            _ => Self::draw_unequal(random),
        }
    }

    /// A committee of a random size with unequal stakes, and liars with as much of F as fits.
    fn draw_unequal(random: &mut SeededRandom) -> Self {
        let mut chosen = random.range(0, 100);
        let mut size = SIZES[0].0;
        for (members, share) in SIZES {
            size = members;
            let Some(left) = chosen.checked_sub(share) else {
                break;
            };
            chosen = left;
        }
        let stakes: Vec<u64> = (0..size).map(|_| random.range(1, 10)).collect();
        let mut committee = Self::of(&stakes);
        for _ in 0..size {
            let position = random.index(size);
            let kind = LiarKind::draw(random);
            let before = committee.liars.insert(position, kind);
            if committee.liars_stake() > committee.faulty()
                || (size > 10 && committee.liars.len() > 3)
            {
                committee.liars.remove(&position);
                committee
                    .liars
                    .extend(before.map(|before| (position, before)));
            }
        }
        committee
    }

    /// F: the stake that may be faulty.
    #[must_use]
    pub fn faulty(&self) -> u64 {
        (self.stakes.iter().sum::<u64>() - 1) / 3
    }

    fn liars_stake(&self) -> u64 {
        self.liars
            .keys()
            .map(|position| self.stakes[*position])
            .sum()
    }

    /// The members whose key runs on two hosts.
    #[must_use]
    pub fn twins(&self) -> Vec<usize> {
        let twins = self.liars.iter();
        twins
            .filter(|(_, kind)| **kind == LiarKind::Twin)
            .map(|(position, _)| *position)
            .collect()
    }

    /// The member that each host runs: first one host for everybody, then the second ones of the twins.
    #[must_use]
    pub fn host_members(&self) -> Vec<usize> {
        (0..self.stakes.len()).chain(self.twins()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn liars_of_every_kind_and_committees_of_every_size_are_drawn_and_hold_at_most_f() {
        let (mut sizes, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        for seed in 0..2_000 {
            let committee = SimulatedCommittee::draw(&mut SeededRandom::new(seed));
            assert!(committee.liars_stake() <= committee.faulty(), "seed {seed}");
            sizes.insert(committee.stakes.len());
            kinds.extend(committee.liars.into_values());
        }
        assert_eq!(sizes, BTreeSet::from([4, 6, 7, 10, 21]));
        assert_eq!(kinds, BTreeSet::from(LiarKind::ALL));
    }
}
