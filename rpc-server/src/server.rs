//! A server that runs: it accepts connections as there is room, and ends them when it is told to stop.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, sleep_until};

use crate::backend::Backend;
use crate::caller::ClientAddress;
use crate::config::ServerConfig;
use crate::connection::{ConnectionRules, RemoteEnd};
use crate::connections::{ConnectionBook, Entry, Holder};
use crate::counts::RequestCounts;
use crate::error::ApiError;
use crate::guard::Guard;
use crate::routes;
use crate::stop::until;
use crate::turn::OpenConnections;

/// Pause after the system refused to accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or is not ours.
    #[error("cannot listen on {address}: {}", listen_words(source))]
    Listen {
        /// Address of the configuration.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

fn listen_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "another process uses that port".to_owned(),
        _ => error.to_string(),
    }
}

/// A running server. Dropping it stops it at once; [`Server::shutdown`] lets requests end first.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    requests: RequestCounts,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens and serves until it is shut down or dropped. Needs a tokio runtime.
    pub async fn start(
        config: ServerConfig,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, ServerError> {
        let limits = config.clone();
        let requests = routes::counts();
        let counted = requests.clone();
        let started = Self::start_router(config, |address, stopped| {
            let guard = Guard::new(&limits.allowed_hosts, address, "rpc.allowed_hosts");
            routes::router(backend, &limits, guard, stopped, counted)
        });
        let mut server = started.await?;
        server.requests = requests;
        Ok(server)
    }

    /// Listens and serves what `router` makes for the address that was taken and the flag that says when to stop.
    pub(crate) async fn start_router(
        config: ServerConfig,
        router: impl FnOnce(SocketAddr, watch::Receiver<bool>) -> Router,
    ) -> Result<Self, ServerError> {
        let fail = |source| ServerError::Listen {
            address: config.listen,
            source,
        };
        let socket = TcpListener::bind(config.listen).await.map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        let (stop, stopped) = watch::channel(false);
        let serving = ConnectionRules {
            router: router(address, stopped.clone()),
            client_timeout: config.client_timeout,
            max_streams: if config.grpc { config.max_streams } else { 0 },
            stopped: stopped.clone(),
        };
        let acceptor = Acceptor {
            serving,
            proxies: config.proxies,
            open: OpenConnections::new(ConnectionBook::new(
                config.max_connections,
                config.party_percent,
                config.min_turn,
            )),
            refusal: refusal(),
        };
        Ok(Self {
            address,
            requests: RequestCounts::default(),
            stop,
            task: tokio::spawn(acceptor.run(socket, stopped)),
        })
    }

    /// Where it listens, with the port that was taken.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// What it answered so far.
    #[must_use]
    pub fn requests(&self) -> &RequestCounts {
        &self.requests
    }

    /// Takes no more requests, ends long polls, and waits for requests in progress, each as long as a client has. Dropped
    /// before, it ends these too.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // An error means that it was aborted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.task.abort();
    }
}

/// Accepts connections as long as there is room.
struct Acceptor {
    serving: ConnectionRules,
    proxies: Vec<IpAddr>,
    open: OpenConnections,
    /// The whole answer to a connection for which there is no room.
    refusal: Vec<u8>,
}

impl Acceptor {
    async fn run(self, socket: TcpListener, stopped: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        // Aborts its tasks when it is dropped.
        let mut connections = JoinSet::new();
        let mut pause = tokio::time::interval(ACCEPT_PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = std::pin::pin!(until(stopped));
        loop {
            tokio::select! {
                () = &mut stopping => break,
                // Ended connections are forgotten; the set is empty or not, the others go on.
                Some(_) = connections.join_next() => {}
                (stream, from) = self.next(&socket, &mut pause) => {
                    if self.open.entry() == Entry::Full {
                        // Said if that is possible at once. A client that is gone misses nothing.
                        drop(stream.try_write(&self.refusal));
                        continue;
                    }
                    let remote = self.remote(from);
                    let turn = remote.turn.clone();
                    let serving = self.serving.clone().serve(stream, graceful.watcher(), remote);
                    self.open.served_by(&turn, connections.spawn(serving));
                }
            }
        }
        drop(socket);
        graceful.shutdown().await;
    }
}

impl Acceptor {
    /// The next connection, once there is room for it or all have a turn that must not be ended.
    async fn next(&self, socket: &TcpListener, pause: &mut Interval) -> (TcpStream, IpAddr) {
        while let Entry::At(time) = self.open.entry() {
            sleep_until(time.into()).await;
        }
        accept(socket, pause).await
    }

    fn remote(&self, from: IpAddr) -> RemoteEnd {
        let address = ClientAddress::new(from);
        let is_proxy = self.proxies.contains(&from.to_canonical());
        let holder = if is_proxy {
            Holder::Proxy
        } else {
            Holder::Stranger(address)
        };
        RemoteEnd {
            address,
            is_proxy,
            turn: self.open.opened(holder),
        }
    }
}

/// Accepts the next connection; pauses after an error such as too many open files.
async fn accept(socket: &TcpListener, pause: &mut Interval) -> (TcpStream, IpAddr) {
    loop {
        match socket.accept().await {
            Ok((stream, from)) => return (stream, from.ip()),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                pause.tick().await;
            }
        }
    }
}

/// What a client reads when there are too many connections.
fn refusal() -> Vec<u8> {
    let error = ApiError::unavailable(
        "too_many_connections",
        "the node has as many connections as it takes",
        "try again in a few seconds",
    );
    let body = serde_json::to_string(&error.body).expect("an error body is JSON");
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
