//! HTTP/1.1 over connections that stay open, for a load generator that must cost little beside what it measures: a request
//! is bytes made beforehand, one write sends it, and an answer is a status and a body. It is for servers of this
//! machine that a bench itself started; it knows no redirects, proxies or trailers.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer that is read, in bytes: a page of events or a block.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The bytes of a GET request.
pub fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes()
}

/// The bytes of a POST request.
pub fn post(address: SocketAddr, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What a server answered.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, without its transfer encoding.
    pub body: Vec<u8>,
}

/// A connection that carries one exchange after the other.
#[derive(Debug)]
pub struct HttpConnection {
    stream: TcpStream,
    /// What was read and belongs to no answer yet.
    read: Vec<u8>,
}

impl HttpConnection {
    /// Opens a connection to a server; no request is sent yet.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::new(),
        })
    }

    /// Sends a request and reads its answer. After an error the connection is of no more use.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<HttpAnswer> {
        self.stream.write_all(request).await?;
        let head = self.head().await?;
        let mut body = Vec::new();
        if head.chunked {
            self.chunks(&mut body).await?;
        } else {
            self.take(head.length, &mut body).await?;
        }
        Ok(HttpAnswer {
            status: head.status,
            body,
        })
    }

    /// Sends the request of an upgrade, and gives the stream and what already came of the new protocol.
    pub async fn upgrade(mut self, request: &[u8]) -> io::Result<(TcpStream, Vec<u8>)> {
        self.stream.write_all(request).await?;
        let head = self.head().await?;
        if head.status != 101 {
            return Err(io::Error::other(format!(
                "upgrade refused with status {}",
                head.status
            )));
        }
        Ok((self.stream, self.read))
    }

    async fn head(&mut self) -> io::Result<AnswerHead> {
        let end = self.find(b"\r\n\r\n").await?;
        let text: Vec<u8> = self.read.drain(..end + 4).collect();
        AnswerHead::parse(&text).ok_or_else(|| io::Error::other("no HTTP/1.1 head"))
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let end = self.find(b"\r\n").await?;
            let line: Vec<u8> = self.read.drain(..end + 2).collect();
            let digits = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(digits.trim(), 16)
                .map_err(|_| io::Error::other("no length of a chunk"))?;
            self.take(length, body).await?;
            self.take(2, &mut Vec::new()).await?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    /// The place of a mark in what was read, which grows until it is there.
    async fn find(&mut self, mark: &[u8]) -> io::Result<usize> {
        loop {
            if let Some(found) = self.read.windows(mark.len()).position(|at| at == mark) {
                return Ok(found);
            }
            self.more().await?;
        }
    }

    /// Moves so many bytes to the end of `to`.
    async fn take(&mut self, length: usize, to: &mut Vec<u8>) -> io::Result<()> {
        if length + to.len() > MAX_ANSWER_BYTES {
            return Err(io::Error::other("an answer is too long"));
        }
        while self.read.len() < length {
            self.more().await?;
        }
        to.extend(self.read.drain(..length));
        Ok(())
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.read.len() > MAX_ANSWER_BYTES {
            return Err(io::Error::other("an answer is too long"));
        }
        self.read.reserve(16 << 10);
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

struct AnswerHead {
    status: u16,
    length: usize,
    chunked: bool,
}

impl AnswerHead {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut head = Self {
            status,
            length: 0,
            chunked: false,
        };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.chunked = value.trim().eq_ignore_ascii_case("chunked");
            }
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers each request of one connection with the next of `answers`.
    fn server(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let mut request = [0; 1_024];
                assert!(stream.read(&mut request).unwrap() > 0);
                // In two writes: an answer may come in any pieces.
                let (first, second) = answer.split_at(answer.len() / 2);
                stream.write_all(first.as_bytes()).unwrap();
                stream.write_all(second.as_bytes()).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn one_connection_carries_answers_of_both_kinds() {
        let address = server(&[
            "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        ]);
        let mut connection = HttpConnection::open(address).await.unwrap();
        let request = get(address, "/");
        for (status, body) in [(202, "hello"), (200, "abcde"), (503, "")] {
            let answer = connection.exchange(&request).await.unwrap();
            assert_eq!(
                (answer.status, answer.body.as_slice()),
                (status, body.as_bytes())
            );
        }
        connection.exchange(&request).await.unwrap_err();
    }
}
