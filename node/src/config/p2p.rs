//! How a node meets other validators, and what it bears of everybody else on that port.

use std::time::Duration;

use ::p2p::{Limits, ReadRate};
use serde::{Deserialize, Serialize};
use types::job::Name;

/// How a node meets other validators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct P2pConfig {
    /// What this validator is called in the lists and logs of all, 1 to 64 bytes; empty shows its id alone.
    #[serde(default)]
    pub name: Name,
    /// Where it listens for other validators, such as `/ip4/127.0.0.1/tcp/26600`.
    pub listen: Vec<String>,
    /// Where it finds the first other validators, such as `/ip4/10.0.0.3/tcp/26600`.
    #[serde(default)]
    pub bootstrap: Vec<String>,
    /// The addresses that others should dial, where they are not those it listens on.
    #[serde(default)]
    pub external: Vec<String>,
    /// Maximum number of incoming sockets whose peer has said nothing yet.
    #[serde(default = "defaults::silent")]
    pub max_silent: usize,
    /// Maximum number of incoming connections in their handshake.
    #[serde(default = "defaults::handshakes")]
    pub max_handshakes: usize,
    /// Maximum number of connections of peers that no validator is bound to.
    #[serde(default = "defaults::strangers")]
    pub max_strangers: u32,
    /// Time for a first byte, and then for the handshakes, in milliseconds.
    #[serde(default = "defaults::incoming_ms")]
    pub incoming_timeout_ms: u64,
    /// Resident memory of the process above which strangers are refused, in bytes.
    #[serde(default = "defaults::memory")]
    pub memory_bytes: usize,
    /// Time for an outgoing connection's handshakes, and for a stranger to show that it is a validator's, in milliseconds.
    #[serde(default = "defaults::handshake_ms")]
    pub handshake_timeout_ms: u64,
    /// Connections of one validator are taken once in this time in the long run, in milliseconds.
    #[serde(default = "defaults::reconnect_ms")]
    pub reconnect_every_ms: u64,
    /// New records of one validator count once in this time in the long run, in milliseconds.
    #[serde(default = "defaults::record_ms")]
    pub record_every_ms: u64,
    /// Time for the answer to a request, in milliseconds.
    #[serde(default = "defaults::request_ms")]
    pub request_timeout_ms: u64,
    /// Maximum number of requests of one validator that are answered at once.
    #[serde(default = "defaults::requests")]
    pub max_requests: usize,
    /// Bytes that are read of one validator on one channel each second, in the long run.
    #[serde(default = "defaults::bytes_per_second")]
    pub max_bytes_per_second: u32,
    /// Frames that are read of one validator on one channel each second, in the long run.
    #[serde(default = "defaults::frames_per_second")]
    pub max_frames_per_second: u32,
}

mod defaults {
    use std::time::Duration;

    use super::Limits;

    pub fn silent() -> usize {
        Limits::default().pending_silent
    }
    pub fn handshakes() -> usize {
        Limits::default().pending_incoming
    }
    pub fn strangers() -> u32 {
        Limits::default().stranger_connections
    }
    fn milliseconds(time: Duration) -> u64 {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }
    pub fn incoming_ms() -> u64 {
        milliseconds(Limits::default().incoming_timeout)
    }
    pub fn handshake_ms() -> u64 {
        milliseconds(Limits::default().handshake_timeout)
    }
    pub fn reconnect_ms() -> u64 {
        milliseconds(Limits::default().reconnect_every)
    }
    pub fn record_ms() -> u64 {
        milliseconds(Limits::default().record_every)
    }
    pub fn request_ms() -> u64 {
        milliseconds(Limits::default().request_timeout)
    }
    pub fn requests() -> usize {
        Limits::default().requests_per_peer
    }
    pub fn bytes_per_second() -> u32 {
        Limits::default().read_rate.bytes_per_second
    }
    pub fn frames_per_second() -> u32 {
        Limits::default().read_rate.frames_per_second
    }
    pub fn memory() -> usize {
        Limits::default().memory_bytes
    }
}

impl Default for P2pConfig {
    /// On loopback, without peers.
    fn default() -> Self {
        Self {
            name: Name::default(),
            listen: vec!["/ip4/127.0.0.1/tcp/26600".to_owned()],
            bootstrap: Vec::new(),
            external: Vec::new(),
            max_silent: defaults::silent(),
            max_handshakes: defaults::handshakes(),
            max_strangers: defaults::strangers(),
            incoming_timeout_ms: defaults::incoming_ms(),
            memory_bytes: defaults::memory(),
            handshake_timeout_ms: defaults::handshake_ms(),
            reconnect_every_ms: defaults::reconnect_ms(),
            record_every_ms: defaults::record_ms(),
            request_timeout_ms: defaults::request_ms(),
            max_requests: defaults::requests(),
            max_bytes_per_second: defaults::bytes_per_second(),
            max_frames_per_second: defaults::frames_per_second(),
        }
    }
}

impl P2pConfig {
    /// What the network bears.
    #[must_use]
    pub fn limits(&self) -> Limits {
        // Nothing is done without any time, and nobody is heard who may not say a byte.
        let time = |milliseconds: u64| Duration::from_millis(milliseconds.max(1));
        Limits {
            stranger_connections: self.max_strangers,
            pending_silent: self.max_silent,
            pending_incoming: self.max_handshakes,
            incoming_timeout: time(self.incoming_timeout_ms),
            memory_bytes: self.memory_bytes,
            handshake_timeout: time(self.handshake_timeout_ms),
            reconnect_every: time(self.reconnect_every_ms),
            record_every: time(self.record_every_ms),
            request_timeout: time(self.request_timeout_ms),
            requests_per_peer: self.max_requests,
            read_rate: ReadRate {
                bytes_per_second: self.max_bytes_per_second.max(1),
                frames_per_second: self.max_frames_per_second.max(1),
            },
            ..Limits::default()
        }
    }
}
