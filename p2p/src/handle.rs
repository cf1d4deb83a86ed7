//! What the node holds of its network: a handle to send with, and the events it receives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use types::hash::ValidatorId;

use libp2p::{Multiaddr, PeerId, Stream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::channel::{Channel, Protocol};
use crate::counters::{Counters, Counting};
use crate::link;
use crate::outbox::{Frame, Outbox};

/// What the network tells the node. `Connected` may come a little after the first frame of its validator.
#[derive(Debug)]
pub enum PeerEvent {
    /// A validator can be sent to.
    Connected {
        /// Which.
        validator: ValidatorId,
    },
    /// A validator can no longer be sent to.
    Disconnected {
        /// Which.
        validator: ValidatorId,
    },
    /// A validator sent a frame.
    Frame {
        /// Which.
        from: ValidatorId,
        /// On which channel.
        channel: Channel,
        /// What.
        bytes: Vec<u8>,
    },
    /// A validator asks something; dropping `reply` refuses.
    Request {
        /// Which.
        from: ValidatorId,
        /// What, at most [`Channel::Blobs`]' frame limit.
        bytes: Vec<u8>,
        /// Takes the answer, at most [`Channel::Blobs`]' frame limit.
        reply: oneshot::Sender<Vec<u8>>,
    },
}

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection to that validator now.
    #[error("validator {0} is not connected")]
    NotConnected(ValidatorId),
    /// Longer than the channel admits.
    #[error("a frame of {found} bytes where at most {limit} are allowed")]
    TooLarge {
        /// Bytes given.
        found: usize,
        /// Bytes admitted.
        limit: usize,
    },
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No connection to that validator now.
    #[error("validator {0} is not connected")]
    NotConnected(ValidatorId),
    /// Longer than a request may be.
    #[error("a request of {found} bytes where at most {limit} are allowed")]
    TooLarge {
        /// Bytes given.
        found: usize,
        /// Bytes admitted.
        limit: usize,
    },
    /// The peer refused, broke off or answered too much.
    #[error("validator {peer} gave no answer: {reason}")]
    Failed {
        /// Which.
        peer: ValidatorId,
        /// What happened.
        reason: String,
    },
    /// No answer in time.
    #[error("validator {0} did not answer in time")]
    Timeout(ValidatorId),
    /// The network is shut down.
    #[error("the network is shut down")]
    Closed,
}

/// The queues towards one connected validator.
#[derive(Debug)]
pub(crate) struct Outboxes {
    pub(crate) peer: PeerId,
    by_channel: BTreeMap<Channel, Arc<Outbox>>,
}

impl Outboxes {
    pub(crate) fn new(peer: PeerId) -> Self {
        let outbox = |channel: Channel| {
            Outbox::new(channel.max_waiting_frames(), channel.max_waiting_bytes())
        };
        Self {
            peer,
            by_channel: Channel::ALL
                .into_iter()
                .map(|channel| (channel, Arc::new(outbox(channel))))
                .collect(),
        }
    }

    pub(crate) fn of(&self, channel: Channel) -> &Arc<Outbox> {
        self.by_channel
            .get(&channel)
            .expect("there is one for every channel")
    }
}

/// What handles and the network's tasks share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    connected: Mutex<BTreeMap<ValidatorId, Arc<Outboxes>>>,
    addresses: Mutex<Vec<Multiaddr>>,
    pub(crate) counting: Counting,
}

impl Shared {
    pub(crate) fn connected(&self) -> MutexGuard<'_, BTreeMap<ValidatorId, Arc<Outboxes>>> {
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
    pub(crate) to: PeerId,
    pub(crate) protocol: Protocol,
    pub(crate) reply: oneshot::Sender<Result<Stream, String>>,
}

/// A handle to a running network. Cheap to clone; when the last one is dropped the network ends.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    streams: mpsc::Sender<OpenStream>,
    request_timeout: Duration,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(crate) fn new(
        shared: Arc<Shared>,
        streams: mpsc::Sender<OpenStream>,
        request_timeout: Duration,
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
    ) -> Self {
        Self(Arc::new(Inner {
            shared,
            streams,
            request_timeout,
            stop,
            task: Mutex::new(Some(task)),
        }))
    }

    /// Queues a frame for a validator. Never blocks: if the peer reads too slowly its oldest frames are dropped.
    pub fn send(&self, to: ValidatorId, channel: Channel, bytes: Vec<u8>) -> Result<(), SendError> {
        check_length(channel, bytes.len())?;
        let outboxes = self
            .0
            .shared
            .connected()
            .get(&to)
            .cloned()
            .ok_or(SendError::NotConnected(to))?;
        self.push(&outboxes, channel, bytes.into());
        Ok(())
    }

    /// Queues a frame for every connected validator; gives how many those are.
    pub fn broadcast(&self, channel: Channel, bytes: Vec<u8>) -> Result<usize, SendError> {
        check_length(channel, bytes.len())?;
        let connected: Vec<_> = self.0.shared.connected().values().cloned().collect();
        let frame: Frame = bytes.into();
        for outboxes in &connected {
            self.push(outboxes, channel, Arc::clone(&frame));
        }
        Ok(connected.len())
    }

    /// Asks a validator and waits for its answer.
    pub async fn request(&self, to: ValidatorId, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        let (found, limit) = (bytes.len(), Protocol::Request.max_frame_bytes());
        if found > limit {
            return Err(RequestError::TooLarge { found, limit });
        }
        let peer = self
            .0
            .shared
            .connected()
            .get(&to)
            .map(|outboxes| outboxes.peer);
        let peer = peer.ok_or(RequestError::NotConnected(to))?;
        let exchange = async {
            let (reply, opened) = oneshot::channel();
            let open = OpenStream {
                to: peer,
                protocol: Protocol::Request,
                reply,
            };
            self.0
                .streams
                .send(open)
                .await
                .map_err(|_| RequestError::Closed)?;
            let failed = |reason: String| RequestError::Failed { peer: to, reason };
            let stream = opened
                .await
                .map_err(|_| RequestError::NotConnected(to))?
                .map_err(failed)?;
            link::ask(stream, &bytes, limit)
                .await
                .map_err(|error| failed(error.to_string()))
        };
        match tokio::time::timeout(self.0.request_timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(RequestError::Timeout(to)),
        }
    }

    /// The validators that are connected now, this node not among them.
    #[must_use]
    pub fn peers(&self) -> Vec<ValidatorId> {
        self.0.shared.connected().keys().copied().collect()
    }

    /// The addresses that the node listens on, with the ports that were taken.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.0.shared.addresses().clone()
    }

    /// What happened so far, mostly what went wrong.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.shared.counting.read()
    }

    /// Closes every connection and waits until every task of the network has ended.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let task = self
            .0
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the network's task failed");
        }
    }

    fn push(&self, outboxes: &Outboxes, channel: Channel, frame: Frame) {
        self.0
            .shared
            .counting
            .frames_dropped
            .add(outboxes.of(channel).push(frame));
    }
}

fn check_length(channel: Channel, found: usize) -> Result<(), SendError> {
    let limit = channel.max_frame_bytes();
    if found > limit {
        Err(SendError::TooLarge { found, limit })
    } else {
        Ok(())
    }
}
