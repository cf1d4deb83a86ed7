//! A server that shows one text at `/metrics` and nothing else, for the operator's own Prometheus: behind the same check of
//! hosts and origins as the HTTP interface, with few connections, and one text made at a time.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::ServerConfig;
use crate::error::ApiError;
use crate::guard::{Guard, panicked, protect};
use crate::server::{Server, ServerError};

/// Maximum number of connections: a few readers, each with one.
const MAX_CONNECTIONS: usize = 16;
/// OpenMetrics, which Prometheus reads.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Makes the text. It may read the disk.
pub type TextSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Only one text is made at a time: whoever asks meanwhile waits.
#[derive(Clone)]
struct Exposition(Arc<Mutex<TextSource>>);

impl Server {
    /// Listens and shows the text that `source` makes at `/metrics`. Needs a tokio runtime.
    pub async fn exposition(
        listen: SocketAddr,
        allowed_hosts: &[String],
        source: TextSource,
    ) -> Result<Self, ServerError> {
        let mut config = ServerConfig::at(listen);
        config.max_connections = MAX_CONNECTIONS;
        config.grpc = false;
        let hosts = allowed_hosts.to_vec();
        let shown = Exposition(Arc::new(Mutex::new(source)));
        Self::start_router(config, |address, _| {
            let guard = Guard::new(&hosts, address, "metrics.allowed_hosts");
            Router::new()
                .route("/metrics", get(show))
                .fallback(no_route)
                .with_state(shown)
                .layer(CatchPanicLayer::custom(panicked))
                .layer(from_fn_with_state(guard, protect))
        })
        .await
    }
}

async fn show(State(Exposition(source)): State<Exposition>) -> Result<Response, ApiError> {
    let source = source.lock_owned().await;
    let made = tokio::task::spawn_blocking(move || {
        let text = source();
        drop(source);
        text
    });
    let made = made.await;
    let text = made.map_err(|_| ApiError::internal("the metrics could not be collected"))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

async fn no_route() -> ApiError {
    ApiError::not_found(
        "route",
        "there is nothing here",
        "metrics are at /metrics; the HTTP interface is at rpc.listen",
    )
}
