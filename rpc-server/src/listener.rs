//! Connections: how many, how long a client may keep one waiting, and how long a request head may be.
//!
//! A connection is in one of two phases. While the node owes an answer, the request's own timeout holds. In the
//! other phase the client owes something (a request head, or taking the answer), and a deadline holds that no trickle
//! of bytes moves.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};

use crate::stop::{GRACE, until};

/// Most bytes that a client may send before its request head is whole.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Pause after the system refused to accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a client reads when there are too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n\
content-length: 141\r\n\r\n\
{\"code\":\"too_many_connections\",\"message\":\"the node has as many connections as it takes\",\"hint\":\"try again in a few seconds\",\"retryable\":true}";

/// Accepts connections as long as there is room.
pub(crate) struct BoundedListener {
    socket: TcpListener,
    permits: Arc<Semaphore>,
    timeout: Duration,
    stopped: watch::Receiver<bool>,
    pause: Interval,
}

impl BoundedListener {
    pub(crate) fn new(
        socket: TcpListener,
        max_connections: usize,
        timeout: Duration,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let mut pause = tokio::time::interval(ACCEPT_PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            permits: Arc::new(Semaphore::new(max_connections)),
            timeout,
            stopped,
            pause,
        }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, address)) => match Arc::clone(&self.permits).try_acquire_owned() {
                    Ok(permit) => {
                        return (
                            BoundedStream::new(stream, permit, self.timeout, self.stopped.clone()),
                            address,
                        );
                    }
                    Err(_) => turn_away(&stream),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    self.pause.tick().await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Says why before closing, if that is possible at once. A client that is gone misses nothing.
fn turn_away(stream: &TcpStream) {
    let _ = stream.try_write(TOO_MANY);
}

/// The phase of a connection, shared between its stream and the requests on it.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Arc<Phase>);

#[derive(Debug)]
struct Phase {
    timeout: Duration,
    owed: Mutex<Owed>,
}

/// What a client owes.
#[derive(Debug)]
struct Owed {
    /// Until when; nothing while the node owes an answer.
    deadline: Option<Instant>,
    /// Bytes read since then.
    read: usize,
}

impl Connection {
    fn new(timeout: Duration) -> Self {
        let owed = Owed {
            deadline: Some(Instant::now() + timeout),
            read: 0,
        };
        Self(Arc::new(Phase {
            timeout,
            owed: Mutex::new(owed),
        }))
    }

    /// A request head is there: the node owes an answer.
    pub(crate) fn begin(&self) {
        *self.owed() = Owed {
            deadline: None,
            read: 0,
        };
    }

    /// The answer is made: the client owes taking it, and then the next request.
    pub(crate) fn end(&self) {
        *self.owed() = Owed {
            deadline: Some(Instant::now() + self.0.timeout),
            read: 0,
        };
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, Owed> {
        self.0.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        stream.io().connection.clone()
    }
}

/// A connection that ends itself when its client takes too long or the server stopped.
pub(crate) struct BoundedStream {
    inner: TcpStream,
    connection: Connection,
    timer: Pin<Box<Sleep>>,
    stopping: BoxFuture<'static, ()>,
    /// Set once the server stopped.
    end: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

impl BoundedStream {
    fn new(
        inner: TcpStream,
        permit: OwnedSemaphorePermit,
        timeout: Duration,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let connection = Connection::new(timeout);
        let timer = Box::pin(tokio::time::sleep_until(Instant::now() + timeout));
        Self {
            inner,
            connection,
            timer,
            stopping: until(stopped).fuse().boxed(),
            end: None,
            _permit: permit,
        }
    }

    /// An error once a deadline has passed; otherwise arranges to be woken at the nearest one.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.end.is_none() && self.stopping.poll_unpin(context).is_ready() {
            self.end = Some(Instant::now() + GRACE);
        }
        let owed = self.connection.owed().deadline;
        let Some(deadline) = [owed, self.end].into_iter().flatten().min() else {
            return Ok(());
        };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        match self.timer.poll_unpin(context) {
            Poll::Ready(()) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client took too long",
            )),
            Poll::Pending => Ok(()),
        }
    }

    /// Counts bytes of a request head. One read may hold a whole head and much of the body behind it, so only what
    /// was read before and made no head counts.
    fn count(&self, read: usize) -> io::Result<()> {
        let mut owed = self.connection.owed();
        if owed.deadline.is_none() {
            return Ok(());
        }
        if owed.read > MAX_HEAD_BYTES && read > 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the request head is too long",
            ));
        }
        owed.read = owed.read.saturating_add(read);
        Ok(())
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        Poll::Ready(self.count(buffer.filled().len() - before))
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canned_answer_has_the_length_it_says() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
        assert!(
            serde_json::from_str::<rpc::ErrorBody>(body)
                .unwrap()
                .retryable
        );
    }
}
