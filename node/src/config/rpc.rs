//! How a node answers programs, and what it bears of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rpc_server::ServerConfig;
use serde::{Deserialize, Serialize};

/// How a node answers programs. Numbers of connections, requests, polls and bytes hold once for strangers and once more
/// for parties: bonded partners and customers of live jobs that sign their requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RpcConfig {
    /// Where it listens for HTTP. Loopback unless customers and partners are to reach it from elsewhere.
    pub listen: SocketAddr,
    /// Host names under which it may be addressed from elsewhere.
    pub allowed_hosts: Vec<String>,
    /// Addresses of proxies of the operator's own, which are believed for whom they ask.
    pub proxies: Vec<IpAddr>,
    /// Maximum number of HTTP connections at a time.
    pub max_connections: usize,
    /// Maximum weight of requests in progress: a light one weighs 1, a list 16.
    pub max_requests: usize,
    /// Maximum number of long polls at a time.
    pub max_waiting: usize,
    /// Maximum number of bytes in bodies of requests that are not answered yet.
    pub max_unread_bytes: usize,
    /// Maximum number of bytes in large answers that clients have not taken yet.
    pub max_unsent_bytes: usize,
    /// Share of all these that one address may hold, in percent.
    pub address_percent: u8,
    /// Share of the parties' part of all these that one party may hold, in percent.
    pub party_percent: u8,
    /// Time for a body to arrive, and for an answer to be made, in milliseconds.
    pub request_timeout_ms: u64,
    /// Time for a client to send a request head or to take an answer, in milliseconds.
    pub client_timeout_ms: u64,
    /// Part of that time which a client has also while others wait for its connection, in milliseconds.
    pub min_turn_ms: u64,
    /// Whether it answers gRPC as well, on the same port.
    pub grpc: bool,
    /// Whether it tells by gRPC which services and messages there are.
    pub grpc_reflection: bool,
    /// Maximum number of calls at once on one connection of HTTP/2, which gRPC uses.
    pub max_streams: u32,
    /// How many events the event stream keeps for readers that are late.
    pub kept_events: usize,
}

impl Default for RpcConfig {
    fn default() -> Self {
        let usual = ServerConfig::at(SocketAddr::from(([127, 0, 0, 1], 26_601)));
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            listen: usual.listen,
            allowed_hosts: usual.allowed_hosts,
            proxies: usual.proxies,
            max_connections: usual.max_connections,
            max_requests: usual.max_requests,
            max_waiting: usual.max_waiting,
            max_unread_bytes: usual.max_unread_bytes,
            max_unsent_bytes: usual.max_unsent_bytes,
            address_percent: usual.address_percent,
            party_percent: usual.party_percent,
            request_timeout_ms: ms(usual.request_timeout),
            client_timeout_ms: ms(usual.client_timeout),
            min_turn_ms: ms(usual.min_turn),
            grpc: usual.grpc,
            grpc_reflection: usual.grpc_reflection,
            max_streams: usual.max_streams,
            kept_events: 65_536,
        }
    }
}

impl RpcConfig {
    /// What the HTTP server is started with.
    #[must_use]
    pub fn server(&self) -> ServerConfig {
        ServerConfig {
            listen: self.listen,
            allowed_hosts: self.allowed_hosts.clone(),
            proxies: self.proxies.clone(),
            max_connections: self.max_connections,
            max_requests: self.max_requests,
            max_waiting: self.max_waiting,
            max_unread_bytes: self.max_unread_bytes,
            max_unsent_bytes: self.max_unsent_bytes,
            address_percent: self.address_percent,
            party_percent: self.party_percent,
            request_timeout: Duration::from_millis(self.request_timeout_ms),
            client_timeout: Duration::from_millis(self.client_timeout_ms),
            min_turn: Duration::from_millis(self.min_turn_ms),
            grpc: self.grpc,
            grpc_reflection: self.grpc_reflection,
            max_streams: self.max_streams,
        }
    }
}
