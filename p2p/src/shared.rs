//! The state that handles and the network's tasks share: queues towards connected validators, addresses, counters, and
//! the request for a stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};
use types::hash::ValidatorId;
use types::job::Name;

use crate::budget::ReadBudget;
use crate::channel::{Channel, Protocol};
use crate::config::ReadRate;
use crate::counters::{SharedCounters, TrafficCounts};
use crate::frame_queue::FrameQueue;
use crate::record::PeerRecord;
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
    /// One of each member of the committee that gave a record.
    cards: Mutex<BTreeMap<ValidatorId, PeerCard>>,
    bans: Mutex<BTreeMap<ValidatorId, Instant>>,
    budgets: Mutex<BTreeMap<(ValidatorId, Channel), ReadBudget>>,
    read_rate: ReadRate,
    pub(crate) counters: SharedCounters,
    traffic: [TrafficCounts; Channel::ALL.len()],
}

/// What a validator's newest record says of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerCard {
    /// What its operator calls it, for people; empty without a name. Two validators may have the same one.
    pub name: Name,
    /// Addresses at which it listens, best first.
    pub addresses: Vec<Multiaddr>,
}

impl SharedState {
    /// Keeps what a record says, for [`crate::Handle::cards`].
    pub(crate) fn learn(&self, validator: ValidatorId, record: &PeerRecord) {
        let card = PeerCard {
            name: record.name.clone(),
            addresses: record.dialable(),
        };
        self.cards().insert(validator, card);
    }

    pub(crate) fn cards(&self) -> MutexGuard<'_, BTreeMap<ValidatorId, PeerCard>> {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

impl SharedState {
    /// Nobody is connected, and each validator is read at that rate.
    pub(crate) fn new(read_rate: ReadRate) -> Self {
        Self {
            read_rate,
            ..Self::default()
        }
    }

    /// The counts of a channel.
    pub(crate) fn traffic(&self, channel: Channel) -> &TrafficCounts {
        let [consensus, transactions, blobs] = &self.traffic;
        match channel {
            Channel::Consensus => consensus,
            Channel::Transactions => transactions,
            Channel::Blobs => blobs,
        }
    }

    /// Nothing of a validator is taken until then. It is no longer sent to from now on; the loop closes its connection.
    pub(crate) fn ban(&self, validator: ValidatorId, until: Instant) {
        let mut bans = self.bans.lock().unwrap_or_else(PoisonError::into_inner);
        bans.insert(validator, until);
    }

    /// True if nothing of a validator is taken now.
    pub(crate) fn is_banned(&self, validator: &ValidatorId, now: Instant) -> bool {
        let mut bans = self.bans.lock().unwrap_or_else(PoisonError::into_inner);
        bans.retain(|_, until| now < *until);
        bans.contains_key(validator)
    }

    /// Charges a frame that a validator sent to its budget for the channel; gives how long the next one must wait. The
    /// budget stays when the validator connects anew or opens another stream.
    pub(crate) fn charge(
        &self,
        from: ValidatorId,
        channel: Channel,
        bytes: usize,
        now: Instant,
    ) -> Duration {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = budgets
            .entry((from, channel))
            .or_insert_with(|| ReadBudget::new(self.read_rate, now));
        budget.charge(bytes, now)
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
