//! Streams by protocol: negotiates our protocols on every connection and hands the raw streams over.
//!
//! What may be read from a stream, and by whom it was allowed, is decided by whoever receives it. This behaviour
//! also bounds the connections of strangers: peers that no validator is bound to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId,
    FromSwarm, NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, memory_connection_limits};
use tokio::sync::oneshot;
use types::hash::ChainId;

use crate::channel::Protocol;
use crate::config::Limits;
use crate::pace::EventPace;

/// Streams accepted on a connection that nobody took yet; more are dropped.
const MAX_UNTAKEN_STREAMS: usize = 16;

/// Connections of one validator that are taken at once: a few restarts, and dials that cross.
const RECONNECTS_AT_ONCE: u32 = 12;

/// Takes a stream, or why there is none.
pub(crate) type StreamReply = oneshot::Sender<Result<Stream, OpenError>>;

/// Why a stream could not be opened on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer does not speak the protocol, for instance because it is of another chain.
    #[error("the peer does not speak the protocol")]
    NotSpoken,
    /// The connection or the stream broke.
    #[error("the connection broke: {0}")]
    Broken(std::io::ErrorKind),
}

impl From<StreamUpgradeError<Infallible>> for OpenError {
    fn from(error: StreamUpgradeError<Infallible>) -> Self {
        match error {
            StreamUpgradeError::Timeout => Self::Timeout,
            StreamUpgradeError::NegotiationFailed => Self::NotSpoken,
            StreamUpgradeError::Io(error) => Self::Broken(error.kind()),
            StreamUpgradeError::Apply(never) => match never {},
        }
    }
}

/// A peer opened a stream.
#[derive(Debug)]
pub(crate) struct InboundStream {
    pub(crate) peer: PeerId,
    pub(crate) protocol: Protocol,
    pub(crate) stream: Stream,
}

/// Refuses a connection: as many of strangers are ending as may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} connections of peers that are no validator's are ending, no more are taken")]
pub(crate) struct TooManyStrangers(usize);

/// Refuses a connection: its validator has made too many lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the validator's node connects too often")]
pub(crate) struct ReconnectsTooOften;

/// libp2p behaviour that opens one stream per channel and direction with each bound peer.
pub(crate) struct Streams {
    protocols: Protocols,
    known: BTreeSet<PeerId>,
    /// Connections of strangers, oldest first, and those that are told to end.
    strangers: BTreeMap<ConnectionId, PeerId>,
    leaving: BTreeSet<ConnectionId>,
    max_strangers: usize,
    /// Asked about strangers only: who is known is served for as long as there is any memory.
    memory: memory_connection_limits::Behaviour,
    reconnect_every: Duration,
    reconnects: BTreeMap<PeerId, EventPace>,
    actions: VecDeque<ToSwarm<InboundStream, OpenOutbound>>,
}

impl Streams {
    pub(crate) fn new(chain: ChainId, max_strangers: usize, limits: &Limits) -> Self {
        Self {
            protocols: Protocols::new(chain),
            known: BTreeSet::new(),
            strangers: BTreeMap::new(),
            leaving: BTreeSet::new(),
            max_strangers,
            memory: memory_connection_limits::Behaviour::with_max_bytes(limits.memory_bytes),
            reconnect_every: limits.reconnect_every,
            reconnects: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// The peers that validators are bound to. They do not count as strangers.
    pub(crate) fn set_known(&mut self, known: BTreeSet<PeerId>) {
        self.strangers.retain(|_, peer| !known.contains(peer));
        self.reconnects.retain(|peer, _| known.contains(peer));
        self.known = known;
    }

    /// Opens a stream on a connection. The reply comes when it is negotiated; if the connection ends first, it is
    /// dropped.
    pub(crate) fn open(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        protocol: Protocol,
        reply: StreamReply,
    ) {
        let event = OpenOutbound { protocol, reply };
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event,
        });
    }

    /// Ends the oldest connections of strangers above the bound. An honest one shows within a round trip whose it is, so a flood
    /// pushes out its own first.
    fn make_room(&mut self) {
        while self.strangers.len() > self.max_strangers {
            let Some((connection, peer_id)) = self.strangers.pop_first() else {
                return;
            };
            self.leaving.insert(connection);
            self.actions.push_back(ToSwarm::CloseConnection {
                peer_id,
                connection: CloseConnection::One(connection),
            });
        }
    }

