//! A stored node of the tree: four levels of the binary trie in one piece.
//!
//! A node has sixteen places, one for each nibble that follows its path. In a place stands nothing, the one key below
//! it, or the version and hash of the node below it. A key stands as high as it is alone, so that only the root may
//! have fewer than two keys below it.
//!
//! | bytes | what |
//! |---|---|
//! | 2 | the places in which a key stands, one bit each, little-endian |
//! | 2 | the places in which a node stands |
//! | 64 or 40 a place | key hash and value hash, or version (little-endian) and hash, in the order of the places |
//!
//! What a node promises: its bytes have this one form, its keys belong where it stands, and its hash was computed here.

use std::sync::Arc;

use types::hash::{Domain, Hash32};
use types::limits::HASH_BYTES;
use types::number::Height;

use super::{EMPTY, NodeKey};
use crate::StateError;
use crate::damage::TreeCorruption;
use crate::node_key::MAX_PATH_NIBBLES;

/// Places of a node.
const PLACES: u8 = 16;
/// A key hash and a value hash.
const KEY_BYTES: usize = 2 * HASH_BYTES;
/// A version and a hash.
const INNER_BYTES: usize = 8 + HASH_BYTES;
/// Two masks of 16 bits: in which places a key stands, and in which an inner node.
const MASK_BYTES: usize = 4;

/// What stands in a place of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeChild {
    /// The only key below the place.
    Key {
        /// Hash of the key.
        key: Hash32,
        /// Hash of its value.
        value: Hash32,
    },
    /// A node with two keys or more.
    Inner {
        /// The version that made it.
        height: Height,
        /// Its hash.
        hash: Hash32,
    },
}

impl NodeChild {
    /// The hash of the place, if it is one of sixteen that are looked at.
    pub(crate) fn hash(&self) -> Hash32 {
        match self {
            Self::Key { key, value } => Hash32::of_parts(Domain::STATE_LEAF, &[&key.0, &value.0]),
            Self::Inner { hash, .. } => *hash,
        }
    }
}

/// The children of a node with their places, ascending, while it is made: where they stand costs no allocation.
#[derive(Clone)]
pub(crate) struct Children {
    /// Those behind `length` mean nothing.
    places: [(u8, NodeChild); 16],
    length: usize,
}

impl Children {
    pub(crate) fn new() -> Self {
        let (height, hash) = (Height::ZERO, EMPTY);
        Self {
            places: [(0, NodeChild::Inner { height, hash }); 16],
            length: 0,
        }
    }

    /// Adds a child in a place above those so far.
    pub(crate) fn push(&mut self, place: u8, child: NodeChild) {
        self.places[self.length] = (place, child);
        self.length += 1;
    }
}

impl std::ops::Deref for Children {
    type Target = [(u8, NodeChild)];

    fn deref(&self) -> &Self::Target {
        &self.places[..self.length]
    }
}

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateNode {
    hash: Hash32,
    children: Box<[(u8, NodeChild)]>,
}

impl StateNode {
    /// A node of children in ascending places.
    pub(crate) fn new(children: &[(u8, NodeChild)]) -> Self {
        Self {
            hash: subtree(children, 0, PLACES),
            children: children.into(),
        }
    }

