//! The connected peers: their connections and the tasks on them.
//!
//! Two peers that dial each other at once have two connections for a moment. The one with the lower id keeps the
//! newest and closes the others; the other one follows. Until then both use the newest they know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use types::hash::ValidatorId;

use libp2p::swarm::ConnectionId;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use types::limits::MAX_COMMITTEE;

use crate::channel::Protocol;
use crate::frame_queue::FrameQueue;
use crate::record::MAX_RECORD_BYTES;

/// One connection of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerConnection {
    pub(crate) id: ConnectionId,
    /// When it was made, or answered a ping last.
    pub(crate) alive: Instant,
}

/// A peer with at least one connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Oldest first; the last one is used.
    pub(crate) connections: Vec<PeerConnection>,
    /// Time at which the connection was made.
    pub(crate) since: Instant,
    /// The validator it is bound to.
    pub(crate) validator: Option<ValidatorId>,
    /// Records that it is to be told.
    pub(crate) records: Arc<FrameQueue>,
    /// Requests of it that may be answered at once.
    pub(crate) requests: Arc<Semaphore>,
    /// Tasks that write to it.
    writers: Vec<AbortHandle>,
    /// Tasks that read from it, one per protocol.
    readers: BTreeMap<Protocol, AbortHandle>,
}

impl Peer {
    pub(crate) fn new(connection: ConnectionId, now: Instant, requests: usize) -> Self {
        let waiting = 2 * MAX_COMMITTEE;
        Self {
            connections: vec![PeerConnection {
                id: connection,
                alive: now,
            }],
            since: now,
            validator: None,
            records: Arc::new(FrameQueue::new(waiting, waiting * MAX_RECORD_BYTES)),
            requests: Arc::new(Semaphore::new(requests)),
            writers: Vec::new(),
            readers: BTreeMap::new(),
        }
    }

    /// The connection on which streams are opened.
    pub(crate) fn active(&self) -> Option<ConnectionId> {
        self.connections.last().map(|connection| connection.id)
    }

    /// A connection answered a ping.
    pub(crate) fn answered(&mut self, id: ConnectionId, now: Instant) {
        for connection in self
            .connections
            .iter_mut()
            .filter(|connection| connection.id == id)
        {
            connection.alive = now;
        }
    }

    pub(crate) fn add_writer(&mut self, task: AbortHandle) {
        self.writers.push(task);
    }

    /// A newer stream of a protocol replaces the older one, so that no two readers mix their frames.
    pub(crate) fn set_reader(&mut self, protocol: Protocol, task: AbortHandle) {
        if let Some(older) = self.readers.insert(protocol, task) {
            older.abort();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for task in self.writers.iter().chain(self.readers.values()) {
            task.abort();
        }
    }
}
