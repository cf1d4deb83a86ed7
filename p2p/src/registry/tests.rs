//! Bindings: genesis, newer records, replays, and attempts to take another's peer.

use super::*;
use crate::record::PeerRecord;
use types::committee::Validator;
use types::hash::Hash32;
use types::key::{SecretKey, VrfPublicKey};
use types::number::Stake;

const CHAIN: ChainId = ChainId(Hash32([1; 32]));
const EVERY: Duration = Duration::from_mins(1);

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

fn peer(seed: u8) -> PeerId {
    peer_id(&key(seed).public()).unwrap()
}

/// Validators with the keys 1 to 3, whose node keys in genesis are 101 to 103.
fn committee() -> Committee {
    let member = |seed: u8| Validator {
        key: key(seed).public(),
        vrf_key: VrfPublicKey::default(),
        node_key: key(seed + 100).public(),
        stake: Stake(1),
    };
    let mut members: Vec<_> = (1..=3).map(member).collect();
    members.sort_by_key(|member| member.key);
    Committee::new(members).unwrap()
}

fn id(seed: u8) -> ValidatorId {
    key(seed).public().validator_id()
}

/// The registry of validator 3.
fn registry() -> Registry {
    Registry::new(CHAIN, committee(), Some((id(3), key(103).public())), EVERY).unwrap()
}

fn record(validator: u8, node: u8, sequence: u64) -> SignedRecord {
    let address = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
    PeerRecord::new(
        key(validator).public(),
        key(node).public(),
        &[address],
        sequence,
    )
    .sign(CHAIN, &key(validator), &key(node))
}

#[test]
fn genesis_binds_and_a_record_moves_the_binding() {
    let mut registry = registry();
    assert_eq!(registry.validator_of(&peer(101)), Some(id(1)));
    let moved = registry.accept(record(1, 50, 5), Instant::now()).unwrap();
    assert_eq!(
        moved,
        Accepted::New {
            validator: id(1),
            peer: peer(50),
            replaced: Some(peer(101))
        }
    );
    assert_eq!(registry.validator_of(&peer(101)), None);
    assert_eq!(registry.validator_of(&peer(50)), Some(id(1)));
    assert_eq!(
        registry.addresses(id(1), &ResolvedNames::default()).len(),
        1
    );
}

#[test]
fn a_replayed_record_changes_nothing() {
    let mut registry = registry();
    let old = record(1, 101, 5);
    registry.accept(old.clone(), Instant::now()).unwrap();
    registry.accept(record(1, 50, 6), Instant::now()).unwrap();
    assert_eq!(
        registry.accept(old, Instant::now()).unwrap(),
        Accepted::Stale
    );
    assert_eq!(
        registry.accept(record(1, 51, 6), Instant::now()).unwrap(),
        Accepted::Stale
    );
    assert_eq!(registry.validator_of(&peer(50)), Some(id(1)));
    assert_eq!(
        registry.accept(record(2, 102, 0), Instant::now()).unwrap(),
        Accepted::Stale
    );
}

#[test]
fn a_validator_cannot_take_the_node_of_another() {
    let mut registry = registry();
    let taken = Accepted::Taken {
        node: peer(101),
        by: id(1),
    };
    assert_eq!(
        registry.accept(record(2, 101, 9), Instant::now()),
        Ok(taken)
    );
    assert_eq!(registry.validator_of(&peer(101)), Some(id(1)));
}

#[test]
fn own_records_are_told_apart() {
    let mut registry = registry();
    assert_eq!(
        registry.accept(record(3, 103, 9), Instant::now()).unwrap(),
        Accepted::Own(9)
    );
    assert_eq!(
        registry.accept(record(3, 60, 10), Instant::now()).unwrap(),
        Accepted::Stale
    );
}

#[test]
fn an_own_record_is_outbid_only_where_the_current_one_does_not_replace_it() {
    let mut registry = registry();
    registry.set_own(record(3, 103, 9));
    assert_eq!(
        registry.accept(record(3, 103, 8), Instant::now()).unwrap(),
        Accepted::Stale,
        "older than ours"
    );
    assert_eq!(
        registry.accept(record(3, 103, 9), Instant::now()).unwrap(),
        Accepted::Stale,
        "an echo"
    );
    assert_eq!(
        registry.accept(record(3, 103, 10), Instant::now()).unwrap(),
        Accepted::Own(10)
    );
    let elsewhere = "/ip4/127.0.0.1/tcp/10".parse().unwrap();
    let other = PeerRecord::new(key(3).public(), key(103).public(), &[elsewhere], 9).sign(
        CHAIN,
        &key(3),
        &key(103),
    );
    assert_eq!(
        registry.accept(other, Instant::now()).unwrap(),
        Accepted::Own(9),
        "same sequence, other addresses"
    );
}

#[test]
fn two_validators_that_share_a_node_leave_it_to_the_first() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut registry = registry();
        registry
            .accept(record(first, 50, 5), Instant::now())
            .unwrap();
        let taken = Accepted::Taken {
            node: peer(50),
            by: id(first),
        };
        assert_eq!(
            registry.accept(record(second, 50, 5), Instant::now()),
            Ok(taken)
        );
        assert_eq!(registry.validator_of(&peer(50)), Some(id(first)));
        assert_eq!(registry.validator_of(&peer(second + 100)), Some(id(second)));
    }
}

#[test]
fn two_validators_with_one_node_key_are_no_committee() {
    let shared = Registry::new(CHAIN, committee(), Some((id(3), key(101).public())), EVERY);
    assert!(matches!(shared, Err(RegistryError::Shared(..))));
}

#[test]
fn records_that_come_too_often_wait_for_their_time() {
    let (mut registry, start) = (registry(), Instant::now());
    let mut accept = |sequence, now| registry.accept(record(1, 50, sequence), now).unwrap();
    for sequence in 1..=u64::from(RECORDS_AT_ONCE) {
        assert!(matches!(accept(sequence, start), Accepted::New { .. }));
    }
    let next = u64::from(RECORDS_AT_ONCE) + 1;
    assert_eq!(accept(next, start), Accepted::TooSoon);
    assert_eq!(accept(next, start + EVERY / 2), Accepted::TooSoon);
    assert!(matches!(accept(next, start + EVERY), Accepted::New { .. }));
}

#[test]
fn private_addresses_count_where_the_own_ones_are_private() {
    let mut registry = registry();
    let both = ["/ip4/10.0.0.1/tcp/1", "/ip4/8.8.8.8/tcp/1"].map(|text| text.parse().unwrap());
    let of = |n: u8, node: u8, addresses: &[Multiaddr]| {
        let (validator, node) = (key(n), key(node));
        PeerRecord::new(validator.public(), node.public(), addresses, 7)
            .sign(CHAIN, &validator, &node)
    };
    registry.accept(of(1, 50, &both), Instant::now()).unwrap();
    for (own, seen) in [
        (&both[..0], &both[..]),
        (&both[..], &both[..]),
        (&both[1..], &both[1..]),
    ] {
        registry.set_own(of(3, 103, own));
        assert_eq!(registry.addresses(id(1), &ResolvedNames::default()), seen);
    }
}
