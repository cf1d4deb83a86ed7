//! One form for each node, and hashes by the rule.

use proptest::prelude::*;

use super::*;
use crate::fixture::{rule, seeded};
use crate::node_key::NodePath;

fn name(nibbles: &[u8]) -> NodeKey {
    let step = |path: NodePath, nibble: &u8| path.child(*nibble).unwrap();
    NodeKey::new(Height(7), nibbles.iter().fold(NodePath::ROOT, step))
}

/// A key that begins with these nibbles.
fn key(nibbles: &[u8], rest: u8) -> Hash32 {
    let mut hash = Hash32([rest; HASH_BYTES]);
    for (at, nibble) in nibbles.iter().enumerate() {
        let byte = &mut hash.0[at / 2];
        *byte = if at % 2 == 0 {
            (*byte & 0x0f) | nibble << 4
        } else {
            (*byte & 0xf0) | nibble
        };
    }
    hash
}

fn leaf(nibbles: &[u8], rest: u8) -> NodeChild {
    let value = Hash32([rest ^ 0xff; HASH_BYTES]);
    let key = key(nibbles, rest);
    NodeChild::Key { key, value }
}

fn inner(height: u64, rest: u8) -> NodeChild {
    let (height, hash) = (Height(height), Hash32([rest; HASH_BYTES]));
    NodeChild::Inner { height, hash }
}

fn refusal(name: &NodeKey, bytes: &[u8]) -> TreeCorruption {
    match StateNode::from_bytes(name, bytes) {
        Err(StateError::CorruptTree { height, corruption }) => {
            assert_eq!(height, name.height());
            corruption
        }
        other => unreachable!("{other:?}"),
    }
}

