//! The tree by `jmt`, and the guards around it.
//!
//! Left alone, `jmt` starts from an empty tree where the parent's root is missing, panics on a missing inner node,
//! and on a block without changes forgets to make the old root stale. Here the parent's root is read and checked
//! first, a panic becomes [`StateError::CorruptTree`], and the old root is always stale. Versioned values are not
//! kept: the flat state has them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use borsh::BorshDeserialize;
use jmt::proof::{INTERNAL_DOMAIN_SEPARATOR, LEAF_DOMAIN_SEPARATOR, SparseMerkleProof};
use jmt::storage::{LeafNode, NibblePath, Node, TreeReader};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, RootHash, SimpleHasher};
use types::codec::{Bounded, CodecError, decode, encode};
use types::hash::{Domain, Hash32};
use types::number::Height;
use types::proof::StateProof;

use super::{NodeKey, StateTree, TreeChange, TreeNodes};
use crate::StateError;
use crate::damage::{TreeCorruption, TreeOperation};

/// The hash that `jmt` gives an empty subtree.
const PLACEHOLDER: Hash32 = Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");
/// Above the largest node: sixteen children of 50 bytes.
const MAX_NODE_BYTES: usize = 4_096;
/// Above the largest proof: 256 siblings of 65 bytes.
const MAX_PROOF_BYTES: usize = 32 << 10;

/// The Jellyfish Merkle tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct Jellyfish;

/// The domain-separated hashes of leaves and nodes. `jmt` begins these with a separator of its own, which picks the
/// domain; values are handed to it hashed, and pass through.
struct NodeHasher {
    domain: Option<Domain>,
    bytes: Vec<u8>,
}

impl SimpleHasher for NodeHasher {
    fn new() -> Self {
        Self {
            domain: None,
            bytes: Vec::with_capacity(64),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match data {
            LEAF_DOMAIN_SEPARATOR => self.domain = Some(Domain::STATE_LEAF),
            INTERNAL_DOMAIN_SEPARATOR => self.domain = Some(Domain::STATE_NODE),
            _ => self.bytes.extend_from_slice(data),
        }
    }

    fn finalize(self) -> [u8; 32] {
        match self.domain {
            Some(domain) => Hash32::of_parts(domain, &[&self.bytes]).0,
            None => self
                .bytes
                .try_into()
                .expect("values are handed over as hashes of 32 bytes"),
        }
    }
}

/// Our nodes as `jmt` reads them. It keeps the first failure of the storage below, which `jmt` would flatten, and the
/// last node that was not there, on which `jmt` panics.
struct NodeReader<'a> {
    nodes: &'a dyn TreeNodes,
    failure: RefCell<Option<StateError>>,
    missing: RefCell<Option<NodeKey>>,
}

impl<'a> NodeReader<'a> {
    fn new(nodes: &'a dyn TreeNodes) -> Self {
        Self {
            nodes,
            failure: RefCell::new(None),
            missing: RefCell::new(None),
        }
    }

    fn load(&self, key: &NodeKey) -> Result<Option<Node>, StateError> {
        let Some(bytes) = self.nodes.node(key)? else {
            *self.missing.borrow_mut() = Some(key.clone());
            return Ok(None);
        };
        let corrupt = |error| StateError::CorruptTree {
            height: key.height(),
            corruption: TreeCorruption::BadNode {
                node: key.clone(),
                error,
            },
        };
        decode(&bytes, MAX_NODE_BYTES).map(Some).map_err(corrupt)
    }

    fn root(&self, height: Height) -> Result<(NodeKey, Node), StateError> {
        let key = NodeKey::from(&root_key(height));
        let node = self.load(&key)?.ok_or(StateError::MissingRoot(height))?;
        Ok((key, node))
    }

    /// The error for a call in which `jmt` failed or panicked: the storage's own, a missing node, or `jmt`'s words.
    fn error(&self, height: Height, operation: TreeOperation, message: String) -> StateError {
        let engine = TreeCorruption::Engine { operation, message };
        let missing = self.missing.take().map(TreeCorruption::MissingNode);
        let corruption = missing.unwrap_or(engine);
        let corrupt = StateError::CorruptTree { height, corruption };
        self.failure.take().unwrap_or(corrupt)
    }
}

