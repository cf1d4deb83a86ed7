//! The authenticated tree over the state.
//!
//! The rule of the root, whatever computes it: the tree is a binary trie over the bits of [`StateKey::hash`], from
//! the highest bit of the first byte on. A subtree without keys hashes to the 32 bytes
//! `SPARSE_MERKLE_PLACEHOLDER_HASH__`; a subtree with one key is that key's leaf; any other is an inner node.
//!
//! ```text
//! value = H(state value, bytes)      leaf = H(state leaf, key hash || value)      node = H(state node, left || right)
//! ```
//!
//! The root after height h is version h of the tree. Four levels of the trie are stored as one [`StateNode`], under the
//! version that made it. Nothing here keeps nodes: a store does, and may hold the upper ones in memory.
//!
//! [`StateKey::hash`]: types::state_key::StateKey::hash

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::codec::Bounded;
use types::hash::{Domain, Hash32};
use types::number::Height;
use types::proof::StateProof;

use crate::StateError;
use crate::damage::TreeCorruption;
use crate::node_key::nibble;

mod build;
mod node;
mod update;

pub use crate::node_key::{NodeKey, NodePath};
pub(crate) use build::hash_below;
pub use build::{NodeSink, build};
pub use node::{NodeChild, StateNode};

/// The hash of a subtree without keys.
pub(crate) const EMPTY: Hash32 = Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// Stored nodes of all kept versions.
pub trait TreeNodes {
    /// The node of a name, or nothing if there is no such node.
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError>;
}

/// The nodes of a tree that does not exist yet.
impl TreeNodes for () {
    fn node(&self, _: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        Ok(None)
    }
}

/// The nodes that a block adds to the tree and takes out of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// The root after the block.
    pub root: Hash32,
    /// Nodes made by the block.
    pub new: BTreeMap<NodeKey, Arc<StateNode>>,
    /// Nodes that no version from the block's on refers to; the parent's root is always among them.
    pub stale: BTreeSet<NodeKey>,
}

/// The tree at `height` after `changes` (key hash to value hash, or to nothing where the key goes) on top of
/// `parent`: the root of the version below, which is checked; nothing for genesis at height 0.
pub fn update(
    nodes: &dyn TreeNodes,
    parent: Option<Hash32>,
    height: Height,
    changes: &BTreeMap<Hash32, Option<Hash32>>,
) -> Result<TreeChange, StateError> {
    let old = match (parent, height.checked_sub(1)) {
        (Some(expected), Some(below)) => {
            let (name, node) = root(nodes, below)?;
            let found = node.hash();
            if found != expected {
                return Err(StateError::RootMismatch {
                    height: below,
                    expected,
                    found,
                });
            }
            Some((name, node))
        }
        (None, None) => None,
        _ => return Err(StateError::MissingRoot(height)),
    };
    let changes: Vec<_> = changes.iter().map(|(key, value)| (*key, *value)).collect();
    update::Update::new(nodes, height).run(old.as_ref(), &changes)
}

/// The path to a key in the tree at `height`, or to the leaf or empty subtree that shows its absence; it leads to
/// `expected`, the root on record.
pub fn prove(
    nodes: &dyn TreeNodes,
    height: Height,
    expected: &Hash32,
    key: &Hash32,
) -> Result<StateProof, StateError> {
    let corrupt = |corruption| StateError::CorruptTree { height, corruption };
    let (mut name, mut node) = root(nodes, height)?;
    if node.hash() != *expected {
        return Err(corrupt(TreeCorruption::PathLeadsElsewhere {
            key: *key,
            root: *expected,
        }));
    }
    let mut siblings = Vec::new();
    let leaf = loop {
        let place = nibble(key, name.path().len());
        match node.walk(place, &mut siblings) {
            None => break None,
            Some(NodeChild::Key { key, value }) => break Some((key, value)),
            Some(NodeChild::Inner { height, hash }) => {
                let path = name.path().child(place);
                name = NodeKey::new(height, path.expect("the path is shorter than a key"));
                node = load(nodes, &name, &hash)?;
            }
        }
    };
    siblings.reverse();
    let siblings = Bounded::new(siblings).expect("a path has a sibling for each bit at most");
    Ok(StateProof { leaf, siblings })
}

/// The root node of a version.
pub(crate) fn root(
    nodes: &dyn TreeNodes,
    height: Height,
) -> Result<(NodeKey, Arc<StateNode>), StateError> {
    let name = NodeKey::root(height);
    let node = nodes.node(&name)?.ok_or(StateError::MissingRoot(height))?;
    Ok((name, node))
}

/// A node that its parent refers to by name and hash.
pub(crate) fn load(
    nodes: &dyn TreeNodes,
    name: &NodeKey,
    hash: &Hash32,
) -> Result<Arc<StateNode>, StateError> {
    let corrupt = |corruption| StateError::CorruptTree {
        height: name.height(),
        corruption,
    };
    let node = nodes.node(name)?;
    let node = node.ok_or_else(|| corrupt(TreeCorruption::MissingNode(*name)))?;
    if node.hash() != *hash {
        return Err(corrupt(TreeCorruption::OtherNode {
            node: *name,
            expected: *hash,
            found: node.hash(),
        }));
    }
    Ok(node)
}

/// The hash of a value, as leaves carry it.
#[must_use]
pub fn value_hash(value: &[u8]) -> Hash32 {
    Hash32::of_parts(Domain::STATE_VALUE, &[value])
}

#[cfg(test)]
mod tests;
