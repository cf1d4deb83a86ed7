//! How a node meets other validators, and what it bears of everybody else on that port.

use std::time::Duration;

use ::p2p::Limits;
use serde::{Deserialize, Serialize};

/// How a node meets other validators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct P2pConfig {
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
}

mod defaults {
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
    pub fn incoming_ms() -> u64 {
        u64::try_from(Limits::default().incoming_timeout.as_millis()).unwrap_or(u64::MAX)
    }
    pub fn memory() -> usize {
        Limits::default().memory_bytes
    }
}

impl Default for P2pConfig {
    /// On loopback, without peers.
    fn default() -> Self {
        Self {
            listen: vec!["/ip4/127.0.0.1/tcp/26600".to_owned()],
            bootstrap: Vec::new(),
            external: Vec::new(),
            max_silent: defaults::silent(),
            max_handshakes: defaults::handshakes(),
            max_strangers: defaults::strangers(),
            incoming_timeout_ms: defaults::incoming_ms(),
            memory_bytes: defaults::memory(),
        }
    }
}

impl P2pConfig {
    /// What the network bears.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            stranger_connections: self.max_strangers,
            pending_silent: self.max_silent,
            pending_incoming: self.max_handshakes,
            incoming_timeout: Duration::from_millis(self.incoming_timeout_ms),
            memory_bytes: self.memory_bytes,
            ..Limits::default()
        }
    }
}
