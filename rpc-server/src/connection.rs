//! One connection: hyper reads and writes it, within deadlines.
//!
//! A connection is in one of two phases. While the node owes an answer, the request's own timeout holds. In the other
//! phase the client owes something: a request head, or taking an answer. hyper bounds the head in bytes and time. It
//! has no limit for a client that reads its answer slowly, so a deadline stands beside it, which no trickle of bytes
//! moves: whoever has not taken an answer and begun the next request by then is cut off.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt as _;

use crate::caller::{Caller, ClientAddress, forwarded};
use crate::turn::Turn;

/// Longest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;

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

/// Serves a connection until it ends, its client takes longer than `client_timeout`, or `graceful` ends it.
pub(crate) async fn serve(
    stream: TcpStream,
    router: Router,
    client_timeout: Duration,
    graceful: Watcher,
    remote: RemoteEnd,
) {
    // Until when the client must have taken its answer; nothing while it is the node's turn.
    let (turn, mut owed) = watch::channel(None);
    let service = service_fn(|mut request: Request<Incoming>| {
        turn.send_replace(None);
        remote.mark(&mut request);
        let (router, turn, remote) = (router.clone(), &turn, &remote);
        async move {
            let answer = router.oneshot(request).await;
            remote.turn.client_owes();
            turn.send_replace(Some(Instant::now() + client_timeout));
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(client_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(graceful.watch(connection));
    loop {
        let deadline = *owed.borrow_and_update();
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "an HTTP connection broke");
                }
                return;
            }
            () = reached(deadline) => {
                tracing::debug!("an HTTP client took too long and was cut off");
                return;
            }
            // The sender lives in the connection, so a change is all that can end this wait.
            _ = owed.changed() => {}
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
