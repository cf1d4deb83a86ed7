//! The composed libp2p behaviour: limits first, so that they refuse before anything is built.

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Swarm, SwarmBuilder, memory_connection_limits, noise, ping, tcp, yamux};

use crate::config::Config;
use crate::error::P2pError;
use crate::streams::Streams;

/// Maximum streams on one connection, both directions: two long ones per channel and for records, pings, requests.
const MAX_STREAMS: usize = 64;
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
    memory: memory_connection_limits::Behaviour,
    ping: ping::Behaviour,
    pub(crate) streams: Streams,
}

/// Builds the swarm, which neither listens nor dials yet.
pub(crate) fn build(config: &Config, identity: Keypair) -> Result<Swarm<Behaviour>, P2pError> {
    let limits = &config.limits;
    let members = u32::try_from(config.committee.members().len()).unwrap_or(u32::MAX);
    let connections = ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.pending_incoming))
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
        memory: memory_connection_limits::Behaviour::with_max_bytes(limits.memory_bytes),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(limits.ping_interval)
                .with_timeout(limits.ping_interval * 2),
        ),
        streams: Streams::new(config.chain_id, strangers),
    };
    let muxer = || {
        let mut muxer = yamux::Config::default();
        muxer.set_max_num_streams(MAX_STREAMS);
        muxer
    };
    let swarm = SwarmBuilder::with_existing_identity(identity)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, muxer)?
        .with_behaviour(|_| behaviour)
        .expect("the behaviour is made already")
        .with_swarm_config(|swarm| {
            swarm.with_max_negotiating_inbound_streams(MAX_NEGOTIATING_STREAMS)
        })
        .with_connection_timeout(limits.handshake_timeout)
        .build();
    Ok(swarm)
}
