//! The tree of the next version: the nodes on the way to what changed are made anew, everything else stays.
//!
//! Work and reads are in proportion to the changes, not to the tree. Changes are ascending by key, so that those below
//! one place of a node stand side by side, and each node is read, hashed and made once, however many keys change in it.

use std::sync::Arc;

use types::hash::Hash32;
use types::number::Height;

use super::node::{Children, NodeChild, StateNode};
use super::{NodeKey, TreeChange, TreeNodes, load};
use crate::StateError;
use crate::node_key::{NodePath, nibble};

/// A key's hash, and the hash of its new value or nothing where it goes.
pub(super) type Change = (Hash32, Option<Hash32>);

/// An update under way.
pub(super) struct Update<'a> {
    nodes: &'a dyn TreeNodes,
    height: Height,
    new: Vec<(NodeKey, Arc<StateNode>)>,
    stale: Vec<NodeKey>,
}

impl<'a> Update<'a> {
    pub(super) fn new(nodes: &'a dyn TreeNodes, height: Height) -> Self {
        Self {
            nodes,
            height,
            new: Vec::new(),
            stale: Vec::new(),
        }
    }

    /// Makes the new root out of the old one, and ends.
    pub(super) fn run(
        mut self,
        old: Option<&(NodeKey, Arc<StateNode>)>,
        changes: &[Change],
    ) -> Result<TreeChange, StateError> {
        let children = match old {
            Some((name, node)) => {
                self.stale.push(*name);
                self.children(node.children(), NodePath::ROOT, changes)?
            }
            None => self.children(&[], NodePath::ROOT, changes)?,
        };
        let root = StateNode::new(&children);
        let hash = root.hash();
        self.new.push((NodeKey::root(self.height), Arc::new(root)));
        Ok(TreeChange {
            root: hash,
            new: self.new.into_iter().collect(),
            stale: self.stale.into_iter().collect(),
        })
    }

    /// The children of the node at a path after the changes, all of which are below it.
    fn children(
        &mut self,
        before: &[(u8, NodeChild)],
        path: NodePath,
        changes: &[Change],
    ) -> Result<Children, StateError> {
        let depth = path.len();
        let mut before = before.iter().copied().peekable();
        let mut after = Children::new();
        for below in changes.chunk_by(|a, b| nibble(&a.0, depth) == nibble(&b.0, depth)) {
            let place = below.first().map_or(0, |(key, _)| nibble(key, depth));
            while let Some(untouched) = before.next_if(|(at, _)| *at < place) {
                after.push(untouched.0, untouched.1);
            }
            let child = before
                .next_if(|(at, _)| *at == place)
                .map(|(_, child)| child);
            let child = self.child(child, step(&path, place), below)?;
            if let Some(child) = child {
                after.push(place, child);
            }
        }
        for (place, child) in before {
            after.push(place, child);
        }
        Ok(after)
    }

    /// What stands at a path after the changes.
    fn child(
        &mut self,
        before: Option<NodeChild>,
        path: NodePath,
        changes: &[Change],
    ) -> Result<Option<NodeChild>, StateError> {
        let (key, value) = match before {
            Some(NodeChild::Inner { height, hash }) => {
                let name = NodeKey::new(height, path);
                let node = load(self.nodes, &name, &hash)?;
                self.stale.push(name);
                let children = self.children(node.children(), path, changes)?;
                return Ok(self.make(path, &children));
            }
            Some(NodeChild::Key { key, value }) => (key, Some(value)),
            None => (Hash32::ZERO, None),
        };
        if let [(changed, after)] = *changes
            && (value.is_none() || changed == key)
        {
            // What most updates are: one key under a place of its own.
            return Ok(after.map(|value| NodeChild::Key {
                key: changed,
                value,
            }));
        }
        let mut keys: Vec<_> = changes
            .iter()
            .filter_map(|(key, value)| Some((*key, (*value)?)))
            .collect();
        if let Some(value) = value
            && changes.binary_search_by_key(&key, |(key, _)| *key).is_err()
        {
            let at = keys.partition_point(|(other, _)| *other < key);
            keys.insert(at, (key, value));
        }
        Ok(self.plant(path, &keys))
    }

    /// What stands at a path with these keys, ascending, below it.
    fn plant(&mut self, path: NodePath, keys: &[(Hash32, Hash32)]) -> Option<NodeChild> {
        if let [] | [_] = keys {
            let (key, value) = *keys.first()?;
            return Some(NodeChild::Key { key, value });
        }
        let depth = path.len();
        let places = keys.chunk_by(|a, b| nibble(&a.0, depth) == nibble(&b.0, depth));
        let mut children = Children::new();
        for below in places {
            let place = below.first().map_or(0, |(key, _)| nibble(key, depth));
            let child = self.plant(step(&path, place), below);
            if let Some(child) = child {
                children.push(place, child);
            }
        }
        self.make(path, &children)
    }

    /// The node of these children; a key that is alone stands higher, and nothing is no node.
    fn make(&mut self, path: NodePath, children: &[(u8, NodeChild)]) -> Option<NodeChild> {
        match *children {
            [] => None,
            [(_, key @ NodeChild::Key { .. })] => Some(key),
            _ => {
                let node = StateNode::new(children);
                let (height, hash) = (self.height, node.hash());
                self.new.push((NodeKey::new(height, path), Arc::new(node)));
                Some(NodeChild::Inner { height, hash })
            }
        }
    }
}

/// The path to a place. Two keys differ in one of their 64 nibbles, so that no node stands below the last.
fn step(path: &NodePath, place: u8) -> NodePath {
    path.child(place)
        .expect("keys that differ part within their length")
}