    /// The hash of everything below the node.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        self.hash
    }

    pub(crate) fn children(&self) -> &[(u8, NodeChild)] {
        &self.children
    }

    /// What stands in a place.
    pub(crate) fn child(&self, place: u8) -> Option<&NodeChild> {
        let found = self.children.iter().find(|(at, _)| *at == place);
        found.map(|(_, child)| child)
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val::<[_]>(&self.children)
    }

    /// The bytes under which a store keeps it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (mut keys, mut inner) = (0u16, 0u16);
        for (place, child) in &self.children {
            match child {
                NodeChild::Key { .. } => keys |= 1 << place,
                NodeChild::Inner { .. } => inner |= 1 << place,
            }
        }
        let mut bytes = Vec::with_capacity(encoded_length(keys, inner));
        bytes.extend(keys.to_le_bytes());
        bytes.extend(inner.to_le_bytes());
        for (_, child) in &self.children {
            match child {
                NodeChild::Key { key, value } => {
                    bytes.extend(key.0);
                    bytes.extend(value.0);
                }
                NodeChild::Inner { height, hash } => {
                    bytes.extend(height.0.to_le_bytes());
                    bytes.extend(hash.0);
                }
            }
        }
        bytes
    }

    /// Reads the node of a name back; an error if the bytes are not a node that can stand there.
    pub fn from_bytes(name: &NodeKey, bytes: &[u8]) -> Result<Arc<Self>, StateError> {
        let corrupt = |corruption| StateError::CorruptTree {
            height: name.height(),
            corruption,
        };
        let children = read_children(name, bytes).map_err(corrupt)?;
        let path = name.path();
        let fits = |place: u8, child: &NodeChild| match child {
            NodeChild::Key { key, .. } => path.child(place).is_some_and(|path| path.leads_to(key)),
            // Two keys part within their length, so that no node stands at the end of one.
            NodeChild::Inner { height, .. } => {
                *height <= name.height() && path.len() + 1 < MAX_PATH_NIBBLES
            }
        };
        if let Some((place, _)) = children.iter().find(|(place, child)| !fits(*place, child)) {
            let (node, place) = (*name, *place);
            return Err(corrupt(TreeCorruption::Misplaced { node, place }));
        }
        let lonely = matches!(children[..], [] | [(_, NodeChild::Key { .. })]);
        if lonely && !path.is_empty() {
            return Err(corrupt(TreeCorruption::Lonely(*name)));
        }
        Ok(Arc::new(Self::new(&children)))
    }

    /// Goes down towards a key: adds the hashes beside the way, from above, and gives what the way ends at.
    pub(crate) fn walk(&self, place: u8, siblings: &mut Vec<Hash32>) -> Option<NodeChild> {
        let (mut children, mut first, mut width) = (&self.children[..], 0, PLACES);
        loop {
            match children {
                [] => return None,
                [(_, child)] if width == 1 || matches!(child, NodeChild::Key { .. }) => {
                    return Some(*child);
                }
                _ => {}
            }
            width /= 2;
            let (low, high) = halves(children, first + width);
            if place < first + width {
                siblings.push(subtree(high, first + width, width));
                children = low;
            } else {
                siblings.push(subtree(low, first, width));
                children = high;
                first += width;
            }
        }
    }
}

/// A child and its place below its node, 0 to 15.
type PlacedChild = (u8, NodeChild);

/// The children below a place, and those from it on.
fn halves(children: &[PlacedChild], middle: u8) -> (&[PlacedChild], &[PlacedChild]) {
    children.split_at(children.partition_point(|(place, _)| *place < middle))
}

/// The hash of the `width` places from `first` on, in which these children stand.
fn subtree(children: &[(u8, NodeChild)], first: u8, width: u8) -> Hash32 {
    match children {
        [] => EMPTY,
        [(_, child)] if width == 1 || matches!(child, NodeChild::Key { .. }) => child.hash(),
        _ => {
            let half = width / 2;
            let (low, high) = halves(children, first + half);
            let (left, right) = (subtree(low, first, half), subtree(high, first + half, half));
            Hash32::of_parts(Domain::STATE_NODE, &[&left.0, &right.0])
        }
    }
}

fn encoded_length(keys: u16, inner: u16) -> usize {
    let count = |mask: u16| usize::try_from(mask.count_ones()).expect("at most sixteen");
    MASK_BYTES + count(keys) * KEY_BYTES + count(inner) * INNER_BYTES
}

fn read_children(name: &NodeKey, bytes: &[u8]) -> Result<Children, TreeCorruption> {
    let wrong_length = |expected| TreeCorruption::NodeLength {
        node: *name,
        found: bytes.len(),
        expected,
    };
    let (masks, mut rest) = bytes
        .split_first_chunk::<MASK_BYTES>()
        .ok_or_else(|| wrong_length(MASK_BYTES))?;
    let keys = u16::from_le_bytes([masks[0], masks[1]]);
    let inner = u16::from_le_bytes([masks[2], masks[3]]);
    if keys & inner != 0 {
        return Err(TreeCorruption::TwoInOnePlace {
            node: *name,
            places: keys & inner,
        });
    }
    if bytes.len() != encoded_length(keys, inner) {
        return Err(wrong_length(encoded_length(keys, inner)));
    }
    let mut children = Children::new();
    for place in 0..PLACES {
        let child = if keys & (1 << place) != 0 {
            NodeChild::Key {
                key: Hash32(take(&mut rest)),
                value: Hash32(take(&mut rest)),
            }
        } else if inner & (1 << place) != 0 {
            NodeChild::Inner {
                height: Height(u64::from_le_bytes(take(&mut rest))),
                hash: Hash32(take(&mut rest)),
            }
        } else {
            continue;
        };
        children.push(place, child);
    }
    Ok(children)
}

/// Takes bytes off the front.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (front, after) = rest
        .split_first_chunk()
        .expect("a node is as long as its masks say");
    *rest = after;
    *front
}

#[cfg(test)]
mod tests;
