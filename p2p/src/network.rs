//! The network's task: one loop over the swarm, the node's wishes, and a clock.
//!
//! The loop owns the swarm, the bindings, the schedule of dials, and every other task. Frames do not pass through
//! it: a reader hands them to the node, and a writer takes them from a queue.

mod start;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, DialError, ListenError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use types::hash::ValidatorId;
use types::key::SecretKey;

use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::channel::{Channel, Protocol};
use crate::config::Limits;
use crate::dialer::{Dialer, Target};
use crate::events::{EventQueue, Queued};
use crate::handle::{OpenStream, Outboxes, PeerEvent, Shared};
use crate::link;
use crate::outbox::Frame;
use crate::peers::{Connection, Peer};
use crate::record::{PeerRecord, SignedRecord};
use crate::registry::{Accepted, Registry};
use crate::streams::InboundStream;

pub use start::{P2pError, start};

/// Time between two looks at the clock.
const TICK: Duration = Duration::from_millis(50);
/// Time that connections have to close when the network ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Head start of the peer with the lower id when two learn of each other, so that rarely both dial.
const HEAD_START: Duration = Duration::from_secs(1);
/// Pings without an answer after which a connection is given up. The ping protocol's own verdict comes late: it
/// forgives its first failure and then waits for a new stream.
const MISSED_PINGS: u32 = 3;
/// Connects and disconnects that wait for the node; above it the swarm waits too.
const MAX_PENDING: usize = 1_024;

/// What a validator's node signs its records with.
struct Identity {
    validator: ValidatorId,
    validator_key: SecretKey,
    node_key: SecretKey,
    chain: types::hash::ChainId,
    external: Vec<Multiaddr>,
    sequence: u64,
}

/// The state of the loop.
struct Network {
    swarm: Swarm<Behaviour>,
    identity: Option<Identity>,
    own_record: Option<Frame>,
    registry: Registry,
    dialer: Dialer,
    peers: std::collections::BTreeMap<PeerId, Peer>,
    limits: Limits,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    /// To the node.
    events: EventQueue,
    /// Connects and disconnects that the node has not taken yet.
    pending: VecDeque<PeerEvent>,
    streams: mpsc::Sender<OpenStream>,
    records: mpsc::Sender<(PeerId, Vec<u8>)>,
}

