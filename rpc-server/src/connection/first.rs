//! The first bytes of a connection, which tell HTTP/2 from HTTP/1.1.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What every connection of HTTP/2 begins with, and no request of HTTP/1.1.
const HTTP2: &[u8] = b"PRI";

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpVersion {
    /// Requests one after another.
    Http1,
    /// Several at once.
    Http2,
}

/// Reads as many bytes as it takes to tell what is spoken.
pub(super) async fn spoken(stream: &mut TcpStream) -> io::Result<(HttpVersion, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(HTTP2.len());
    while bytes.len() < HTTP2.len() {
        let mut next = [0];
        if stream.read(&mut next).await? == 0 {
            break;
        }
        bytes.extend(next);
        if !HTTP2.starts_with(&bytes) {
            return Ok((HttpVersion::Http1, bytes));
        }
    }
    Ok((HttpVersion::Http2, bytes))
}

/// A stream whose first bytes were read before.
pub(super) struct FirstBytes {
    bytes: Vec<u8>,
    stream: TcpStream,
}

impl FirstBytes {
    pub(super) fn before(bytes: Vec<u8>, stream: TcpStream) -> Self {
        Self { bytes, stream }
    }
}

impl AsyncRead for FirstBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let fits = self.bytes.len().min(buffer.remaining());
        buffer.put_slice(&self.bytes[..fits]);
        self.bytes.drain(..fits);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FirstBytes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
