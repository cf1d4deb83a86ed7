//! The authenticated tree over the state, behind a trait of our own so that its engine can be replaced without
//! changing a root.
//!
//! The rule of the root, whatever computes it: the tree is a binary trie over the bits of [`StateKey::hash`], from
//! the highest bit of the first byte on. A place below which there is no key is the 32 bytes
//! `SPARSE_MERKLE_PLACEHOLDER_HASH__`; a place with one key is that key's leaf; any other is an inner node.
//!
//! ```text
//! value = H(state value, bytes)      leaf = H(state leaf, key hash || value)      node = H(state node, left || right)
//! ```
//!
//! The root after height h is version h of the tree. A node is stored under the version that made it.
//!
//! [`StateKey::hash`]: types::state_key::StateKey::hash

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use types::hash::{Domain, Hash32};
use types::number::Height;
use types::proof::StateProof;

use crate::StateError;

mod jellyfish;

pub use jellyfish::Jellyfish;

/// The name of a stored node: its version in eight big-endian bytes, the length of its path in one, and the path.
/// A tree hands out names; a store only keeps bytes under them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct NodeKey(Vec<u8>);

impl NodeKey {
    /// The bytes under which a store keeps the node; they sort by version.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Stored nodes.
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

/// What a block changes in the tree.
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

    /// The path to a key, or to where it would be, in the tree at `height`; checked against its `root`.
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