impl Network {
    /// Runs until it is told to stop or every handle is gone.
    async fn run(
        mut self,
        mut wanted: mpsc::Receiver<OpenStream>,
        mut records: mpsc::Receiver<(PeerId, Vec<u8>)>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Kept from pass to pass: it holds the loop's place in the line.
        let mut room = Box::pin(self.events.room());
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
                    room.set(self.events.room());
                },
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
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
                let counting = &self.shared.counting;
                let denied = matches!(error, ListenError::Denied { .. });
                let count = if denied {
                    &counting.connections_denied
                } else {
                    &counting.handshakes_failed
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
                self.on_addresses()
            }
            SwarmEvent::ListenerClosed {
                addresses, reason, ..
            } => {
                tracing::error!(?addresses, ?reason, "no longer listening");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "cannot accept a connection")
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
            known.connections.push(Connection {
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
            fresh.records.push(Arc::clone(record));
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
    }

    /// A connected peer is a validator's from now on: it may send frames, and is sent frames and all records.
    fn bind(&mut self, peer: PeerId, validator: ValidatorId) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        if known.validator.replace(validator).is_some() {
            return;
        }
        let outboxes = Arc::new(Outboxes::new(peer));
        for channel in Channel::ALL {
            let (outbox, streams) = (outboxes.of(channel).clone(), self.streams.clone());
            let writer = link::write_frames(peer, Protocol::Frames(channel), outbox, streams);
            known.add_writer(self.tasks.spawn(writer));
        }
        for record in self.registry.records() {
            if crate::registry::peer_id(&record.record.node_key) != Some(peer) {
                known.records.push(record.to_bytes().into());
            }
        }
        self.dialer.proved(peer);
        self.shared.connected().insert(validator, outboxes);
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
                Ok(place) => {
                    let time = self.limits.request_timeout;
                    self.tasks
                        .spawn(link::answer(stream, from, events, time, shared, place));
                }
                Err(_) => shared.counting.streams_refused.add(1),
            },
            (Protocol::Frames(_) | Protocol::Request, None) => {
                tracing::debug!(%peer, ?protocol, "refused a stream of a peer that is no validator's");
                shared.counting.streams_refused.add(1);
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

    fn on_record(&mut self, from: PeerId, bytes: &[u8]) {
        if !self.peers.contains_key(&from) {
            return;
        }
        let outcome =
            SignedRecord::from_bytes(bytes).and_then(|record| self.registry.accept(record));
        match outcome {
            Ok(Accepted::Stale) => self.shared.counting.records_stale.add(1),
            Ok(Accepted::Own(sequence)) => self.outbid(sequence),
            Ok(Accepted::Taken { node, by }) => {
                tracing::warn!(%from, %node, %by, "refused a peer record: its node is another validator's");
                self.shared.counting.records_taken.add(1);
                if node == from {
                    return self.disconnect(from);
                }
            }
            Ok(Accepted::New {
                validator,
                peer,
                replaced,
            }) => {
                self.shared.counting.records_accepted.add(1);
                self.on_binding(validator, peer, replaced);
                self.pass_on(from, peer, &bytes.into());
            }
            Err(error) => {
                tracing::warn!(%from, %error, "refused a peer record");
                self.shared.counting.records_refused.add(1);
                return self.disconnect(from);
            }
        }
        // The first record of a peer must bind it.
        if self
            .peers
            .get(&from)
            .is_some_and(|known| known.validator.is_none())
        {
            self.shared.counting.strangers_closed.add(1);
            self.disconnect(from);
        }
    }

    /// A validator's newest record binds a peer, in place of another maybe.
    fn on_binding(&mut self, validator: ValidatorId, peer: PeerId, replaced: Option<PeerId>) {
        self.swarm
            .behaviour_mut()
            .streams
            .set_known(self.registry.known());
        if let Some(old) = replaced {
            self.dialer.remove_peer(old);
            self.disconnect(old);
        }
        let delay = if *self.swarm.local_peer_id() < peer {
            Duration::ZERO
        } else {
            HEAD_START
        };
        self.dialer.add_peer(
            peer,
            self.registry.addresses(validator),
            Instant::now(),
            delay,
        );
        if self.peers.contains_key(&peer) {
            self.bind(peer, validator);
        }
    }

    /// Tells a new record to all validators but those who know it.
    fn pass_on(&self, from: PeerId, subject: PeerId, record: &Frame) {
        for (peer, known) in &self.peers {
            if known.validator.is_some() && *peer != from && *peer != subject {
                known.records.push(Arc::clone(record));
            }
        }
    }

    /// Peers hold a record of this node that the current one does not replace, left by a life with a clock ahead.
    fn outbid(&mut self, sequence: u64) {
        if let Some(identity) = &mut self.identity {
            identity.sequence = identity.sequence.max(sequence);
            self.announce();
        }
    }

    fn on_addresses(&mut self) {
        let addresses: Vec<_> = self.swarm.listeners().cloned().collect();
        if *self.shared.addresses() != addresses {
            *self.shared.addresses() = addresses;
            self.announce();
        }
    }

    /// Signs a record with the next sequence and tells everybody.
    fn announce(&mut self) {
        let Some(identity) = &mut self.identity else {
            return;
        };
        identity.sequence = identity.sequence.saturating_add(1);
        let listening = self.shared.addresses().clone();
        let addresses = if identity.external.is_empty() {
            &listening
        } else {
            &identity.external
        };
        let (validator, node) = (&identity.validator_key, &identity.node_key);
        let record = PeerRecord::new(
            validator.public(),
            node.public(),
            addresses,
            identity.sequence,
        );
        let signed = record.sign(identity.chain, validator, node);
        let record: Frame = signed.to_bytes().into();
        self.registry.set_own(signed);
        tracing::info!(validator = %identity.validator, ?addresses, "this node's record");
        for known in self.peers.values() {
            known.records.push(Arc::clone(&record));
        }
        self.own_record = Some(record);
    }

    fn on_tick(&mut self, now: Instant) {
        self.end_the_silent(now);
        self.end_strangers(now);
        self.dial(now);
    }

    /// Gives up the connections that have not answered a ping for long.
    fn end_the_silent(&mut self, now: Instant) {
        let patience = self.limits.ping_interval * MISSED_PINGS;
        let silent = |connection: &&Connection| now.duration_since(connection.alive) > patience;
        let each = self.peers.iter();
        let silent: Vec<_> = each
            .flat_map(|(peer, known)| {
                known
                    .connections
                    .iter()
                    .filter(silent)
                    .map(|connection| (*peer, connection.id))
            })
            .collect();
        for (peer, connection) in silent {
            self.give_up(peer, connection);
        }
    }

    /// Disconnects the peers that did not show in time that they are a validator's.
    fn end_strangers(&mut self, now: Instant) {
        let late = |known: &Peer| {
            known.validator.is_none()
                && now.duration_since(known.since) > self.limits.handshake_timeout
        };
        let strangers: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, known)| late(known))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in strangers {
            tracing::debug!(%peer, "the peer did not show that it is a validator's");
            self.shared.counting.strangers_closed.add(1);
            self.disconnect(peer);
        }
    }

    fn dial(&mut self, now: Instant) {
        for due in self.dialer.due(now, |peer| self.peers.contains_key(peer)) {
            let options = match &due.target {
                Target::Bootstrap(_) => {
                    let Some(address) = due.addresses.into_iter().next() else {
                        continue;
                    };
                    DialOpts::unknown_peer_id()
                        .address(address)
                        .allocate_new_port()
                        .build()
                }
                Target::Peer(peer) => DialOpts::peer_id(*peer)
                    .addresses(due.addresses)
                    .allocate_new_port()
                    .build(),
            };
            let connection = options.connection_id();
            match self.swarm.dial(options) {
                Ok(()) => self.dialer.started(&due.target, connection),
                Err(error) => self.on_dial_error(connection, &error),
            }
        }
    }
}
