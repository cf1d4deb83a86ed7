//! Stakes and the thresholds that follow from them, in one place.

use types::committee::{Committee, ValidatorSet};
use types::number::{Stake, ValidatorIndex};

/// The stake of each validator, and how much of it decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Quorum {
    stakes: Vec<u64>,
    quorum: u64,
}

impl Quorum {
    /// The stakes of a committee: Q = W - (W - 1) / 3.
    #[must_use]
    pub fn new(committee: &Committee) -> Self {
        let stakes = committee
            .members()
            .iter()
            .map(|member| member.stake.0)
            .collect();
        Self {
            stakes,
            quorum: committee.thresholds().quorum.0,
        }
    }

    /// The stake of a set.
    #[must_use]
    pub fn stake_of(&self, set: impl IntoIterator<Item = ValidatorIndex>) -> Stake {
        // The whole committee weighs less than 2^63, and a set holds nobody twice.
        Stake(
            set.into_iter()
                .filter_map(|index| self.stakes.get(usize::from(index.0)))
                .sum(),
        )
    }

    /// True if that stake decides.
    #[must_use]
    pub fn decides(&self, stake: Stake) -> bool {
        stake.0 >= self.quorum
    }

    /// True if these decide together.
    #[must_use]
    pub fn is_reached_by(&self, set: &ValidatorSet) -> bool {
        self.decides(self.stake_of(set.iter()))
    }

    /// The stake that decides.
    #[must_use]
    pub fn needed(&self) -> Stake {
        Stake(self.quorum)
    }
}
