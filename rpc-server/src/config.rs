//! Configuration of a server: where it listens and what it bears.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How a server listens and what it bears.
///
/// Every number of connections, requests, polls and bytes holds twice: once for strangers, and once more for parties,
/// which are those who sign their requests and whom the node knows as a bonded partner or a customer of a live job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen; loopback unless the operator decided otherwise. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Host names (without port) under which the server may be addressed besides loopback names and addresses and
    /// the address it listens on.
    pub allowed_hosts: Vec<String>,
    /// Addresses of the operator's own proxies: they are believed the last address of `X-Forwarded-For`.
    pub proxies: Vec<IpAddr>,
    /// Maximum number of connections at once.
    pub max_connections: usize,
    /// Maximum weight of the requests in progress at once, long polls not counted: a light one weighs 1.
    pub max_requests: usize,
    /// Maximum number of long polls at once.
    pub max_waiting: usize,
    /// Maximum number of bytes in bodies of requests that are not answered yet, all together.
    pub max_unread_bytes: usize,
    /// Maximum number of bytes in large answers that clients have not taken yet, all together.
    pub max_unsent_bytes: usize,
    /// Share of each of these that one address may hold, in percent.
    pub address_percent: u8,
    /// Share of the parties' part of each of these that one party may hold, in percent.
    pub party_percent: u8,
    /// Time for a request's body to arrive, and then for the answer to be made; long polls have their wait on top.
    pub request_timeout: Duration,
    /// Time for a client to send a request head or to take an answer; idle connections end after it.
    pub client_timeout: Duration,
    /// Time that a client has for this for certain, before its connection may have to make room for a newer one.
    pub min_turn: Duration,
    /// Whether it answers gRPC beside HTTP, on the same port.
    pub grpc: bool,
    /// Whether it tells by gRPC which services there are.
    pub grpc_reflection: bool,
    /// Maximum number of calls at once on one connection of HTTP/2, which gRPC uses.
    pub max_streams: u32,
}

impl ServerConfig {
    /// The usual limits, listening at an address.
    #[must_use]
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            allowed_hosts: Vec::new(),
            proxies: Vec::new(),
            max_connections: 512,
            max_requests: 64,
            max_waiting: 256,
            max_unread_bytes: 32 << 20,
            max_unsent_bytes: 64 << 20,
            address_percent: 50,
            party_percent: 25,
            request_timeout: Duration::from_secs(10),
            client_timeout: Duration::from_secs(30),
            min_turn: Duration::from_millis(100),
            grpc: true,
            grpc_reflection: false,
            max_streams: 32,
        }
    }
}
