//! Binary Merkle lists: a root over the number of items and their hashes, and one proof for any set of positions.
//!
//! Leaves and inner nodes have domains of their own. A level with an odd number of nodes carries its last node up
//! unchanged; since the root also covers the length, no two lists share a root (the shape is a function of it).

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::Bounded;
use crate::hash::{Domain, Hash32};
use crate::limits::MAX_TASKS;

fn leaf(item: &Hash32) -> Hash32 {
    Hash32::of_parts(Domain::MERKLE_LEAF, &[&item.0])
}

fn node(left: &Hash32, right: &Hash32) -> Hash32 {
    Hash32::of_parts(Domain::MERKLE_NODE, &[&left.0, &right.0])
}

fn with_length(length: usize, top: &Hash32) -> Hash32 {
    let length = u64::try_from(length).expect("a length fits 64 bits");
    Hash32::of_parts(Domain::MERKLE_ROOT, &[&length.to_le_bytes(), &top.0])
}

/// The root of a list; the root of the empty list is that of length 0 over zeros.
#[must_use]
pub fn merkle_root(items: &[Hash32]) -> Hash32 {
    let mut level: Vec<_> = items.iter().map(leaf).collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| pair.get(1).map_or(pair[0], |right| node(&pair[0], right)))
            .collect();
    }
    with_length(items.len(), level.first().unwrap_or(&Hash32::ZERO))
}

/// The nodes beside the paths of a set of positions, level by level from the leaves, left to right.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct MerkleProof(pub Bounded<Hash32, MAX_TASKS>);

/// Walks the levels of a list of `length` items over the known nodes `(position, hash)`, sorted by position.
/// `sibling` supplies the node at (level, position) that is not known.
fn fold(
    length: usize,
    mut known: Vec<(usize, Hash32)>,
    mut sibling: impl FnMut(usize, usize) -> Option<Hash32>,
) -> Option<Hash32> {
    let (mut width, mut depth) = (length, 0);
    while width > 1 {
        let mut above = Vec::with_capacity(known.len());
        let mut at = 0;
        while at < known.len() {
            let (position, hash) = known[at];
            let next = known
                .get(at + 1)
                .filter(|(other, _)| position % 2 == 0 && *other == position + 1);
            let parent = if let Some((_, right)) = next {
                at += 1;
                node(&hash, right)
            } else if position % 2 == 1 {
                node(&sibling(depth, position - 1)?, &hash)
            } else if position + 1 < width {
                node(&hash, &sibling(depth, position + 1)?)
            } else {
                hash
            };
            above.push((position / 2, parent));
            at += 1;
        }
        (known, width, depth) = (above, width.div_ceil(2), depth + 1);
    }
    known.first().map(|(_, top)| with_length(length, top))
}

/// Proves the items at `positions`, which must be ascending, without repeats and inside the list.
#[must_use]
pub fn merkle_prove(items: &[Hash32], positions: &[usize]) -> Option<MerkleProof> {
    let ascending = positions.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || positions.last().is_none_or(|last| *last >= items.len()) {
        return None;
    }
    let mut levels: Vec<Vec<Hash32>> = vec![items.iter().map(leaf).collect()];
    while let Some(level) = levels.last().filter(|level| level.len() > 1) {
        let above = level
            .chunks(2)
            .map(|pair| pair.get(1).map_or(pair[0], |right| node(&pair[0], right)))
            .collect();
        levels.push(above);
    }
    let mut siblings = Vec::new();
    let known = positions
        .iter()
        .map(|&position| (position, levels[0][position]))
        .collect();
    fold(items.len(), known, |depth, position| {
        let hash = *levels.get(depth)?.get(position)?;
        siblings.push(hash);
        Some(hash)
    })?;
    Bounded::new(siblings).ok().map(MerkleProof)
}

/// The root that `items` (position and item, ascending) and a proof lead to, if the proof has exactly what it needs.
#[must_use]
pub fn merkle_verify(
    length: usize,
    items: &[(usize, Hash32)],
    proof: &MerkleProof,
) -> Option<Hash32> {
    let ascending = items.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if !ascending || items.last().is_none_or(|last| last.0 >= length) {
        return None;
    }
    let mut rest = proof.0.iter();
    let known = items
        .iter()
        .map(|(position, item)| (*position, leaf(item)))
        .collect();
    let root = fold(length, known, |_, _| rest.next().copied())?;
    rest.next().is_none().then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(length: usize) -> Vec<Hash32> {
        (0..length)
            .map(|i| Hash32::of(Domain::LEAF, &u64::try_from(i).unwrap()))
            .collect()
    }

    #[test]
    fn every_subset_of_small_lists_proves_and_nothing_else_does() {
        for length in 1..=9usize {
            let items = items(length);
            for subset in 1..1usize << length {
                let positions: Vec<_> = (0..length).filter(|i| subset & (1 << i) != 0).collect();
                let proof = merkle_prove(&items, &positions).unwrap();
                let mut opened: Vec<_> = positions.iter().map(|&p| (p, items[p])).collect();
                assert_eq!(
                    merkle_verify(length, &opened, &proof),
                    Some(merkle_root(&items))
                );
                assert_ne!(
                    merkle_verify(length + 1, &opened, &proof),
                    Some(merkle_root(&items))
                );
                opened[0].1.0[0] ^= 1;
                assert_ne!(
                    merkle_verify(length, &opened, &proof),
                    Some(merkle_root(&items))
                );
            }
        }
    }

    #[test]
    fn a_proof_with_a_node_too_many_is_refused() {
        let items = items(5);
        let mut proof = merkle_prove(&items, &[1, 4]).unwrap();
        proof.0.push(Hash32::ZERO).unwrap();
        assert_eq!(
            merkle_verify(5, &[(1, items[1]), (4, items[4])], &proof),
            None
        );
        assert_eq!(merkle_prove(&items, &[]), None);
        assert_eq!(merkle_prove(&items, &[2, 1]), None);
        assert_eq!(merkle_prove(&items, &[5]), None);
    }
}
