//! A tree out of all its keys, in one pass in their order: what a node makes of a state that came from others.
//!
//! The memory it takes is that of one path, however many keys come. Its nodes are those that the tree has by its rule,
//! whoever gave the keys.

use types::hash::Hash32;
use types::number::Height;

use super::node::{Children, NodeChild, StateNode};
use super::{EMPTY, NodeKey};
use crate::StateError;
use crate::node_key::NodePath;

/// A key's hash and its value's.
type Leaf = (Hash32, Hash32);

/// Takes the nodes of a tree that is built, each after those below it.
pub type NodeSink<'a> = &'a mut dyn FnMut(NodeKey, StateNode) -> Result<(), StateError>;

/// Builds the tree of a version from all its keys, strictly ascending by hash, each with the hash of its value. Gives the
/// root; every node goes to `sink`.
pub fn build(
    height: Height,
    leaves: impl Iterator<Item = Result<Leaf, StateError>>,
    sink: NodeSink<'_>,
) -> Result<Hash32, StateError> {
    let mut builder = Builder::new(height, leaves, sink)?;
    let children = builder.children(NodePath::ROOT)?;
    let root = StateNode::new(&children);
    let hash = root.hash();
    (builder.sink)(NodeKey::root(height), root)?;
    Ok(hash)
}

/// The hash of what stands at a path with these keys, strictly ascending, below it.
pub(crate) fn hash_below(path: NodePath, leaves: &[Leaf]) -> Result<Hash32, StateError> {
    let mut nowhere = |_, _| Ok(());
    let leaves = leaves.iter().copied().map(Ok);
    let child = Builder::new(Height::ZERO, leaves, &mut nowhere)?.child(path)?;
    Ok(child.map_or(EMPTY, |child| child.hash()))
}

struct Builder<'a, I> {
    height: Height,
    leaves: I,
    /// The next two keys: one that is alone below a path is known by the one after it.
    next: [Option<Leaf>; 2],
    sink: NodeSink<'a>,
}

impl<'a, I: Iterator<Item = Result<Leaf, StateError>>> Builder<'a, I> {
    fn new(height: Height, mut leaves: I, sink: NodeSink<'a>) -> Result<Self, StateError> {
        let next = [leaves.next().transpose()?, leaves.next().transpose()?];
        Ok(Self {
            height,
            leaves,
            next,
            sink,
        })
    }

    /// What stands at a path.
    fn child(&mut self, path: NodePath) -> Result<Option<NodeChild>, StateError> {
        let below = |leaf: &Leaf| path.leads_to(&leaf.0);
        let [Some((key, value)), second] = self.next else {
            return Ok(None);
        };
        if !below(&(key, value)) {
            return Ok(None);
        }
        if !second.as_ref().is_some_and(below) {
            self.next = [second, self.leaves.next().transpose()?];
            return Ok(Some(NodeChild::Key { key, value }));
        }
        let node = StateNode::new(&self.children(path)?);
        let (height, hash) = (self.height, node.hash());
        (self.sink)(NodeKey::new(height, path), node)?;
        Ok(Some(NodeChild::Inner { height, hash }))
    }

    fn children(&mut self, path: NodePath) -> Result<Children, StateError> {
        let mut children = Children::new();
        for place in 0..16 {
            // Two keys differ in one of their 64 nibbles: no more than one is below the last.
            let below = path
                .child(place)
                .expect("keys that differ part within their length");
            if let Some(child) = self.child(below)? {
                children.push(place, child);
            }
        }
        Ok(children)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use types::hash::Domain;

    use super::*;
    use crate::tree;

    fn leaf(n: u64) -> Leaf {
        // Some keys share long beginnings.
        let mut key = Hash32::of(Domain::DRAW, &(n / 3));
        key.0[usize::try_from(n % 32).unwrap()] ^= u8::try_from(n % 3).unwrap();
        (key, Hash32::of(Domain::DRAW, &(n, 0u8)))
    }

    #[test]
    fn it_is_the_tree_that_updates_make() {
        for count in [0, 1, 2, 3, 17, 900] {
            let leaves: BTreeMap<_, _> = (0..count).map(leaf).collect();
            let changes = leaves.iter().map(|(key, value)| (*key, Some(*value)));
            let updated = tree::update(&(), None, Height::ZERO, &changes.collect()).unwrap();
            let mut nodes = BTreeMap::new();
            let mut sink = |name, node| {
                nodes.insert(name, std::sync::Arc::new(node));
                Ok(())
            };
            let sorted: Vec<_> = leaves.into_iter().collect();
            let root = build(Height::ZERO, sorted.iter().copied().map(Ok), &mut sink).unwrap();
            assert_eq!((root, nodes), (updated.root, updated.new));
            assert_eq!(hash_below(NodePath::ROOT, &sorted).unwrap(), root);
        }
    }
}
