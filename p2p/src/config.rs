//! What a network is started with.

use std::time::Duration;

use libp2p::Multiaddr;
use types::committee::Committee;
use types::hash::ChainId;
use types::job::Name;
use types::key::SecretKey;
use types::signer::Signer;

/// How a node takes part in the network.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's libp2p identity.
    pub node_key: SecretKey,
    /// Signs the node's record, if it is a validator. Without it the node may connect and listen to nobody: it is
    /// a stranger to every validator.
    pub validator: Option<Signer>,
    /// The chain; nodes of other chains are not spoken to.
    pub chain_id: ChainId,
    /// Whose records count. Genesis' node keys bind until a record says otherwise.
    pub committee: Committee,
    /// Where to listen, such as `/ip4/127.0.0.1/tcp/26600`; port 0 takes a free one.
    pub listen: Vec<Multiaddr>,
    /// Where to find the first peers, such as `/ip4/10.0.0.3/tcp/26600`, with or without `/p2p/<peer id>`.
    pub bootstrap: Vec<Multiaddr>,
    /// The addresses that others should dial; if empty, those it listens on.
    pub external: Vec<Multiaddr>,
    /// What its operator calls it, for people; empty without one.
    pub name: Name,
    /// What the node bears.
    pub limits: Limits,
}

/// How fast the frames of one validator on one channel are read in the long run: many times what a correct one sends.
/// What it sends in two seconds may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRate {
    /// Bytes per second.
    pub bytes_per_second: u32,
    /// Frames per second, if they are short.
    pub frames_per_second: u32,
}

impl Default for ReadRate {
    fn default() -> Self {
        Self {
            bytes_per_second: 32 << 20,
            frames_per_second: 20_000,
        }
    }
}

/// What a node bears of others, and how patient it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of peers that no validator is bound to yet.
    pub stranger_connections: u32,
    /// Incoming sockets whose peer has said nothing yet. Half of them are for addresses that records or the
    /// configuration name; when a half is full, the oldest of the address prefix that has most goes.
    pub pending_silent: usize,
    /// Incoming connections in their handshake, by the same rule.
    pub pending_incoming: usize,
    /// Time for an incoming socket's first byte, and then for its handshakes.
    pub incoming_timeout: Duration,
    /// Resident memory of the process, in bytes, above which no connection of a stranger is taken.
    pub memory_bytes: usize,
    /// Time for an outgoing connection's handshakes, and for a peer to show that it is a validator's.
    pub handshake_timeout: Duration,
    /// Connections of one validator are taken, and it is told all records, at most once in this time in the long run.
    pub reconnect_every: Duration,
    /// New records of one validator count at most once in this time in the long run.
    pub record_every: Duration,
    /// Time for the answer to a request.
    pub request_timeout: Duration,
    /// Requests of one validator that are answered at once.
    pub requests_per_peer: usize,
    /// Frames read of one validator on one channel, and answers made for one validator.
    pub read_rate: ReadRate,
    /// Time between pings; a connection that answers none for three times as long is given up.
    pub ping_interval: Duration,
    /// First pause before an address is dialed again.
    pub redial_min: Duration,
    /// Longest pause before an address is dialed again.
    pub redial_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stranger_connections: 16,
            pending_silent: 256,
            pending_incoming: 256,
            incoming_timeout: Duration::from_secs(2),
            memory_bytes: 8 << 30,
            handshake_timeout: Duration::from_secs(5),
            reconnect_every: Duration::from_secs(10),
            record_every: Duration::from_mins(1),
            request_timeout: Duration::from_secs(10),
            requests_per_peer: 8,
            read_rate: ReadRate::default(),
            ping_interval: Duration::from_secs(5),
            redial_min: Duration::from_millis(250),
            redial_max: Duration::from_secs(15),
        }
    }
}
