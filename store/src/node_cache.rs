//! HeldNodes of the state tree in memory, so that a block reads from the disk at most the lowest nodes on its paths.
//!
//! A node is never changed under its name, so that a node held here is the stored one whatever is committed meanwhile.
//! Room goes by use: there are two generations, a node that is read moves to the young one, and when that is half of the
//! room it becomes the old one and what was old is dropped. The upper nodes are read for every block and so stay.

#![expect(
    clippy::disallowed_types,
    reason = "looked up by name and never iterated, so that no order shows"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use state::StateError;
use state::tree::{NodeKey, StateNode};

/// HeldNodes that are added under one lock, so that a reader waits for few.
const CHUNK: usize = 128;

/// Memory of an entry beside its node, in bytes: name, pointer, counters and the table's spare places.
const ENTRY_BYTES: usize = 128;

fn bytes_of(node: &StateNode) -> usize {
    node.memory_bytes() + ENTRY_BYTES
}

/// A bounded set of nodes.
pub(crate) struct NodeCache {
    /// Most bytes of one generation.
    room: usize,
    generations: Mutex<Generations>,
}

type HeldNodes = HashMap<NodeKey, Arc<StateNode>>;

#[derive(Default)]
struct Generations {
    young: HeldNodes,
    young_bytes: usize,
    old: HeldNodes,
}

impl Generations {
    /// Adds a node; gives what became too old, to be dropped without the lock.
    fn add(&mut self, key: NodeKey, node: Arc<StateNode>, room: usize) -> Option<HeldNodes> {
        self.young_bytes += bytes_of(&node);
        if let Some(before) = self.young.insert(key, node) {
            self.young_bytes -= bytes_of(&before);
        }
        if self.young_bytes <= room {
            return None;
        }
        self.young_bytes = 0;
        let young = std::mem::take(&mut self.young);
        Some(std::mem::replace(&mut self.old, young))
    }
}

impl NodeCache {
    /// An empty cache that takes at most about so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            room: bytes / 2,
            generations: Mutex::default(),
        }
    }

    /// The node of a name: held, or read from its stored bytes.
    pub(crate) fn node(
        &self,
        key: &NodeKey,
        stored: impl FnOnce() -> Result<Option<Vec<u8>>, StateError>,
    ) -> Result<Option<Arc<StateNode>>, StateError> {
        if let Some(node) = self.held(key) {
            return Ok(Some(node));
        }
        let Some(bytes) = stored()? else {
            return Ok(None);
        };
        let node = StateNode::from_bytes(key, &bytes)?;
        self.add([(*key, Arc::clone(&node))]);
        Ok(Some(node))
    }

    /// Adds nodes that a committed block made.
    pub(crate) fn add(&self, nodes: impl IntoIterator<Item = (NodeKey, Arc<StateNode>)>) {
        let mut nodes = nodes.into_iter().peekable();
        while nodes.peek().is_some() {
            let mut dropped = Vec::new();
            let mut generations = self.lock();
            for (key, node) in nodes.by_ref().take(CHUNK) {
                dropped.extend(generations.add(key, node, self.room));
            }
        }
    }

    /// Drops nodes that are not stored any more.
    pub(crate) fn remove<'a>(&self, keys: impl IntoIterator<Item = &'a NodeKey>) {
        let mut generations = self.lock();
        for key in keys {
            if let Some(node) = generations.young.remove(key) {
                generations.young_bytes -= bytes_of(&node);
            }
            generations.old.remove(key);
        }
    }

    fn held(&self, key: &NodeKey) -> Option<Arc<StateNode>> {
        let mut generations = self.lock();
        if let Some(node) = generations.young.get(key) {
            return Some(Arc::clone(node));
        }
        let node = generations.old.remove(key)?;
        let dropped = generations.add(*key, Arc::clone(&node), self.room);
        drop(generations);
        drop(dropped);
        Some(node)
    }

    // A panic while the lock is held leaves a cache that may hold less than it counts.
    fn lock(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
