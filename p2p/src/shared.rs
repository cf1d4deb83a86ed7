//! The state that handles and the network's tasks share: queues towards connected validators, addresses, counters, and
//! the request for a stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p::{Multiaddr, PeerId};
use types::hash::ValidatorId;

use crate::channel::{Channel, Protocol};
use crate::counters::SharedCounters;
use crate::frame_queue::FrameQueue;
use crate::streams::StreamReply;

/// The queues towards one connected validator.
#[derive(Debug)]
pub(crate) struct PeerQueues {
    pub(crate) peer: PeerId,
    by_channel: BTreeMap<Channel, Arc<FrameQueue>>,
}

impl PeerQueues {
    pub(crate) fn new(peer: PeerId) -> Self {
        let queue = |channel: Channel| {
            FrameQueue::new(channel.max_waiting_frames(), channel.max_waiting_bytes())
        };
        Self {
            peer,
            by_channel: Channel::ALL
                .into_iter()
                .map(|channel| (channel, Arc::new(queue(channel))))
                .collect(),
        }
    }

    pub(crate) fn of(&self, channel: Channel) -> &Arc<FrameQueue> {
        self.by_channel
            .get(&channel)
            .expect("there is one for every channel")
    }
}

/// State that handles and the network's tasks share.
#[derive(Debug, Default)]
pub(crate) struct SharedState {
    connected: Mutex<BTreeMap<ValidatorId, Arc<PeerQueues>>>,
    addresses: Mutex<Vec<Multiaddr>>,
    pub(crate) counters: SharedCounters,
}

impl SharedState {
    pub(crate) fn connected(&self) -> MutexGuard<'_, BTreeMap<ValidatorId, Arc<PeerQueues>>> {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn addresses(&self) -> MutexGuard<'_, Vec<Multiaddr>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the network for a stream to a connected peer.
#[derive(Debug)]
pub(crate) struct OpenStream {
    /// The peer to open it to.
    pub(crate) to: PeerId,
    /// The protocol to negotiate.
    pub(crate) protocol: Protocol,
    /// Takes the stream; dropped if there is no connection.
    pub(crate) reply: StreamReply,
}
