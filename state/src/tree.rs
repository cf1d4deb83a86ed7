//! The authenticated tree over the state, behind a trait of our own so that its engine can be replaced without
//! changing a root.
//!
//! The rule of the root, whatever computes it: the tree is a binary trie over the bits of [`StateKey::hash`], from
//! the highest bit of the first byte on. A subtree without keys hashes to the 32 bytes
//! `SPARSE_MERKLE_PLACEHOLDER_HASH__`; a subtree with one key is that key's leaf; any other is an inner node.
//!
//! ```text
//! value = H(state value, bytes)      leaf = H(state leaf, key hash || value)      node = H(state node, left || right)
//! ```
//!
//! The root after height h is version h of the tree. A node is stored under the version that made it.
//!
//! [`StateKey::hash`]: types::state_key::StateKey::hash

use std::collections::{BTreeMap, BTreeSet};

use types::hash::{Domain, Hash32};
use types::number::Height;
use types::proof::StateProof;

use crate::StateError;

mod jellyfish;

pub use crate::node_key::NodeKey;
pub use jellyfish::Jellyfish;

/// Stored nodes of all kept versions.
pub trait TreeNodes {
    /// The node's bytes, or nothing if there is no such node.
    fn node(&self, key: &NodeKey) -> Result<Option<Vec<u8>>, StateError>;
}

/// The nodes of a tree that does not exist yet.
impl TreeNodes for () {
    fn node(&self, _: &NodeKey) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }
}

/// The nodes that a block adds to the tree and takes out of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// The root after the block.
    pub root: Hash32,
    /// Nodes made by the block.
    pub new: BTreeMap<NodeKey, Vec<u8>>,
    /// Nodes that no version from the block's on refers to; the parent's root is always among them.
    pub stale: BTreeSet<NodeKey>,
}

/// A versioned tree over key hashes and value hashes.
pub trait StateTree {
    /// The tree at `height` after `changes` (key hash to value hash, or to nothing where the key goes) on top of
    /// `parent`: the version below and its root, which is checked; nothing for genesis at height 0.
    fn update(
        &self,
        nodes: &dyn TreeNodes,
        parent: Option<Hash32>,
        height: Height,
        changes: &BTreeMap<Hash32, Option<Hash32>>,
    ) -> Result<TreeChange, StateError>;

    /// The path to a key in the tree at `height`, or to the leaf or empty subtree that shows its absence; checked
    /// against `root`.
    fn prove(
        &self,
        nodes: &dyn TreeNodes,
        height: Height,
        root: &Hash32,
        key: &Hash32,
    ) -> Result<StateProof, StateError>;
}

/// The hash of a value, as leaves carry it.
#[must_use]
pub fn value_hash(value: &[u8]) -> Hash32 {
    Hash32::of_parts(Domain::STATE_VALUE, &[value])
}

#[cfg(test)]
mod tests;
