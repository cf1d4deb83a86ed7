//! Nodes of the state tree in memory, so that a block reads from the disk at most the lowest nodes on its paths.
//!
//! A node is never changed under its name, so that a node held here is the stored one whatever is committed meanwhile.
//! The upper nodes are read for every block and so stay.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state::StateError;
use state::tree::{NodeKey, StateNode};

use crate::generations::{Generations, Weighed};

/// Nodes that are added under one lock, so that a reader waits for few.
const CHUNK: usize = 128;

impl Weighed for Arc<StateNode> {
    fn bytes(&self) -> usize {
        self.memory_bytes()
    }
}

type HeldNodes = Generations<NodeKey, Arc<StateNode>>;

/// A bounded set of nodes.
pub(crate) struct NodeCache(Mutex<HeldNodes>);

impl NodeCache {
    /// An empty cache that takes at most about so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Mutex::new(Generations::new(bytes)))
    }

    /// The node of a name: held, or read from its stored bytes.
    pub(crate) fn node(
        &self,
        key: &NodeKey,
        stored: impl FnOnce() -> Result<Option<Vec<u8>>, StateError>,
    ) -> Result<Option<Arc<StateNode>>, StateError> {
        let held = self.lock().get(key);
        if let Some((node, _)) = held {
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
            let mut too_old = Vec::new();
            let mut held = self.lock();
            for (key, node) in nodes.by_ref().take(CHUNK) {
                too_old.extend(held.add(key, node));
            }
        }
    }

    /// Drops nodes that are not stored any more.
    pub(crate) fn remove<'a>(&self, keys: impl IntoIterator<Item = &'a NodeKey>) {
        let mut held = self.lock();
        for key in keys {
            held.remove(key);
        }
    }

    // A panic while the lock is held leaves a cache that may hold less than it counts.
    fn lock(&self) -> MutexGuard<'_, HeldNodes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
