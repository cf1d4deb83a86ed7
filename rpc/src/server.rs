//! The HTTP server over a [`Backend`]: bounded in connections, requests, bytes and time.
//!
//! - Connections: at most `max_connections`; the next is told to come back and closed. A client that takes longer
//!   than `client_timeout` to send a request head or to take an answer is cut off.
//! - Requests: at most `max_requests` at once and `max_waiting` long polls; the next is answered 503, retryable.
//!   Each has `request_timeout`, within which its body must have arrived too.
//! - Answers that clients have not taken yet: at most `max_unsent_bytes` together, small ones not counted.
//! - Web pages cannot use it: a foreign `Host` (DNS rebinding) or any foreign `Origin` is refused.

mod guard;
mod listener;
mod routes;
mod unsent;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::backend::Backend;
use guard::Guard;
use listener::{BoundedListener, Connection};

/// How long requests in progress may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// How a server listens and what it bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen; loopback unless the operator decided otherwise. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Host names (without port) under which the server may be addressed besides loopback names and addresses and
    /// the address it listens on.
    pub allowed_hosts: Vec<String>,
    /// Most connections at once.
    pub max_connections: usize,
    /// Most requests in progress at once, long polls not counted.
    pub max_requests: usize,
    /// Most long polls at once.
    pub max_waiting: usize,
    /// Most bytes of large answers that clients have not taken yet, all together.
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

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or is not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A running server. Dropping it stops it at once; [`Server::shutdown`] lets requests end first.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens and serves until it is shut down or dropped. Needs a tokio runtime.
    pub async fn start(
        config: ServerConfig,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, ServerError> {
        let fail = |source| ServerError::Listen {
            address: config.listen,
            source,
        };
        let socket = TcpListener::bind(config.listen).await.map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        let (stop, stopped) = watch::channel(false);
        let guard = Guard::new(&config, address, stopped.clone());
        let router =
            routes::router(backend, guard).into_make_service_with_connect_info::<Connection>();
        let listener = BoundedListener::new(
            socket,
            config.max_connections,
            config.client_timeout,
            stopped.clone(),
        );
        let serve = axum::serve(listener, router).with_graceful_shutdown(until(stopped));
        let task = tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "the HTTP server stopped");
            }
        });
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    /// Where it listens, with the port that was taken.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, ends long polls, waits a few seconds for requests in progress.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            tracing::warn!("requests were still in progress when the HTTP server stopped");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.task.abort();
    }
}

/// Ends when the flag is set or its owner is gone.
async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
