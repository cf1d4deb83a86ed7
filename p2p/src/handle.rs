//! The node's handle of its network: frames to send, requests to ask, peers, counters, and the end.
//!
//! A frame's bytes are shared by the queues of all peers that it is for: nothing is copied per peer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::Multiaddr;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use types::hash::ValidatorId;
use types::job::Name;

use crate::channel::{Channel, Protocol};
use crate::counters::{ChannelTraffic, Counters};
use crate::frame::FrameError;
use crate::link;
use crate::shared::{OpenStream, PeerCard, PeerQueues, SharedState};
use crate::streams::OpenError;

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection to that validator now.
    #[error("validator {0} is not connected")]
    NotConnected(ValidatorId),
    /// Longer than the channel allows.
    #[error("a frame of {found} bytes where at most {limit} are allowed")]
    TooLarge {
        /// Length of the frame, in bytes.
        found: usize,
        /// Maximum length, in bytes.
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
        /// Length of the request, in bytes.
        found: usize,
        /// Maximum length, in bytes.
        limit: usize,
    },
    /// No stream to the peer could be opened.
    #[error("validator {peer} took no request: {error}")]
    NoStream {
        /// The validator that was asked.
        peer: ValidatorId,
        /// Why there is no stream.
        error: OpenError,
    },
    /// The peer refused or broke off.
    #[error("validator {peer} gave no answer: {kind}")]
    Broken {
        /// The validator that was asked.
        peer: ValidatorId,
        /// The failure of the stream.
        kind: std::io::ErrorKind,
    },
    /// The answer is announced longer than any answer may be.
    #[error(
        "validator {peer} announced an answer of {found} bytes where at most {limit} are allowed"
    )]
    AnswerTooLong {
        /// The validator that was asked.
        peer: ValidatorId,
        /// Length announced, in bytes.
        found: u32,
        /// Maximum length, in bytes.
        limit: usize,
    },
    /// No answer in time.
    #[error("validator {0} did not answer in time")]
    Timeout(ValidatorId),
    /// The network is shut down.
    #[error("the network is shut down")]
    Closed,
}

/// A handle to a running network. Cheap to clone; when the last one is dropped the network ends.
#[derive(Debug, Clone)]
pub struct Handle(Arc<HandleInner>);

#[derive(Debug)]
struct HandleInner {
    shared: Arc<SharedState>,
    streams: mpsc::Sender<OpenStream>,
    request_timeout: Duration,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(crate) fn new(
        shared: Arc<SharedState>,
        streams: mpsc::Sender<OpenStream>,
        request_timeout: Duration,
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
    ) -> Self {
        Self(Arc::new(HandleInner {
            shared,
            streams,
            request_timeout,
            stop,
            task: Mutex::new(Some(task)),
        }))
    }

    /// Queues a frame for a validator. Never blocks: if the peer reads too slowly its oldest frames are dropped.
    pub fn send(
        &self,
        to: ValidatorId,
        channel: Channel,
        frame: impl Into<Bytes>,
    ) -> Result<(), SendError> {
        let frame = frame.into();
        check_length(channel, frame.len())?;
        let queues = self.queues_of(to).ok_or(SendError::NotConnected(to))?;
        self.push(&queues, channel, frame);
        Ok(())
    }

    /// Queues a frame for every connected validator but `except`; returns their number. The queues share the frame's
    /// bytes.
    pub fn broadcast(
        &self,
        channel: Channel,
        frame: impl Into<Bytes>,
        except: Option<ValidatorId>,
    ) -> Result<usize, SendError> {
        let frame = frame.into();
        check_length(channel, frame.len())?;
        let connected: Vec<_> = self
            .0
            .shared
            .connected()
            .iter()
            .filter(|(validator, _)| Some(**validator) != except)
            .map(|(_, queues)| Arc::clone(queues))
            .collect();
        for queues in &connected {
            self.push(queues, channel, frame.clone());
        }
        Ok(connected.len())
    }

    /// Closes the connection of a validator, and takes and makes none until the time is over.
    pub fn ban(&self, validator: ValidatorId, time: Duration) {
        self.0.shared.ban(validator, Instant::now() + time);
    }

    /// Asks a validator and waits for its answer.
    pub async fn request(
        &self,
        to: ValidatorId,
        request: impl Into<Bytes>,
    ) -> Result<Bytes, RequestError> {
        let request = request.into();
        let (found, limit) = (request.len(), Protocol::Request.max_frame_bytes());
        if found > limit {
            return Err(RequestError::TooLarge { found, limit });
        }
        let exchange = self.exchange(to, request, limit);
        match tokio::time::timeout(self.0.request_timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(RequestError::Timeout(to)),
        }
    }

    /// Opens a stream for one request, and reads the answer.
    async fn exchange(
        &self,
        peer: ValidatorId,
        request: Bytes,
        limit: usize,
    ) -> Result<Bytes, RequestError> {
        let not_connected = RequestError::NotConnected(peer);
        let to = self.queues_of(peer).ok_or(not_connected.clone())?.peer;
        let (reply, opened) = oneshot::channel();
        let open = OpenStream {
            to,
            protocol: Protocol::Request,
            reply,
        };
        let sent = self.0.streams.send(open).await;
        sent.map_err(|_| RequestError::Closed)?;
        let stream = opened
            .await
            .map_err(|_| not_connected)?
            .map_err(|error| RequestError::NoStream { peer, error })?;
        let traffic = self.0.shared.traffic(Channel::Blobs);
        traffic.sent(request.len());
        let answer = link::ask(stream, request, limit).await;
        if let Ok(answer) = &answer {
            traffic.received(answer.len());
        }
        answer.map_err(|error| match error {
            FrameError::TooLong { found, limit } => {
                RequestError::AnswerTooLong { peer, found, limit }
            }
            FrameError::Io(error) => RequestError::Broken {
                peer,
                kind: error.kind(),
            },
        })
    }

    /// The validators that are connected now, this node not among them.
    #[must_use]
    pub fn peers(&self) -> Vec<ValidatorId> {
        self.0.shared.connected().keys().copied().collect()
    }

    /// The newest record of each validator that gave one, this node's own included.
    #[must_use]
    pub fn cards(&self) -> BTreeMap<ValidatorId, PeerCard> {
        self.0.shared.cards().clone()
    }

    /// What a validator calls itself; empty if it said nothing. For people.
    #[must_use]
    pub fn name(&self, validator: &ValidatorId) -> Name {
        let cards = self.0.shared.cards();
        cards
            .get(validator)
            .map(|card| card.name.clone())
            .unwrap_or_default()
    }

    /// The addresses that the node listens on, with the ports that were taken.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.0.shared.addresses().clone()
    }

    /// Counts since the start of the network.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.shared.counters.read()
    }

    /// What passed on a channel since the start of the network.
    #[must_use]
    pub fn traffic(&self, channel: Channel) -> ChannelTraffic {
        self.0.shared.traffic(channel).read()
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

    fn queues_of(&self, validator: ValidatorId) -> Option<Arc<PeerQueues>> {
        self.0.shared.connected().get(&validator).cloned()
    }

    fn push(&self, queues: &PeerQueues, channel: Channel, frame: Bytes) {
        self.0.shared.traffic(channel).sent(frame.len());
        let dropped = queues.of(channel).push(frame);
        self.0.shared.counters.frames_dropped.add(dropped);
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

#[cfg(test)]
mod tests;
