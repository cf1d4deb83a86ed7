//! Pieces of a state as they go from node to node, each checked by itself against the root that the piece above it named.
//!
//! A piece is what lies below a path of the tree: all values there, or, where they are too many for one piece, the node
//! that stands there, whose children are the next pieces. So a state is fetched from the root down, from any number of
//! nodes, in any order, and no wrong value is ever taken. What this leaves out: whom to ask and where to keep it.

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::Bounded;
use types::hash::Hash32;
use types::limits::MAX_STATE_VALUE_BYTES;
use types::number::Height;
use types::state_key::StateKey;

use crate::damage::TreeCorruption;
use crate::node_key::NodePath;
use crate::tree::{self, NodeChild, NodeKey, StateNode, value_hash};
use crate::{DecidedState, StateError};

/// Most values of one piece.
pub const MAX_SUBTREE_VALUES: usize = 8_192;
/// Bytes of keys and values after which a piece takes no more. The first value may go beyond.
pub const SUBTREE_BYTES: usize = 256 << 10;
/// Largest encoded piece, in bytes.
pub const MAX_SUBTREE_BYTES: usize = SUBTREE_BYTES + MAX_STATE_VALUE_BYTES + 8 * MAX_SUBTREE_VALUES;
/// Largest encoded node: its masks, and sixteen keys.
const MAX_NODE_BYTES: usize = 4 + 16 * 64;

/// A key with its value, as it travels.
pub type SentValue = (StateKey, Bounded<u8, MAX_STATE_VALUE_BYTES>);

/// What lies below a path.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Subtree {
    /// Everything, ascending by the keys' hashes.
    Values(Bounded<SentValue, MAX_SUBTREE_VALUES>),
    /// The bytes of the node that stands there. The versions in it mean nothing.
    Node(Bounded<u8, MAX_NODE_BYTES>),
}

/// A value with its key and the key's hash.
pub type HashedValue = (Hash32, StateKey, Vec<u8>);

/// A piece that is what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedSubtree {
    /// Values of the state.
    pub values: Vec<HashedValue>,
    /// Pieces below that must come too, with their hashes.
    pub below: Vec<(NodePath, Hash32)>,
}

/// Why a piece is not what was asked for: whoever sent it is faulty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubtreeFault {
    /// A key has another path.
    #[error("key {0} does not belong there")]
    Misplaced(Hash32),
    /// The keys are not ascending.
    #[error("key {0} is out of order")]
    Unordered(Hash32),
    /// The bytes are no node that can stand there.
    #[error("not a node: {0}")]
    Node(Box<StateError>),
    /// It does not hash to what was named.
    #[error("it hashes to {found}, {expected} was named")]
    OtherHash {
        /// The hash that was named for it.
        expected: Hash32,
        /// Its hash.
        found: Hash32,
    },
}

/// A decided state whose values are found by their place in the tree.
pub trait StateLeaves: DecidedState {
    /// The value after a kept height under the key of this hash, with the key.
    fn leaf_at(
        &self,
        height: Height,
        key: &Hash32,
    ) -> Result<Option<(StateKey, Vec<u8>)>, StateError>;
}

/// The piece at a path of the state after a kept height; none if nothing lies there, or below a key.
pub fn read(
    state: &impl StateLeaves,
    height: Height,
    path: &NodePath,
) -> Result<Option<Subtree>, StateError> {
    state.root_at(height)?;
    let (mut name, mut node) = tree::root(state, height)?;
    let places = path.to_nibbles();
    for (depth, place) in (1..).zip(&places) {
        match node.child(*place) {
            None => return Ok(None),
            Some(NodeChild::Key { key, .. }) => {
                let mut piece = PieceReader::new(state, height);
                let whole = depth == places.len() && piece.take(key)?;
                return Ok(whole.then(|| piece.whole()));
            }
            Some(NodeChild::Inner { height, hash }) => {
                name = below(&name, *height, *place);
                node = tree::load(state, &name, hash)?;
            }
        }
    }
    let mut piece = PieceReader::new(state, height);
    if piece.take_below(&name, &node)? {
        return Ok(Some(piece.whole()));
    }
    let bytes = Bounded::new(node.to_bytes()).expect("a node is not longer than its longest");
    Ok(Some(Subtree::Node(bytes)))
}

