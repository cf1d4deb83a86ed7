//! The consensus committee: validators sorted by key, with voting stakes and the thresholds that follow.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::{Bounded, invalid};
use crate::hash::{Domain, Hash32, ValidatorId};
use crate::key::{PublicKey, VrfPublicKey};
use crate::limits::MAX_COMMITTEE;
use crate::number::{Stake, ValidatorIndex};

/// One validator as genesis and the committee hash know it.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// Signs votes, proposals and stored statements.
    pub key: PublicKey,
    /// Key with which the validator proves its beacon outputs.
    pub vrf_key: VrfPublicKey,
    /// The libp2p identity (ed25519), another key than `key`.
    pub node_key: PublicKey,
    /// Voting stake, above zero.
    pub stake: Stake,
}

impl Validator {
    /// The validator's id: the address of its key.
    #[must_use]
    pub fn id(&self) -> ValidatorId {
        self.key.validator_id()
    }
}

/// Why a list of validators cannot be a committee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitteeError {
    /// There is no member.
    #[error("a committee needs at least one validator")]
    Empty,
    /// More members than a committee may have.
    #[error("{found} validators where a committee has at most {MAX_COMMITTEE}")]
    TooMany {
        /// Number of members given.
        found: usize,
    },
    /// Two members with one key, or members that are not sorted by key.
    #[error("validator {0} is out of order: validators must be sorted by key, each key once")]
    NotSorted(ValidatorId),
    /// A member without stake.
    #[error("validator {0} needs a stake above zero")]
    NoStake(ValidatorId),
    /// The sum of stakes reaches 2^63.
    #[error("the stakes together must stay below 2^63")]
    TooMuchStake,
}

/// The thresholds of a committee of total stake W: F = (W - 1) / 3, Q = W - F. Any two quorums share more than F.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// W, the sum of all stakes.
    pub total: Stake,
    /// F, the stake that may be faulty.
    pub faulty: Stake,
    /// Q, the stake that decides.
    pub quorum: Stake,
}

/// A committee: 1 to 256 members sorted by key, stakes above zero and below 2^63 together. Only such ones decode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, BorshSerialize)]
pub struct Committee {
    members: Vec<Validator>,
    #[borsh(skip)]
    thresholds: Thresholds,
    /// The members' ids, by position; follows from the members.
    #[borsh(skip)]
    ids: Vec<ValidatorId>,
    /// The position of each id; follows from the members.
    #[borsh(skip)]
    positions: BTreeMap<ValidatorId, ValidatorIndex>,
}

impl BorshDeserialize for Committee {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let members = Bounded::<Validator, MAX_COMMITTEE>::deserialize_reader(reader)?;
        Self::new(members.into_inner()).map_err(|error| invalid(&error.to_string()))
    }
}

impl Committee {
    /// Checks the members and derives the thresholds.
    pub fn new(members: Vec<Validator>) -> Result<Self, CommitteeError> {
        if members.is_empty() {
            return Err(CommitteeError::Empty);
        }
        if members.len() > MAX_COMMITTEE {
            return Err(CommitteeError::TooMany {
                found: members.len(),
            });
        }
        if let Some(pair) = members.windows(2).find(|pair| pair[0].key >= pair[1].key) {
            return Err(CommitteeError::NotSorted(pair[1].id()));
        }
        let mut total = 0u64;
        for member in &members {
            if member.stake == Stake::ZERO {
                return Err(CommitteeError::NoStake(member.id()));
            }
            total = total
                .checked_add(member.stake.0)
                .ok_or(CommitteeError::TooMuchStake)?;
        }
        if total >= 1 << 63 {
            return Err(CommitteeError::TooMuchStake);
        }
        let faulty = (total - 1) / 3;
        let quorum = total - faulty;
        // Any two quorums share more stake than may be faulty; both sides stay below 2^63.
        assert!(quorum - faulty > total - quorum, "quorums must overlap");
        let thresholds = Thresholds {
            total: Stake(total),
            faulty: Stake(faulty),
            quorum: Stake(quorum),
        };
        let ids: Vec<_> = members.iter().map(Validator::id).collect();
        let positions = ids.iter().copied().zip(positions(ids.len())).collect();
        Ok(Self {
            members,
            thresholds,
            ids,
            positions,
        })
    }

    /// The members, sorted by key.
    #[must_use]
    pub fn members(&self) -> &[Validator] {
        &self.members
    }

    /// W, F and Q.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The id of the member at a position.
    #[must_use]
    pub fn id(&self, index: ValidatorIndex) -> Option<ValidatorId> {
        self.ids.get(usize::from(index.0)).copied()
    }

    /// The ids of all members, by position.
    #[must_use]
    pub fn ids(&self) -> &[ValidatorId] {
        &self.ids
    }

