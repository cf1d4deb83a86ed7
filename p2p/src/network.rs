//! The network's task: one loop over the swarm, the node's wishes, and a clock.
//!
//! The loop owns the swarm, the bindings, the schedule of dials, and every other task. Frames do not pass through
//! it: a reader hands them to the node, and a writer takes them from a queue.

mod records;
mod start;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, DialError, ListenError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use types::hash::ValidatorId;
use types::job::Name;
use types::key::SecretKey;
use types::signer::Signer;

use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::channel::{Channel, Protocol};
use crate::config::Limits;
use crate::dialer::Dialer;
use crate::events::{EventQueue, PeerEvent, Queued};
use crate::incoming::KnownAddresses;
use crate::link;
use crate::names::ResolvedNames;
use crate::pace::EventPace;
use crate::peers::{Peer, PeerConnection};
use crate::registry::Registry;
use crate::shared::{OpenStream, PeerQueues, SharedState};
use crate::streams::InboundStream;

use records::Greeting;
pub use start::start;

/// Time between two looks at the clock.
const TICK: Duration = Duration::from_millis(50);
/// Time that connections have to close when the network ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Connects and disconnects that wait for the node; above it the swarm waits too.
const MAX_PENDING: usize = 1_024;

/// The keys and the chain that a validator's node signs its records with.
struct RecordSigner {
    validator: ValidatorId,
    key: Signer,
    node_key: SecretKey,
    chain: types::hash::ChainId,
    external: Vec<Multiaddr>,
    name: Name,
    sequence: u64,
    /// A record is to be signed that could not be.
    is_due: bool,
}

/// The state of the loop.
struct NetworkLoop {
    swarm: Swarm<Behaviour>,
    signer: Option<RecordSigner>,
    own_record: Option<Bytes>,
    registry: Registry,
    dialer: Dialer,
    bootstrap: Vec<Multiaddr>,
    /// The addresses whose connections have a half of each lobby to themselves.
    known: KnownAddresses,
    /// The host names of all addresses, for the task that resolves them.
    wanted_names: watch::Sender<BTreeSet<String>>,
    names: watch::Receiver<ResolvedNames>,
    greetings: BTreeMap<ValidatorId, Greeting>,
    /// How often each cause is warned of.
    warnings: BTreeMap<&'static str, EventPace>,
    peers: BTreeMap<PeerId, Peer>,
    limits: Limits,
    shared: Arc<SharedState>,
    tasks: JoinSet<()>,
    /// Bounded queue of events to the node.
    events: EventQueue,
    /// Connects and disconnects that the node has not taken yet.
    pending: VecDeque<PeerEvent>,
    streams: mpsc::Sender<OpenStream>,
    records: mpsc::Sender<(PeerId, Bytes)>,
}

