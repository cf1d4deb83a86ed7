//! Configuration of a server: where it listens and what it bears.

use std::net::SocketAddr;
use std::time::Duration;

/// How a server listens and what it bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen; loopback unless the operator decided otherwise. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Host names (without port) under which the server may be addressed besides loopback names and addresses and
    /// the address it listens on.
    pub allowed_hosts: Vec<String>,
    /// Maximum number of connections at once.
    pub max_connections: usize,
    /// Maximum number of requests in progress at once, long polls not counted.
    pub max_requests: usize,
    /// Maximum number of long polls at once.
    pub max_waiting: usize,
    /// Maximum number of bytes in large answers that clients have not taken yet, all together.
    pub max_unsent_bytes: usize,
    /// Time for a request's body to arrive and for the answer to be made; long polls have their wait on top.
    pub request_timeout: Duration,
    /// Time for a client to send a request head or to take an answer; idle connections end after it.
    pub client_timeout: Duration,
}

impl ServerConfig {
    /// The usual limits, listening at an address.
    #[must_use]
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            allowed_hosts: Vec::new(),
            max_connections: 512,
            max_requests: 64,
            max_waiting: 256,
            max_unsent_bytes: 64 << 20,
            request_timeout: Duration::from_secs(10),
            client_timeout: Duration::from_secs(30),
        }
    }
}
