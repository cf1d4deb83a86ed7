//! Paths in the state tree, verified by the rule that the tree's crate states and nothing else.

use types::hash::{Domain, Hash32};
use types::proof::StateProof;
use types::state_key::StateKey;

/// The hash of a place in the tree below which there is no key.
const EMPTY: Hash32 = Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// Why a path proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The path ends at another key, or at none.
    #[error("the path does not end at the key that it should show")]
    WrongKey,
    /// The path ends at another value.
    #[error("the path ends at value {found}, the value given is {expected}")]
    WrongValue {
        /// Hash of the value given.
        expected: Hash32,
        /// Hash in the leaf.
        found: Hash32,
    },
    /// The key that should be absent is the path's end.
    #[error("the key is there, though it should be shown absent")]
    Present,
    /// The key that the path ends at does not share the path, so it says nothing of the key asked for.
    #[error("the path shares {shared} bits with the key and is {length} long")]
    Elsewhere {
        /// Bits that the two keys share.
        shared: usize,
        /// Length of the path.
        length: usize,
    },
    /// The path leads to another root.
    #[error("the path leads to root {found}, not to {expected}")]
    WrongRoot {
        /// The root that is trusted.
        expected: Hash32,
        /// Where the path leads.
        found: Hash32,
    },
}

/// Verifies that under `root` the key holds `value`, or is absent if there is none.
pub fn verify_state(
    root: &Hash32,
    key: &StateKey,
    value: Option<&[u8]>,
    proof: &StateProof,
) -> Result<(), TreeError> {
    let key = key.hash();
    match (value, proof.leaf) {
        (Some(value), Some((leaf, found))) => {
            let expected = Hash32::of_parts(Domain::STATE_VALUE, &[value]);
            if leaf != key {
                return Err(TreeError::WrongKey);
            }
            if found != expected {
                return Err(TreeError::WrongValue { expected, found });
            }
        }
        (Some(_), None) => return Err(TreeError::WrongKey),
        (None, Some((leaf, _))) => {
            let (shared, length) = (shared_bits(&leaf, &key), proof.siblings.len());
            if leaf == key {
                return Err(TreeError::Present);
            }
            if shared < length {
                return Err(TreeError::Elsewhere { shared, length });
            }
        }
        (None, None) => {}
    }
    let found = fold(&key, proof);
    if found == *root {
        Ok(())
    } else {
        Err(TreeError::WrongRoot {
            expected: *root,
            found,
        })
    }
}

/// The root that a path leads to: from the leaf up, the key's bit says on which side each sibling stands.
fn fold(key: &Hash32, proof: &StateProof) -> Hash32 {
    let start = proof.leaf.map_or(EMPTY, |(leaf, value)| {
        Hash32::of_parts(Domain::STATE_LEAF, &[&leaf.0, &value.0])
    });
    let depths = (0..proof.siblings.len()).rev();
    depths
        .zip(&proof.siblings)
        .fold(start, |below, (depth, sibling)| {
            let (left, right) = if bit(key, depth) {
                (sibling, &below)
            } else {
                (&below, sibling)
            };
            Hash32::of_parts(Domain::STATE_NODE, &[&left.0, &right.0])
        })
}

/// The bit at a depth, the highest bit of the first byte first. A path is at most 256 long.
fn bit(hash: &Hash32, depth: usize) -> bool {
    hash.0
        .get(depth / 8)
        .is_some_and(|byte| byte & (0x80 >> (depth % 8)) != 0)
}

fn shared_bits(a: &Hash32, b: &Hash32) -> usize {
    (0..256)
        .take_while(|depth| bit(a, *depth) == bit(b, *depth))
        .count()
}

#[cfg(test)]
mod tests;
