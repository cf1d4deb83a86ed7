//! A state goes piece by piece, at a height below the tip, and nothing that is wrong is taken for a piece of it.

use std::collections::BTreeMap;

use types::codec::{decode, encode};
use types::hash::Address;

use super::*;
use crate::fixture::{next, store};
use crate::{ChainStore, DecidedState, Durability, MemoryStore, Writes};

fn key(n: u16) -> StateKey {
    let mut address = [0; 20];
    address[..2].copy_from_slice(&n.to_le_bytes());
    StateKey::Account(Address(address))
}

/// A value whose length differs from key to key; some are larger than a piece has room for.
fn value(n: u16) -> Vec<u8> {
    let length = if n.is_multiple_of(5) { 90_000 } else { 5 };
    vec![u8::try_from(n % 251).unwrap(); length]
}

/// Height 1 with some hundred values, and heights above it that change and delete them.
fn chain() -> (MemoryStore, BTreeMap<Hash32, (StateKey, Vec<u8>)>) {
    let store = store(&[(1, Some(1))]);
    let written: Writes = (0..400).map(|n| (key(n), Some(value(n)))).collect();
    let later: Writes = (0..400)
        .map(|n| (key(n), (n % 3 > 0).then(|| vec![9])))
        .collect();
    let mut expected: BTreeMap<_, _> = (0..400)
        .map(|n| (key(n).hash(), (key(n), value(n))))
        .collect();
    let first = crate::fixture::key(1);
    expected.insert(first.hash(), (first, vec![1]));
    for writes in [written, later, Writes::new()] {
        let decision = next(&store, writes);
        store.commit(&decision, Durability::Synced).unwrap();
    }
    (store, expected)
}

#[test]
fn a_state_below_the_tip_goes_piece_by_piece_and_is_built_again() {
    let (store, expected) = chain();
    let root = store.root_at(Height(1)).unwrap();
    let mut wanted = vec![(NodePath::ROOT, root)];
    let (mut got, mut nodes) = (BTreeMap::new(), 0);
    while let Some((path, hash)) = wanted.pop() {
        let piece = read(&store, Height(1), &path).unwrap().unwrap();
        nodes += usize::from(matches!(piece, Subtree::Node(_)));
        let bytes = encode(&piece);
        let piece: Subtree = decode(&bytes, MAX_SUBTREE_BYTES).unwrap();
        let checked = piece.check(&path, &hash).unwrap();
        wanted.extend(checked.below);
        let values = checked.values.into_iter();
        got.extend(values.map(|(hash, key, value)| (hash, (key, value))));
    }
    assert_eq!(got, expected);
    assert!(nodes > 1, "it is too large for one piece: {nodes}");
    let leaves = got
        .iter()
        .map(|(key, (_, value))| Ok((*key, value_hash(value))));
    assert_eq!(tree::build(Height(7), leaves, &mut |_, _| Ok(())), Ok(root));
}

#[test]
fn what_lies_nowhere_is_no_piece_and_heights_that_are_gone_are_refused() {
    let (store, _) = chain();
    let nowhere = NodePath::of_nibbles(&[3; 20]).unwrap();
    assert_eq!(read(&store, Height(1), &nowhere), Ok(None));
    let above = read(&store, Height(9), &NodePath::ROOT);
    assert!(
        matches!(above, Err(StateError::NotKept { .. })),
        "{above:?}"
    );
}

#[test]
fn no_changed_byte_is_taken_for_a_piece() {
    let store = store(&[(1, Some(1)), (2, Some(2)), (3, Some(3))]);
    let root = store.root_at(Height(0)).unwrap();
    let values = read(&store, Height(0), &NodePath::ROOT).unwrap().unwrap();
    let (_, node) = tree::root(&store, Height(0)).unwrap();
    let node = Subtree::Node(Bounded::new(node.to_bytes()).unwrap());
    for piece in [values, node] {
        let right = piece.clone().check(&NodePath::ROOT, &root).unwrap();
        let bytes = encode(&piece);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Ok(piece) = decode::<Subtree>(&changed, MAX_SUBTREE_BYTES)
                    && let Ok(taken) = piece.check(&NodePath::ROOT, &root)
                {
                    assert_eq!(taken, right, "byte {at}");
                }
            }
            assert!(decode::<Subtree>(&bytes[..at], MAX_SUBTREE_BYTES).is_err());
        }
    }
}

/// Values that are left out, added or in another order, and pieces of another path.
#[test]
fn what_is_left_out_added_or_elsewhere_is_refused() {
    let store = store(&[(1, Some(1)), (2, Some(2)), (3, Some(3))]);
    let root = store.root_at(Height(0)).unwrap();
    let piece = read(&store, Height(0), &NodePath::ROOT).unwrap().unwrap();
    let Subtree::Values(values) = piece else {
        panic!("three values fit")
    };
    let values = values.into_inner();
    let check = |values: Vec<SentValue>, path: &NodePath| {
        Subtree::Values(Bounded::new(values).unwrap()).check(path, &root)
    };
    let fewer = check(values[1..].to_vec(), &NodePath::ROOT);
    assert!(matches!(fewer, Err(SubtreeFault::OtherHash { .. })));
    assert!(check(Vec::new(), &NodePath::ROOT).is_err());
    let turned: Vec<_> = values.iter().rev().cloned().collect();
    let turned = check(turned, &NodePath::ROOT);
    assert!(matches!(turned, Err(SubtreeFault::Unordered(_))));
    let twice: Vec<_> = [&values[..1], &values].concat();
    let twice = check(twice, &NodePath::ROOT);
    assert!(matches!(twice, Err(SubtreeFault::Unordered(_))));
    let first = values[0].0.hash().0[0] >> 4;
    let other = NodePath::of_nibbles(&[(first + 1) % 16]).unwrap();
    let elsewhere = check(values[..1].to_vec(), &other);
    assert!(matches!(elsewhere, Err(SubtreeFault::Misplaced(_))));
}
