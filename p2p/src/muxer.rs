//! Streams over one connection: yamux, with a bounded receive window.
//!
//! libp2p's own binding leaves the window of a connection at yamux's default of 1 GiB, which a peer that sends without
//! being read may fill. Here a connection holds at most [`MAX_WINDOW_BYTES`] for all its streams together.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::iter::{Once, once};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use yamux::{ConnectionError, Mode};

/// Maximum streams on one connection, both directions: two long ones per channel and for records, pings, requests.
const MAX_STREAMS: usize = 64;
/// Most bytes that a connection holds of what its streams' readers have not read, beside each stream's first window.
const MAX_WINDOW_BYTES: usize = 32 << 20;
/// Name of the protocol in the negotiation.
const NAME: &str = "/yamux/1.0.0";

const _: () = assert!(
    MAX_WINDOW_BYTES >= MAX_STREAMS * (256 << 10),
    "every stream has its first window"
);

/// Makes streams of an authenticated connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Multiplexer;

impl Multiplexer {
    fn over<C: AsyncRead + AsyncWrite + Unpin>(socket: C, mode: Mode) -> MuxedConnection<C> {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(MAX_STREAMS);
        config.set_max_connection_receive_window(Some(MAX_WINDOW_BYTES));
        MuxedConnection {
            connection: yamux::Connection::new(socket, config, mode),
            arrived: VecDeque::new(),
            taker: None,
        }
    }
}

impl UpgradeInfo for Multiplexer {
    type Info = &'static str;
    type InfoIter = Once<&'static str>;

    fn protocol_info(&self) -> Once<&'static str> {
        once(NAME)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Multiplexer {
    type Output = MuxedConnection<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<MuxedConnection<C>>>;

    fn upgrade_inbound(self, socket: C, _: &'static str) -> Self::Future {
        ready(Ok(Self::over(socket, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Multiplexer {
    type Output = MuxedConnection<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<MuxedConnection<C>>>;

    fn upgrade_outbound(self, socket: C, _: &'static str) -> Self::Future {
        ready(Ok(Self::over(socket, Mode::Client)))
    }
}

/// One connection with its streams.
pub(crate) struct MuxedConnection<C> {
    connection: yamux::Connection<C>,
    /// Streams that the peer opened and nobody took yet. The connection moves on only by asking it for the next one.
    arrived: VecDeque<yamux::Stream>,
    /// Whoever waits for a stream.
    taker: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> MuxedConnection<C> {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, ConnectionError>> {
        let next = self.connection.poll_next_inbound(cx);
        next.map(|stream| stream.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for MuxedConnection<C> {
    type Substream = yamux::Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<yamux::Stream, ConnectionError>> {
        let this = self.get_mut();
        if let Some(stream) = this.arrived.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = this.next(cx);
        if next.is_pending() {
            this.taker = Some(cx.waker().clone());
        }
        next
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<yamux::Stream, ConnectionError>> {
        self.get_mut().connection.poll_new_outbound(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.get_mut().connection.poll_close(cx)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        let this = self.get_mut();
        loop {
            let stream = futures::ready!(this.next(cx))?;
            // One too many is dropped, which resets it.
            if this.arrived.len() < MAX_STREAMS {
                this.arrived.push_back(stream);
            }
            if let Some(taker) = this.taker.take() {
                taker.wake();
            }
        }
    }
}
