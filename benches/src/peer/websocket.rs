//! As much of a WebSocket client as CometBFT's events need: one subscription, text messages, answers to pings. The server
//! is one that the bench itself started.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::HttpConnection;

/// Longest message that is read, in bytes.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LAST: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Stands for a length of 16 bits that follows.
const LENGTH_16: u8 = 0x7e;
/// Stands for a length of 64 bits that follows.
const LENGTH_64: u8 = 0x7f;

/// A WebSocket of a client on which text messages come one after the other.
#[derive(Debug)]
pub struct WebSocket {
    stream: TcpStream,
    read: Vec<u8>,
}

impl WebSocket {
    /// Connects to a path.
    pub async fn open(address: SocketAddr, path: &str) -> io::Result<Self> {
        // The key need not be a secret: it only tells a server that speaks the protocol from one that does not.
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        );
        let connection = HttpConnection::open(address).await?;
        let (stream, read) = connection.upgrade(request.as_bytes()).await?;
        Ok(Self { stream, read })
    }

    /// Sends a text.
    pub async fn send(&mut self, text: &str) -> io::Result<()> {
        self.send_frame(TEXT, text.as_bytes()).await
    }

    /// The next text, whole.
    pub async fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let (first, payload) = self.frame().await?;
            match first & 0x0f {
                TEXT | CONTINUATION => {
                    message.extend(payload);
                    if message.len() > MAX_MESSAGE_BYTES {
                        return Err(io::Error::other("a message is too long"));
                    }
                    if first & LAST != 0 {
                        return Ok(message);
                    }
                }
                PING => self.send_frame(PONG, &payload).await?,
                CLOSE => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        }
    }

    async fn send_frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        // A mask of zeros leaves the payload as it is.
        const MASK: [u8; 4] = [0; 4];
        let mut frame = vec![LAST | kind];
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length @ 0..=125), _) => frame.push(MASKED | length),
            (_, Ok(length)) => {
                frame.push(MASKED | LENGTH_16);
                frame.extend(length.to_be_bytes());
            }
            _ => return Err(io::Error::other("a message is too long")),
        }
        frame.extend(MASK);
        frame.extend(payload);
        self.stream.write_all(&frame).await
    }

    /// The next frame: its first byte and its payload.
    async fn frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let head = self.take(2).await?;
        let length = match head[1] & 0x7f {
            LENGTH_16 => self.take(2).await?,
            LENGTH_64 => self.take(8).await?,
            short => vec![short],
        };
        let length = length
            .iter()
            .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        if length > MAX_MESSAGE_BYTES {
            return Err(io::Error::other("a message is too long"));
        }
        Ok((head[0], self.take(length).await?))
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.read.drain(..length).collect())
    }
}