impl TreeReader for NodeReader<'_> {
    fn get_node_option(&self, key: &jmt::storage::NodeKey) -> Result<Option<Node>, anyhow::Error> {
        self.load(&NodeKey::from(key)).map_err(|error| {
            let failure = anyhow::Error::msg(error.to_string());
            self.failure.borrow_mut().get_or_insert(error);
            failure
        })
    }

    /// `jmt` hands the value of a proven leaf through; nobody looks at it.
    fn get_value_option(&self, _: u64, _: KeyHash) -> Result<Option<OwnedValue>, anyhow::Error> {
        Ok(Some(OwnedValue::new()))
    }

    fn get_rightmost_leaf(
        &self,
    ) -> Result<Option<(jmt::storage::NodeKey, LeafNode)>, anyhow::Error> {
        Ok(None)
    }
}

fn root_key(height: Height) -> jmt::storage::NodeKey {
    jmt::storage::NodeKey::new(height.0, NibblePath::from_iter([]))
}

impl From<&jmt::storage::NodeKey> for NodeKey {
    fn from(key: &jmt::storage::NodeKey) -> Self {
        let path = key.nibble_path();
        let length = path.num_nibbles();
        let mut bytes = Vec::with_capacity(9 + length.div_ceil(2));
        bytes.extend(key.version().to_be_bytes());
        bytes.push(u8::try_from(length).expect("a path has at most 64 nibbles"));
        for at in (0..length).step_by(2) {
            let low = if at + 1 < length {
                u8::from(path.get_nibble(at + 1))
            } else {
                0
            };
            bytes.push((u8::from(path.get_nibble(at)) << 4) | low);
        }
        Self::from_bytes(bytes)
    }
}

fn node_hash(node: &Node) -> Hash32 {
    match node {
        Node::Null => PLACEHOLDER,
        Node::Internal(inner) => Hash32(inner.hash::<NodeHasher>()),
        Node::Leaf(leaf) => Hash32(leaf.hash::<NodeHasher>()),
    }
}

/// Runs `jmt`; its errors and panics become ours, a failure of the storage stays what it was.
fn guarded<T>(
    height: Height,
    reader: &NodeReader<'_>,
    operation: TreeOperation,
    call: impl FnOnce() -> Result<T, anyhow::Error>,
) -> Result<T, StateError> {
    let message = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            text.or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it panicked")
                .to_owned()
        }
    };
    Err(reader.error(height, operation, message))
}

impl StateTree for Jellyfish {
    fn update(
        &self,
        nodes: &dyn TreeNodes,
        parent: Option<Hash32>,
        height: Height,
        changes: &BTreeMap<Hash32, Option<Hash32>>,
    ) -> Result<TreeChange, StateError> {
        let reader = NodeReader::new(nodes);
        let old = match (parent, height.checked_sub(1)) {
            (Some(expected), Some(below)) => {
                let (key, node) = reader.root(below)?;
                let found = guarded(below, &reader, TreeOperation::HashRoot, || {
                    Ok(node_hash(&node))
                })?;
                if found != expected {
                    return Err(StateError::RootMismatch {
                        height: below,
                        expected,
                        found,
                    });
                }
                Some((key, node))
            }
            (None, None) => None,
            _ => return Err(StateError::MissingRoot(height)),
        };
        if changes.is_empty() {
            return Ok(unchanged(old, height));
        }
        let mut change = guarded(height, &reader, TreeOperation::Update, || {
            put(&reader, height, changes)
        })?;
        change.stale.extend(old.map(|(key, _)| key));
        Ok(change)
    }

