//! Who can be a committee, what decides in it, and the sets of its positions.

use super::*;
use crate::codec::{decode, encode};
use crate::limits::MAX_STATE_VALUE_BYTES;
use crate::testing;

fn members(stakes: &[u64]) -> Vec<Validator> {
    let all = testing::validators(stakes);
    all.iter().map(testing::TestValidator::public).collect()
}

fn committee(stakes: &[u64]) -> Result<Committee, CommitteeError> {
    Committee::new(members(stakes))
}

fn set(positions: &[u16]) -> ValidatorSet {
    let mut set = ValidatorSet::default();
    for position in positions {
        assert!(set.insert(ValidatorIndex(*position)));
    }
    set
}

#[test]
fn two_quorums_share_more_than_the_faulty_stake() {
    for total in (1..200u64).chain([(1 << 63) - 1, (1 << 63) - 2]) {
        let Thresholds {
            total,
            faulty,
            quorum,
        } = committee(&[total]).unwrap().thresholds();
        assert!(quorum.0 - faulty.0 > total.0 - quorum.0);
        assert!(u128::from(faulty.0) * 3 < u128::from(total.0));
        assert_eq!(quorum.0 + faulty.0, total.0);
    }
    let devnet = committee(&[4, 3, 3, 3]).unwrap().thresholds();
    assert_eq!((devnet.faulty.0, devnet.quorum.0), (4, 9));
}

#[test]
fn each_rule_of_a_committee_has_its_error() {
    assert_eq!(committee(&[]), Err(CommitteeError::Empty));
    assert!(committee(&[1; 256]).is_ok());
    assert_eq!(
        committee(&[1; 257]),
        Err(CommitteeError::TooMany { found: 257 })
    );
    let two = members(&[1, 1]);
    let without = members(&[1, 0]);
    assert_eq!(
        Committee::new(without.clone()),
        Err(CommitteeError::NoStake(without[1].id()))
    );
    for too_much in [&[1 << 62, 1 << 62][..], &[u64::MAX, 1], &[1 << 63]] {
        assert_eq!(committee(too_much), Err(CommitteeError::TooMuchStake));
    }
    let twice = vec![two[0].clone(), two[0].clone()];
    assert_eq!(
        Committee::new(twice),
        Err(CommitteeError::NotSorted(two[0].id()))
    );
    let turned = vec![two[1].clone(), two[0].clone()];
    assert_eq!(
        Committee::new(turned),
        Err(CommitteeError::NotSorted(two[0].id()))
    );
}

#[test]
fn members_are_found_by_id_key_and_position() {
    let committee = testing::committee(&[4, 3, 3, 3]);
    for (index, member) in committee.indices().zip(committee.members()) {
        assert_eq!(committee.id(index), Some(member.id()));
        assert_eq!(committee.ids()[usize::from(index.0)], member.id());
        assert_eq!(committee.index_of(&member.id()), Some(index));
        assert_eq!(committee.index_of_key(&member.key), Some(index));
        assert_eq!(committee.validator(&member.id()), Some(member));
        assert_eq!(member.id().account(), member.key.address());
    }
    assert_eq!(committee.id(ValidatorIndex(4)), None);
    assert_eq!(committee.validator(&ValidatorId::ZERO), None);
}

#[test]
fn stake_counts_members_only() {
    let committee = testing::committee(&[4, 3, 3, 3]);
    assert_eq!(committee.stake_of(&set(&[0, 2, 200])), Stake(7));
    let ids = [committee.ids()[0], committee.ids()[2], ValidatorId::ZERO];
    assert_eq!(committee.stake_of_ids(&BTreeSet::from(ids)), Stake(7));
    assert!(committee.decides(Stake(9)) && !committee.decides(Stake(8)));
}

#[test]
fn the_smallest_quorum_takes_the_largest_stakes_first() {
    let quorum = |stakes: &[u64], among: &[u16]| {
        let among = among.iter().copied().map(ValidatorIndex);
        let found = testing::committee(stakes).smallest_quorum(among)?;
        Some(found.iter().map(|index| index.0).collect::<Vec<_>>())
    };
    assert_eq!(quorum(&[4, 3, 3, 3], &[0, 1, 2, 3]), Some(vec![0, 1, 2]));
    assert_eq!(quorum(&[4, 3, 3, 3], &[3, 2, 1]), Some(vec![1, 2, 3]));
    assert_eq!(quorum(&[4, 3, 3, 3], &[0, 1]), None);
    assert_eq!(quorum(&[1, 1, 1, 9], &[0, 1, 2, 3]), Some(vec![3]));
    assert_eq!(quorum(&[1, 1, 1, 1], &[0, 1, 2, 3]), Some(vec![0, 1, 2]));
    // One that is named twice counts once, and a stranger not at all.
    assert_eq!(quorum(&[4, 3, 3, 3], &[0, 0, 1]), None);
    assert_eq!(quorum(&[4, 3, 3, 3], &[0, 1, 77]), None);
}

#[test]
fn no_smaller_set_than_the_smallest_quorum_decides() {
    let mut random = testing::Random::printed(5);
    for _ in 0..200 {
        let size = 1 + random.index(8);
        let stakes: Vec<u64> = (0..size).map(|_| 1 + random.below(20)).collect();
        let committee = testing::committee(&stakes);
        let found = committee.smallest_quorum(committee.indices()).unwrap();
        assert!(committee.decides(committee.stake_of(&found)));
        let mut sorted = stakes.clone();
        sorted.sort_unstable();
        let most: u64 = sorted.iter().rev().take(found.len() - 1).sum();
        assert!(!committee.decides(Stake(most)), "{stakes:?}");
    }
}

#[test]
fn only_committees_decode() {
    let committee = testing::committee(&[4, 3, 3, 3]);
    let bytes = encode(&committee);
    let decoded = |bytes: &[u8]| decode::<Committee>(bytes, MAX_STATE_VALUE_BYTES);
    assert_eq!(decoded(&bytes).unwrap(), committee);
    assert!(decoded(&encode(&Vec::<Validator>::new())).is_err());
    assert!(decoded(&encode(&members(&[1, 0]))).is_err());
    let mut turned = members(&[1, 1]);
    turned.reverse();
    assert!(decoded(&encode(&turned)).is_err());
    assert!(decoded(&encode(&members(&[1; 257]))).is_err());
}

#[test]
fn a_set_has_one_encoding() {
    let mut set = ValidatorSet::default();
    for index in [255, 3, 8] {
        assert!(set.insert(ValidatorIndex(index)));
        assert!(!set.insert(ValidatorIndex(index)));
    }
    assert!(!set.insert(ValidatorIndex(256)));
    assert_eq!(set.len(), 3);
    assert_eq!(set.iter().map(|i| i.0).collect::<Vec<_>>(), [3, 8, 255]);
    assert_eq!(decode::<ValidatorSet>(&encode(&set), 64).unwrap(), set);
    assert!(decode::<ValidatorSet>(&encode(&vec![1u8, 0]), 64).is_err());
    assert!(decode::<ValidatorSet>(&encode(&vec![1u8; 33]), 64).is_err());
}