    fn handler(&self) -> StreamHandler {
        StreamHandler {
            protocols: self.protocols.clone(),
            outbound: VecDeque::new(),
            inbound: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = StreamHandler;
    type ToSwarm = InboundStream;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.known.contains(&peer) {
            let (every, now) = (self.reconnect_every, Instant::now());
            let pace = self.reconnects.entry(peer);
            let pace = pace.or_insert_with(|| EventPace::new(every, RECONNECTS_AT_ONCE, now));
            if !pace.take(now) {
                return Err(ConnectionDenied::new(ReconnectsTooOften));
            }
            return Ok(self.handler());
        }
        // Whoever does not read ends slowly: as many may be ending as may be there.
        if self.leaving.len() >= self.max_strangers {
            return Err(ConnectionDenied::new(TooManyStrangers(self.max_strangers)));
        }
        self.memory
            .handle_pending_inbound_connection(connection, local, remote)?;
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) if matches!(endpoint, ConnectedPoint::Listener { .. })
                && !self.known.contains(&peer_id) =>
            {
                self.strangers.insert(connection_id, peer_id);
                self.make_room();
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.strangers.remove(&connection_id);
                self.leaving.remove(&connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        let AcceptedInbound { protocol, stream } = event;
        self.actions
            .push_back(ToSwarm::GenerateEvent(InboundStream {
                peer,
                protocol,
                stream,
            }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Woken by the swarm, which polls again after everything that adds an action.
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// From behaviour to handler: open a stream.
#[derive(Debug)]
pub(crate) struct OpenOutbound {
    protocol: Protocol,
    reply: StreamReply,
}

/// From handler to behaviour: the peer opened a stream.
#[derive(Debug)]
pub(crate) struct AcceptedInbound {
    protocol: Protocol,
    stream: Stream,
}

/// The streams of one connection.
pub(crate) struct StreamHandler {
    protocols: Protocols,
    outbound: VecDeque<OpenOutbound>,
    inbound: VecDeque<AcceptedInbound>,
}

impl ConnectionHandler for StreamHandler {
    type FromBehaviour = OpenOutbound;
    type ToBehaviour = AcceptedInbound;
    type InboundProtocol = Protocols;
    type OutboundProtocol = Protocols;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = StreamReply;

    fn listen_protocol(&self) -> SubstreamProtocol<Protocols, ()> {
        SubstreamProtocol::new(self.protocols.clone(), ())
    }

    fn connection_keep_alive(&self) -> bool {
        // Connections end by decision of the network, not for being idle.
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Protocols, StreamReply, AcceptedInbound>> {
        if let Some(OpenOutbound { protocol, reply }) = self.outbound.pop_front() {
            let protocol = SubstreamProtocol::new(self.protocols.only(protocol), reply);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        match self.inbound.pop_front() {
            Some(accepted) => Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(accepted)),
            // Polled again after every event that fills a queue.
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, event: OpenOutbound) {
        self.outbound.push_back(event);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Protocols, Protocols, (), StreamReply>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (protocol, stream),
                ..
            }) if self.inbound.len() < MAX_UNTAKEN_STREAMS => {
                self.inbound.push_back(AcceptedInbound { protocol, stream });
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (_, stream),
                info: reply,
            }) => {
                // Whoever asked may be gone; then the stream is dropped with it.
                let _ = reply.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info: reply, error }) => {
                let _ = reply.send(Err(error.into()));
            }
            _ => {}
        }
    }
}

/// A protocol with its name.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    protocol: Protocol,
    name: StreamProtocol,
}

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.name.as_ref()
    }
}

/// The protocols that are offered or asked for on a stream.
#[derive(Debug, Clone)]
pub(crate) struct Protocols(Vec<Named>);

impl Protocols {
    fn new(chain: ChainId) -> Self {
        Self(
            Protocol::ALL
                .into_iter()
                .map(|protocol| Named {
                    protocol,
                    name: protocol.name(chain),
                })
                .collect(),
        )
    }

    fn only(&self, protocol: Protocol) -> Self {
        Self(
            self.0
                .iter()
                .filter(|named| named.protocol == protocol)
                .cloned()
                .collect(),
        )
    }
}

impl UpgradeInfo for Protocols {
    type Info = Named;
    type InfoIter = std::vec::IntoIter<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Protocols {
    type Output = (Protocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((named.protocol, stream)))
    }
}

impl OutboundUpgrade<Stream> for Protocols {
    type Output = (Protocol, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((named.protocol, stream)))
    }
}
