//! One connection: hyper reads and writes it, within deadlines.
//!
//! It speaks HTTP/1.1 or, where its first bytes say so and gRPC is served, HTTP/2, on which several calls run at once. As long as
//! the node owes an answer, the request's own timeout holds. Otherwise the client owes something: a request head, or taking an
//! answer. hyper bounds the head of HTTP/1.1 in bytes and time. It has no limit for a client that reads its answer slowly, so a
//! deadline stands beside it, which no trickle of bytes moves: whoever has not taken an answer and begun the next request by then
//! is cut off, with all that runs on the connection.

mod first;
mod owed;

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, Watcher};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tower::ServiceExt as _;

use crate::caller::{Caller, ClientAddress, forwarded};
use crate::stop::until;
use crate::turn::Turn;
use first::{FirstBytes, HttpVersion};
use owed::{Deadlines, OwedBody};

/// Longest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// What a client may send on one stream of HTTP/2, and on all, before the server has read it, in bytes.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// What hyper keeps of an answer that a stream of HTTP/2 has not taken, in bytes.
const SEND_BUFFER: usize = 64 << 10;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct RemoteEnd {
    pub(crate) address: ClientAddress,
    /// It is a proxy of the operator, which says for whom it asks.
    pub(crate) is_proxy: bool,
    pub(crate) turn: Turn,
}

impl RemoteEnd {
    /// Says with a request whom it comes from and on which connection.
    fn mark(&self, request: &mut Request<Incoming>) {
        let forwarded = self
            .is_proxy
            .then(|| forwarded(request.headers()))
            .flatten();
        let caller = Caller::At(forwarded.unwrap_or(self.address));
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(self.turn.clone());
    }
}

/// How the connections of a server are served.
#[derive(Clone)]
pub(crate) struct ConnectionRules {
    pub(crate) router: Router,
    pub(crate) client_timeout: Duration,
    /// Maximum number of streams at once on a connection of HTTP/2; 0 if that is not spoken.
    pub(crate) max_streams: u32,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl ConnectionRules {
    /// Serves a connection until it ends, its client takes longer than it may, or `graceful` ends it.
    pub(crate) async fn serve(self, mut stream: TcpStream, graceful: Watcher, remote: RemoteEnd) {
        let spoken = tokio::select! {
            spoken = timeout(self.client_timeout, first::spoken(&mut stream)) => spoken,
            () = until(self.stopped.clone()) => return,
        };
        let Ok(Ok((spoken, bytes))) = spoken else {
            return;
        };
        let io = TokioIo::new(FirstBytes::before(bytes, stream));
        let deadlines = Deadlines::new(self.client_timeout);
        let (router, owed) = (self.router, deadlines.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (router, owed, turn) = (router.clone(), owed.clone(), remote.turn.clone());
            remote.mark(&mut request);
            let answer = owed.node_owes();
            async move {
                let Ok(response) = router.oneshot(request).await;
                answer.is_made();
                turn.client_owes();
                Ok::<_, Infallible>(response.map(|body| Body::new(OwedBody::new(body, answer))))
            }
        });
        if spoken == HttpVersion::Http2 && self.max_streams > 0 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(self.max_streams)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_send_buf_size(SEND_BUFFER)
                .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
                .serve_connection(io, service);
            within(connection, deadlines, graceful).await;
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.client_timeout)
                .max_header_size(MAX_HEAD_BYTES)
                .serve_connection(io, service);
            within(connection, deadlines, graceful).await;
        }
    }
}

/// Drives a connection to its end, or until its client is late.
async fn within<C>(connection: C, deadlines: Deadlines, graceful: Watcher)
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut changes = deadlines.changes();
    let mut connection = pin!(graceful.watch(connection));
    loop {
        changes.borrow_and_update();
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "an HTTP connection broke");
                }
                return;
            }
            () = reached(deadlines.next()) => {
                tracing::debug!("an HTTP client took too long and was cut off");
                return;
            }
            // The sender lives in `deadlines`, so a change is all that can end this wait.
            _ = changes.changed() => {}
        }
    }
}

/// Ends at the deadline; never if there is none.
async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