fn children() -> impl Strategy<Value = Vec<(u8, NodeChild)>> {
    let child = prop_oneof![
        2 => Just(None),
        2 => any::<u8>().prop_map(|rest| Some((true, rest))),
        1 => any::<u8>().prop_map(|rest| Some((false, rest))),
    ];
    prop::collection::vec(child, 16).prop_map(|places| {
        (0..16u8)
            .zip(places)
            .filter_map(|(place, child)| {
                let (is_key, rest) = child?;
                let child = if is_key {
                    leaf(&[0x3, 0xc, place], rest)
                } else {
                    inner(u64::from(rest % 8), rest)
                };
                Some((place, child))
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(seeded(128))]

    #[test]
    fn a_node_reads_back_and_no_other_bytes_are_it(children in children(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let name = name(&[0x3, 0xc]);
        let is_lonely = matches!(children[..], [] | [(_, NodeChild::Key { .. })]);
        let node = StateNode::new(&children);
        let bytes = node.to_bytes();
        prop_assert!(bytes.len() <= MASK_BYTES + 16 * KEY_BYTES);
        if is_lonely {
            prop_assert_eq!(refusal(&name, &bytes), TreeCorruption::Lonely(name));
            return Ok(());
        }
        let read = StateNode::from_bytes(&name, &bytes).unwrap();
        prop_assert_eq!(read.as_ref(), &node);
        let mut flipped = bytes.clone();
        flipped[at.index(bytes.len())] ^= 1 << bit;
        if let Ok(other) = StateNode::from_bytes(&name, &flipped) {
            prop_assert_ne!(other.as_ref(), &node);
            prop_assert_eq!(other.to_bytes(), flipped);
        }
        for length in 0..bytes.len() {
            prop_assert!(StateNode::from_bytes(&name, &bytes[..length]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(StateNode::from_bytes(&name, &longer).is_err());
    }

    /// A root of keys alone, against the rule's own text.
    #[test]
    fn the_hash_follows_the_rule(places in prop::collection::btree_map(0..16u8, any::<u8>(), 0..16)) {
        let children: Vec<_> = places.iter().map(|(place, rest)| (*place, leaf(&[*place], *rest))).collect();
        let pairs: Vec<_> = children.iter().filter_map(|(_, child)| match child {
            NodeChild::Key { key, value } => Some((*key, *value)),
            NodeChild::Inner { .. } => None,
        }).collect();
        prop_assert_eq!(StateNode::new(&children).hash(), rule(&pairs, 0));
    }

    /// Every way down ends where the place leads to, and its siblings fold to the node's hash.
    #[test]
    fn a_walk_shows_the_hashes_beside_it(children in children(), place in 0..16u8) {
        let node = StateNode::new(&children);
        let mut siblings = Vec::new();
        let end = node.walk(place, &mut siblings);
        let found = children.iter().find(|(at, _)| *at == place).map(|(_, child)| *child);
        match end {
            Some(NodeChild::Key { .. }) if found != end => {
                prop_assert!(found.is_none(), "another key stands for an absent one");
            }
            _ => prop_assert_eq!(end, found),
        }
        let start = end.map_or(EMPTY, |child| child.hash());
        let fold = siblings.iter().enumerate().rev().fold(start, |below, (depth, beside)| {
            let is_right = place & (8 >> depth) != 0;
            let (left, right) = if is_right { (beside, &below) } else { (&below, beside) };
            Hash32::of_parts(Domain::STATE_NODE, &[&left.0, &right.0])
        });
        prop_assert_eq!(fold, node.hash());
    }
}

#[test]
fn what_does_not_belong_in_a_place_is_refused() {
    let name = name(&[0x3, 0xc]);
    let beside = (0x0, leaf(&[0x3, 0xc, 0x0], 1));
    for wrong in [
        leaf(&[0x3, 0xc, 0x4], 9),
        leaf(&[0x3, 0xd, 0x5], 9),
        leaf(&[0x2, 0xc, 0x5], 9),
        inner(8, 9),
    ] {
        let node = StateNode::new(&[beside, (0x5, wrong)]);
        let misplaced = TreeCorruption::Misplaced {
            node: name,
            place: 5,
        };
        assert_eq!(refusal(&name, &node.to_bytes()), misplaced);
    }
    for right in [leaf(&[0x3, 0xc, 0x5], 9), inner(7, 9), inner(0, 9)] {
        let node = StateNode::new(&[beside, (0x5, right)]);
        assert!(StateNode::from_bytes(&name, &node.to_bytes()).is_ok());
    }
}

/// Two keys part within their 64 nibbles: at the end of a path there is no node, and none is referred to.
#[test]
fn no_node_stands_at_the_end_of_a_key() {
    let (last, end) = (name(&[1; 63]), name(&[1; 64]));
    let keys = vec![(0x1, leaf(&[1; 64], 0)), (0x2, leaf(&[1; 63], 0x22))];
    let node = StateNode::new(&keys);
    assert!(matches!(
        refusal(&end, &node.to_bytes()),
        TreeCorruption::Misplaced { .. }
    ));
    let NodeChild::Key { value, .. } = keys[1].1 else {
        unreachable!("a key")
    };
    let mut second = key(&[1; 63], 0);
    second.0[31] = 0x12;
    let keys = vec![keys[0], (0x2, NodeChild::Key { key: second, value })];
    assert!(StateNode::from_bytes(&last, &StateNode::new(&keys).to_bytes()).is_ok());
    let deeper = StateNode::new(&[(0x1, inner(1, 1)), (0x2, inner(1, 2))]);
    assert!(matches!(
        refusal(&last, &deeper.to_bytes()),
        TreeCorruption::Misplaced { .. }
    ));
}

/// The root may be empty or hold one key; no other node may.
#[test]
fn only_the_root_may_be_nearly_empty() {
    let root = NodeKey::root(Height(7));
    for children in [vec![], vec![(0x3, leaf(&[0x3], 1))]] {
        let bytes = StateNode::new(&children).to_bytes();
        assert!(StateNode::from_bytes(&root, &bytes).is_ok());
    }
    assert_eq!(StateNode::new(&[]).hash(), EMPTY);
    let way = StateNode::new(&[(0x3, inner(1, 1))]);
    assert!(
        StateNode::from_bytes(&name(&[0x3]), &way.to_bytes()).is_ok(),
        "keys with a long common beginning"
    );
}

#[test]
fn two_children_in_one_place_are_refused() {
    let node = StateNode::new(&[(0x3, leaf(&[0x3], 1)), (0x4, inner(1, 1))]);
    let mut bytes = node.to_bytes();
    bytes[2] |= 1 << 3;
    bytes.extend([0; INNER_BYTES]);
    let root = NodeKey::root(Height(7));
    let (node, places) = (root, 1 << 3);
    assert_eq!(
        refusal(&root, &bytes),
        TreeCorruption::TwoInOnePlace { node, places }
    );
}

#[test]
fn a_length_that_the_masks_do_not_say_is_named() {
    let root = NodeKey::root(Height(7));
    let bytes = StateNode::new(&[(0x3, leaf(&[0x3], 1)), (0x4, inner(1, 1))]).to_bytes();
    let whole = MASK_BYTES + KEY_BYTES + INNER_BYTES;
    assert_eq!(bytes.len(), whole);
    for found in 0..whole {
        let expected = if found < MASK_BYTES {
            MASK_BYTES
        } else {
            whole
        };
        let wrong = TreeCorruption::NodeLength {
            node: root,
            found,
            expected,
        };
        assert_eq!(refusal(&root, &bytes[..found]), wrong);
    }
}

#[test]
fn memory_grows_with_the_children() {
    let bytes = |count: u8| {
        let children = (0..count).map(|place| (place, inner(1, place)));
        StateNode::new(&children.collect::<Vec<_>>()).memory_bytes()
    };
    assert!(bytes(2) < bytes(3) && bytes(16) < 2_048, "{}", bytes(16));
}