    fn prove(
        &self,
        nodes: &dyn TreeNodes,
        height: Height,
        root: &Hash32,
        key: &Hash32,
    ) -> Result<StateProof, StateError> {
        let reader = NodeReader::new(nodes);
        reader.root(height)?;
        let corrupt = |corruption| StateError::CorruptTree { height, corruption };
        let (plain, leads_to_root) = guarded(height, &reader, TreeOperation::Prove, || {
            let tree = JellyfishMerkleTree::<_, NodeHasher>::new(&reader);
            let (_, proof) = tree.get_with_proof(KeyHash(key.0), height.0)?;
            let plain = PlainProof::of(&proof)?;
            let value = plain
                .leaf
                .filter(|(leaf, _)| leaf == key)
                .map(|(_, value)| value.0);
            let verified = proof.verify(RootHash(root.0), KeyHash(key.0), value);
            Ok((plain, verified.is_ok()))
        })?;
        if !leads_to_root {
            return Err(corrupt(TreeCorruption::PathLeadsElsewhere {
                key: *key,
                root: *root,
            }));
        }
        plain
            .into_state_proof()
            .map_err(|error| corrupt(TreeCorruption::PathTooLong { key: *key, error }))
    }
}

/// A tree without changes: the old root under the new version.
fn unchanged(old: Option<(NodeKey, Node)>, height: Height) -> TreeChange {
    let (stale, node) = old.map_or((None, Node::Null), |(key, node)| (Some(key), node));
    TreeChange {
        root: node_hash(&node),
        new: BTreeMap::from([(NodeKey::from(&root_key(height)), encode(&node))]),
        stale: stale.into_iter().collect(),
    }
}

fn put(
    reader: &NodeReader<'_>,
    height: Height,
    changes: &BTreeMap<Hash32, Option<Hash32>>,
) -> Result<TreeChange, anyhow::Error> {
    let tree = JellyfishMerkleTree::<_, NodeHasher>::new(reader);
    let sets: Option<Vec<_>> = changes
        .iter()
        .map(|(key, value)| Some((KeyHash(key.0), value.as_ref()?.0.to_vec())))
        .collect();
    let (root, batch) = if let Some(set) = sets {
        // Without deletions the tree hashes each changed node once, not once per key below it.
        let (roots, batch) = tree.batch_put_value_sets(vec![set], None, height.0)?;
        (
            roots
                .first()
                .copied()
                .ok_or_else(|| anyhow::Error::msg("no root came back"))?,
            batch,
        )
    } else {
        let set = changes
            .iter()
            .map(|(key, value)| (KeyHash(key.0), value.map(|hash| hash.0.to_vec())));
        tree.put_value_set(set, height.0)?
    };
    let new = batch
        .node_batch
        .nodes()
        .iter()
        .map(|(key, node)| (NodeKey::from(key), encode(node)))
        .collect();
    let stale: BTreeSet<_> = batch
        .stale_node_index_batch
        .iter()
        .map(|stale| NodeKey::from(&stale.node_key))
        .collect();
    Ok(TreeChange {
        root: Hash32(root.0),
        new,
        stale,
    })
}

/// A proof as `jmt` encodes it: its siblings are private, its encoding is not.
#[derive(BorshDeserialize)]
struct PlainProof {
    leaf: Option<(Hash32, Hash32)>,
    siblings: Vec<PlainNode>,
}

#[derive(BorshDeserialize)]
enum PlainNode {
    Null,
    Inner([u8; 32], [u8; 32]),
    Leaf([u8; 32], [u8; 32]),
}

impl PlainProof {
    fn of(proof: &SparseMerkleProof<NodeHasher>) -> Result<Self, anyhow::Error> {
        Ok(decode(&encode(proof), MAX_PROOF_BYTES)?)
    }

    fn into_state_proof(self) -> Result<StateProof, CodecError> {
        let hash = |node| match node {
            PlainNode::Null => PLACEHOLDER,
            PlainNode::Inner(left, right) => Hash32::of_parts(Domain::STATE_NODE, &[&left, &right]),
            PlainNode::Leaf(key, value) => Hash32::of_parts(Domain::STATE_LEAF, &[&key, &value]),
        };
        let siblings = Bounded::new(self.siblings.into_iter().map(hash).collect());
        Ok(StateProof {
            leaf: self.leaf,
            siblings: siblings?,
        })
    }
}
