//! The composed libp2p behaviour: limits first, so that they refuse before anything is built; and the transport, whose
//! way in has limits of its own ([`crate::incoming`]).

use std::sync::Arc;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::Transport as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::swarm::{self, NetworkBehaviour};
use libp2p::{Swarm, noise, ping, tcp};

use crate::config::Config;
use crate::error::P2pError;
use crate::incoming::{BoundedHandshakes, KnownAddresses, SpeakingFirst};
use crate::muxer::Multiplexer;
use crate::shared::SharedState;
use crate::streams::Streams;

/// Maximum streams of one connection in negotiation.
const MAX_NEGOTIATING_STREAMS: usize = 32;
/// Maximum connections of one peer: the kept one and those about to be closed as its duplicates.
const MAX_CONNECTIONS_PER_PEER: u32 = 3;
/// Maximum dials at once.
const MAX_PENDING_OUTGOING: u32 = 64;

/// Everything that runs on the connections.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    ping: ping::Behaviour,
    pub(crate) streams: Streams,
}

/// What the way in shares with the network's loop.
pub(crate) struct IncomingRules {
    pub(crate) known: KnownAddresses,
    pub(crate) shared: Arc<SharedState>,
}

/// Builds the swarm, which neither listens nor dials yet.
pub(crate) fn build(
    config: &Config,
    identity: &Keypair,
    incoming: IncomingRules,
) -> Result<Swarm<Behaviour>, P2pError> {
    let limits = &config.limits;
    let members = u32::try_from(config.committee.members().len()).unwrap_or(u32::MAX);
    let connections = ConnectionLimits::default()
        .with_max_pending_outgoing(Some(MAX_PENDING_OUTGOING))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER))
        .with_max_established(Some(
            members
                .saturating_mul(MAX_CONNECTIONS_PER_PEER)
                .saturating_add(limits.stranger_connections),
        ));
    let strangers = usize::try_from(limits.stranger_connections).unwrap_or(usize::MAX);
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(connections),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(limits.ping_interval)
                .with_timeout(limits.ping_interval * 2),
        ),
        streams: Streams::new(config.chain_id, strangers, limits),
    };
    let (known, patience) = (incoming.known, limits.incoming_timeout);
    let sockets = SpeakingFirst::new(
        tcp::tokio::Transport::new(tcp::Config::default()),
        (limits.pending_silent, patience),
        known.clone(),
        incoming.shared.clone(),
    );
    let connections = sockets
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(identity)?)
        .multiplex(Multiplexer)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    // Those that come in have a lobby and a time of their own.
    let connections =
        TransportTimeout::with_outgoing_timeout(connections, limits.handshake_timeout).boxed();
    let connections = BoundedHandshakes::new(
        connections,
        (limits.pending_incoming, patience),
        known,
        incoming.shared,
    );
    let settings = swarm::Config::with_tokio_executor()
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING_STREAMS);
    let connections = connections.boxed();
    let id = identity.public().to_peer_id();
    Ok(Swarm::new(connections, behaviour, id, settings))
}