    /// The position of the member with this id.
    #[must_use]
    pub fn index_of(&self, id: &ValidatorId) -> Option<ValidatorIndex> {
        self.positions.get(id).copied()
    }

    /// The member with this id.
    #[must_use]
    pub fn validator(&self, id: &ValidatorId) -> Option<&Validator> {
        self.member(self.index_of(id)?)
    }

    /// The member at a position.
    #[must_use]
    pub fn member(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.members.get(usize::from(index.0))
    }

    /// The position of the member that signs with this key.
    #[must_use]
    pub fn index_of_key(&self, key: &PublicKey) -> Option<ValidatorIndex> {
        self.index_of(&key.validator_id())
    }

    /// All positions of the committee, ascending.
    pub fn indices(&self) -> impl Iterator<Item = ValidatorIndex> + use<> {
        positions(self.members.len())
    }

    /// The stake of those in `set`; positions outside the committee count nothing.
    #[must_use]
    pub fn stake_of(&self, set: &ValidatorSet) -> Stake {
        Stake(
            set.iter()
                .filter_map(|index| self.member(index))
                .map(|member| member.stake.0)
                .sum(),
        )
    }

    /// The stake of those with these ids; ids of others count nothing.
    #[must_use]
    pub fn stake_of_ids(&self, ids: &BTreeSet<ValidatorId>) -> Stake {
        Stake(
            ids.iter()
                .filter_map(|id| self.validator(id))
                .map(|member| member.stake.0)
                .sum(),
        )
    }

    /// True if that much stake decides.
    #[must_use]
    pub fn decides(&self, stake: Stake) -> bool {
        stake >= self.thresholds.quorum
    }

    /// The smallest quorum among some members: the largest stakes first, equal ones by position, until they decide.
    /// Nothing if all of them together do not.
    #[must_use]
    pub fn smallest_quorum(
        &self,
        among: impl IntoIterator<Item = ValidatorIndex>,
    ) -> Option<ValidatorSet> {
        let mut by_stake: Vec<_> = among
            .into_iter()
            .filter_map(|index| Some((std::cmp::Reverse(self.member(index)?.stake), index)))
            .collect();
        by_stake.sort_unstable();
        let (mut quorum, mut gathered) = (ValidatorSet::default(), Stake::ZERO);
        for (std::cmp::Reverse(stake), index) in by_stake {
            if self.decides(gathered) {
                break;
            }
            if quorum.insert(index) {
                gathered = gathered.saturating_add(stake.0);
            }
        }
        self.decides(gathered).then_some(quorum)
    }

    /// The hash of the members, as a header announces the next committee.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        Hash32::of(Domain::COMMITTEE, &self.members)
    }
}

fn positions(count: usize) -> impl Iterator<Item = ValidatorIndex> + use<> {
    (0..count).map(|at| ValidatorIndex(u16::try_from(at).expect("at most 256 members")))
}

/// A set of committee positions, as a certificate holds it. Canonical: no trailing zero byte, so one set has one encoding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord, BorshSerialize)]
pub struct ValidatorSet(Bounded<u8, { MAX_COMMITTEE / 8 }>);

impl BorshDeserialize for ValidatorSet {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let bytes = Bounded::<u8, { MAX_COMMITTEE / 8 }>::deserialize_reader(reader)?;
        if bytes.last() == Some(&0) {
            return Err(invalid("a set of validators with a trailing zero byte"));
        }
        Ok(Self(bytes))
    }
}

impl ValidatorSet {
    /// Adds a position; false if it was there or lies beyond the largest committee.
    pub fn insert(&mut self, index: ValidatorIndex) -> bool {
        let (byte, bit) = (usize::from(index.0 / 8), 1u8 << (index.0 % 8));
        if usize::from(index.0) >= MAX_COMMITTEE || self.contains(index) {
            return false;
        }
        while self.0.len() <= byte {
            self.0.push(0).expect("below the bound, checked above");
        }
        self.0.as_mut_slice()[byte] |= bit;
        true
    }

    /// True if the position is in the set.
    #[must_use]
    pub fn contains(&self, index: ValidatorIndex) -> bool {
        self.0
            .get(usize::from(index.0 / 8))
            .is_some_and(|byte| byte & (1 << (index.0 % 8)) != 0)
    }

    /// The positions in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = ValidatorIndex> + '_ {
        self.0.iter().enumerate().flat_map(|(byte, bits)| {
            (0..8u16)
                .filter(move |bit| bits & (1 << bit) != 0)
                .map(move |bit| {
                    ValidatorIndex(u16::try_from(byte).expect("at most 32 bytes") * 8 + bit)
                })
        })
    }

    /// How many positions are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// True if nobody is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
