//! The consensus committee: validators sorted by key, with voting stakes and the thresholds that follow.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::Bounded;
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
    /// Proves beacon outputs.
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
    /// No member.
    #[error("a committee needs at least one validator")]
    Empty,
    /// Two members with one key, or members that are not sorted by key.
    #[error("validators must be sorted by key, each key once")]
    NotSorted,
    /// A member without stake.
    #[error("every validator needs a stake above zero")]
    NoStake,
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

/// A committee: not empty, sorted by key, stakes above zero and below 2^63 together.
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

impl Committee {
    /// Checks the members and derives the thresholds.
    pub fn new(members: Vec<Validator>) -> Result<Self, CommitteeError> {
        if members.is_empty() || members.len() > MAX_COMMITTEE {
            return Err(CommitteeError::Empty);
        }
        if members.windows(2).any(|pair| pair[0].key >= pair[1].key) {
            return Err(CommitteeError::NotSorted);
        }
        let mut total = 0u64;
        for member in &members {
            if member.stake == Stake::ZERO {
                return Err(CommitteeError::NoStake);
            }
            total = total
                .checked_add(member.stake.0)
                .ok_or(CommitteeError::TooMuchStake)?;
        }
        if total >= 1 << 63 {
            return Err(CommitteeError::TooMuchStake);
        }
        let faulty = (total - 1) / 3;
        let thresholds = Thresholds {
            total: Stake(total),
            faulty: Stake(faulty),
            quorum: Stake(total - faulty),
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

    /// All positions.
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
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord, BorshSerialize, Serialize,
)]
#[serde(into = "Vec<u16>")]
pub struct ValidatorSet(Bounded<u8, { MAX_COMMITTEE / 8 }>);

impl From<ValidatorSet> for Vec<u16> {
    fn from(set: ValidatorSet) -> Self {
        set.iter().map(|index| index.0).collect()
    }
}

impl<'de> Deserialize<'de> for ValidatorSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut set = Self::default();
        for index in <Vec<u16> as Deserialize>::deserialize(deserializer)? {
            if !set.insert(ValidatorIndex(index)) {
                return Err(serde::de::Error::custom(
                    "a validator twice or out of range",
                ));
            }
        }
        Ok(set)
    }
}

impl BorshDeserialize for ValidatorSet {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let bytes = Bounded::<u8, { MAX_COMMITTEE / 8 }>::deserialize_reader(reader)?;
        if bytes.last() == Some(&0) {
            return Err(crate::codec::invalid(
                "a set of validators with a trailing zero byte",
            ));
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
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    fn committee(stakes: &[u64]) -> Result<Committee, CommitteeError> {
        let member = |(i, stake): (usize, &u64)| Validator {
            key: PublicKey([u8::try_from(i).unwrap(); 32]),
            vrf_key: VrfPublicKey::default(),
            node_key: PublicKey::default(),
            stake: Stake(*stake),
        };
        Committee::new(stakes.iter().enumerate().map(member).collect())
    }

    #[test]
    fn two_quorums_share_more_than_the_faulty_stake() {
        for total in 1..200u64 {
            let Thresholds {
                total,
                faulty,
                quorum,
            } = committee(&[total]).unwrap().thresholds();
            assert!(2 * quorum.0 - total.0 > faulty.0);
            assert!(3 * faulty.0 < total.0);
        }
        let devnet = committee(&[4, 3, 3, 3]).unwrap().thresholds();
        assert_eq!((devnet.faulty.0, devnet.quorum.0), (4, 9));
    }

    #[test]
    fn refuses_what_is_no_committee() {
        assert_eq!(committee(&[]), Err(CommitteeError::Empty));
        assert_eq!(committee(&[1, 0]), Err(CommitteeError::NoStake));
        assert_eq!(
            committee(&[1 << 62, 1 << 62]),
            Err(CommitteeError::TooMuchStake)
        );
        let twice = vec![committee(&[1]).unwrap().members()[0].clone(); 2];
        assert_eq!(Committee::new(twice), Err(CommitteeError::NotSorted));
    }

    #[test]
    fn a_set_has_one_encoding() {
        let mut set = ValidatorSet::default();
        for index in [255, 3, 8] {
            assert!(set.insert(ValidatorIndex(index)));
            assert!(!set.insert(ValidatorIndex(index)));
        }
        assert!(!set.insert(ValidatorIndex(256)));
        assert_eq!(set.iter().map(|i| i.0).collect::<Vec<_>>(), [3, 8, 255]);
        assert_eq!(decode::<ValidatorSet>(&encode(&set), 64).unwrap(), set);
        assert!(decode::<ValidatorSet>(&encode(&vec![1u8, 0]), 64).is_err());
    }
}