impl NetworkLoop {
    /// Runs until it is told to stop or every handle is gone.
    async fn run(
        mut self,
        mut wanted: mpsc::Receiver<OpenStream>,
        mut records: mpsc::Receiver<(PeerId, Bytes)>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Kept from pass to pass: it holds the loop's turn.
        let mut room = Box::pin(self.events.notice_room());
        loop {
            tokio::select! {
                event = self.swarm.select_next_some(), if self.pending.len() < MAX_PENDING => self.on_swarm(event),
                Some(open) = wanted.recv() => self.open(open),
                Some((from, bytes)) = records.recv() => self.on_record(from, &bytes),
                free = &mut room, if !self.pending.is_empty() => {
                    let Ok(free) = free else { break };
                    if let Some(event) = self.pending.pop_front() {
                        free.send(Queued::notice(event));
                    }
                    room.set(self.events.notice_room());
                },
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
                Ok(()) = self.names.changed() => self.on_names(Instant::now()),
                _ = tick.tick() => self.on_tick(Instant::now()),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.close().await;
    }

    /// Ends every task and closes every connection.
    async fn close(mut self) {
        self.shared.connected().clear();
        self.tasks.shutdown().await;
        for peer in std::mem::take(&mut self.peers).into_keys() {
            // An error means that it is not connected any more.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self
                .swarm
                .network_info()
                .connection_counters()
                .num_established()
                > 0
            {
                self.swarm.select_next_some().await;
            }
        };
        if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Streams(inbound)) => self.on_stream(inbound),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping)) => {
                match (ping.result, self.peers.get_mut(&ping.peer)) {
                    (Ok(_), Some(known)) => known.answered(ping.connection, Instant::now()),
                    (Ok(_), None) => {}
                    (Err(_), _) => self.give_up(ping.peer, ping.connection),
                }
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                ..
            } => self.on_closed(peer_id, connection_id),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                let counters = &self.shared.counters;
                let denied = matches!(error, ListenError::Denied { .. });
                let count = if denied {
                    &counters.connections_denied
                } else {
                    &counters.handshakes_failed
                };
                count.add(1);
                tracing::debug!(%error, "an incoming connection came to nothing");
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => {
                self.on_dial_error(connection_id, &error);
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                self.on_addresses();
            }
            SwarmEvent::ListenerClosed {
                addresses, reason, ..
            } => {
                let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                let why = reason.err().map_or_else(
                    || "the socket was closed".to_owned(),
                    |error| error.to_string(),
                );
                tracing::error!(addresses = shown.join(" "), why, "no longer listening");
            }
            SwarmEvent::ListenerError { error, .. } if self.may_warn("accept", Instant::now()) => {
                tracing::warn!(%error, "cannot accept a connection");
            }
            _ => {}
        }
    }

    fn on_dial_error(&mut self, connection: ConnectionId, error: &DialError) {
        tracing::debug!(%error, "a dial failed");
        self.dialer.failed(connection);
        if let DialError::LocalPeerId { address } = error {
            self.dialer.remove_address(address);
        }
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        tracing::debug!(%peer, ?endpoint, "connected");
        self.dialer.connected(peer, connection);
        let decides = *self.swarm.local_peer_id() < peer;
        if let Some(known) = self.peers.get_mut(&peer) {
            let older = known.connections.clone();
            known.connections.push(PeerConnection {
                id: connection,
                alive: Instant::now(),
            });
            for duplicate in older.into_iter().filter(|_| decides) {
                self.swarm.close_connection(duplicate.id);
            }
            return;
        }
        let mut fresh = Peer::new(connection, Instant::now(), self.limits.requests_per_peer);
        if let Some(record) = &self.own_record {
            fresh.records.push(record.clone());
        }
        let writer = link::write_frames(
            peer,
            Protocol::Records,
            fresh.records.clone(),
            self.streams.clone(),
        );
        fresh.add_writer(self.tasks.spawn(writer));
        self.peers.insert(peer, fresh);
        if let Some(validator) = self.registry.validator_of(&peer) {
            self.bind(peer, validator);
        }
        // Not before the node can be told of both.
        self.end_banned(Instant::now());
    }

    /// A connected peer is a validator's from now on: it may send frames, and is sent frames and all records.
    fn bind(&mut self, peer: PeerId, validator: ValidatorId) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        if known.validator.replace(validator).is_some() {
            return;
        }
        let queues = Arc::new(PeerQueues::new(peer));
        for channel in Channel::ALL {
            let (queue, streams) = (queues.of(channel).clone(), self.streams.clone());
            let writer = link::write_frames(peer, Protocol::Frames(channel), queue, streams);
            known.add_writer(self.tasks.spawn(writer));
        }
        self.dialer.proved(peer);
        self.greet(validator, Instant::now());
        self.shared.connected().insert(validator, queues);
        self.pending.push_back(PeerEvent::Connected { validator });
    }

    fn on_closed(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        known.connections.retain(|other| other.id != connection);
        if known.connections.is_empty() {
            tracing::debug!(%peer, "disconnected");
            self.forget(peer);
            self.dialer.lost(peer, Instant::now());
        }
    }

    /// A connection does not answer pings. Closing it may take long, so it counts as closed at once.
    fn give_up(&mut self, peer: PeerId, connection: ConnectionId) {
        tracing::debug!(%peer, "a connection does not answer");
        self.on_closed(peer, connection);
        self.swarm.close_connection(connection);
    }

    /// Ends everything with a peer but its connections.
    fn forget(&mut self, peer: PeerId) {
        let validator = self.peers.remove(&peer).and_then(|known| known.validator);
        if let Some(validator) = validator {
            self.shared.connected().remove(&validator);
            self.pending
                .push_back(PeerEvent::Disconnected { validator });
        }
    }

    fn disconnect(&mut self, peer: PeerId) {
        self.forget(peer);
        // An error means that it is not connected any more.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn on_stream(
        &mut self,
        InboundStream {
            peer,
            protocol,
            stream,
        }: InboundStream,
    ) {
        let (shared, events) = (self.shared.clone(), self.events.clone());
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        match (protocol, known.validator) {
            (Protocol::Records, _) => {
                let reader = link::read_records(stream, peer, self.records.clone(), shared);
                known.set_reader(protocol, self.tasks.spawn(reader));
            }
            (Protocol::Frames(channel), Some(from)) => {
                let reader = link::read_channel(stream, from, channel, events, shared);
                known.set_reader(protocol, self.tasks.spawn(reader));
            }
            (Protocol::Request, Some(from)) => match known.requests.clone().try_acquire_owned() {
                Ok(permit) => {
                    let time = self.limits.request_timeout;
                    self.tasks
                        .spawn(link::answer(stream, from, events, time, shared, permit));
                }
                Err(_) => shared.counters.streams_refused.add(1),
            },
            (Protocol::Frames(_) | Protocol::Request, None) => {
                tracing::debug!(%peer, ?protocol, "refused a stream of a peer that is no validator's");
                shared.counters.streams_refused.add(1);
            }
        }
    }

    fn open(
        &mut self,
        OpenStream {
            to,
            protocol,
            reply,
        }: OpenStream,
    ) {
        // Without a connection the reply is dropped, which says so.
        if let Some(connection) = self.peers.get(&to).and_then(Peer::active) {
            self.swarm
                .behaviour_mut()
                .streams
                .open(to, connection, protocol, reply);
        }
    }
}
