//! A server that runs: it listens, serves, and ends its requests when it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::backend::Backend;
use crate::config::ServerConfig;
use crate::guard::Guard;
use crate::listener::{BoundedListener, Connection};
use crate::routes;
use crate::stop::{GRACE, until};

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