/// The name of a node's child that was made by the version of this height.
fn below(name: &NodeKey, height: Height, place: u8) -> NodeKey {
    let path = name.path().child(place);
    NodeKey::new(height, path.expect("no node stands at the end of a key"))
}

/// A piece while it is read.
struct PieceReader<'a, S> {
    state: &'a S,
    height: Height,
    values: Bounded<SentValue, MAX_SUBTREE_VALUES>,
    room: usize,
}

impl<'a, S: StateLeaves> PieceReader<'a, S> {
    fn new(state: &'a S, height: Height) -> Self {
        Self {
            state,
            height,
            values: Bounded::default(),
            room: SUBTREE_BYTES,
        }
    }

    /// Adds the value of a key; false if there is no room.
    fn take(&mut self, key: &Hash32) -> Result<bool, StateError> {
        let found = self.state.leaf_at(self.height, key)?;
        let (key, value) = found.ok_or(StateError::CorruptTree {
            height: self.height,
            corruption: TreeCorruption::NoValue(*key),
        })?;
        let bytes = key.to_bytes().len() + value.len();
        if self.room < bytes && !self.values.is_empty() {
            return Ok(false);
        }
        self.room = self.room.saturating_sub(bytes);
        let length = value.len();
        let value = Bounded::new(value).map_err(|_| StateError::ValueTooLong { key, length })?;
        Ok(self.values.push((key, value)).is_ok())
    }

    /// Adds all values below a node; false if there is no room.
    fn take_below(&mut self, name: &NodeKey, node: &StateNode) -> Result<bool, StateError> {
        for (place, child) in node.children() {
            let fits = match child {
                NodeChild::Key { key, .. } => self.take(key)?,
                NodeChild::Inner { height, hash } => {
                    let name = below(name, *height, *place);
                    let node = tree::load(self.state, &name, hash)?;
                    self.take_below(&name, &node)?
                }
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn whole(self) -> Subtree {
        Subtree::Values(self.values)
    }
}

impl Subtree {
    /// Checks that this is what lies below `path` in a tree in which `expected` is the hash of that place.
    pub fn check(self, path: &NodePath, expected: &Hash32) -> Result<CheckedSubtree, SubtreeFault> {
        let (found, checked) = match self {
            Self::Values(values) => hashed(path, values.into_inner())?,
            Self::Node(bytes) => children(path, &bytes)?,
        };
        if found == *expected {
            Ok(checked)
        } else {
            let expected = *expected;
            Err(SubtreeFault::OtherHash { expected, found })
        }
    }
}

fn hashed(
    path: &NodePath,
    values: Vec<SentValue>,
) -> Result<(Hash32, CheckedSubtree), SubtreeFault> {
    let hashed = values.into_iter();
    let values: Vec<_> = hashed
        .map(|(key, value)| (key.hash(), key, value.into_inner()))
        .collect();
    for (at, (key, ..)) in values.iter().enumerate() {
        if !path.leads_to(key) {
            return Err(SubtreeFault::Misplaced(*key));
        }
        if at > 0 && values[at - 1].0 >= *key {
            return Err(SubtreeFault::Unordered(*key));
        }
    }
    let leaves: Vec<_> = values
        .iter()
        .map(|(key, _, value)| (*key, value_hash(value)))
        .collect();
    let node = |error| SubtreeFault::Node(Box::new(error));
    let hash = tree::hash_below(*path, &leaves).map_err(node)?;
    let below = Vec::new();
    Ok((hash, CheckedSubtree { values, below }))
}

fn children(path: &NodePath, bytes: &[u8]) -> Result<(Hash32, CheckedSubtree), SubtreeFault> {
    // The versions of its children are not authenticated; none is above the highest height.
    let name = NodeKey::new(Height(u64::MAX), *path);
    let node = StateNode::from_bytes(&name, bytes);
    let node = node.map_err(|error| SubtreeFault::Node(Box::new(error)))?;
    let children = node.children().iter();
    let below = children.filter_map(|(place, child)| Some((path.child(*place)?, child.hash())));
    let (values, below) = (Vec::new(), below.collect());
    Ok((node.hash(), CheckedSubtree { values, below }))
}

#[cfg(test)]
mod tests;
