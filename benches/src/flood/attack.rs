//! The attackers: on a thread of their own, from 127.0.0.1 like everybody else of a devnet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Time between two bytes of a body, and before a new one takes the place of one that was cut off.
const DRIP: Duration = Duration::from_secs(1);
/// Time between two bursts of silent connections.
const BURST: Duration = Duration::from_millis(10);
/// Silent sockets that are held to one port; more are not opened before some are closed.
const MAX_SILENT: usize = 1_000;
/// A request whose body never becomes whole.
const HEAD: &str =
    "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n";

/// Connections that were made so far.
#[derive(Debug, Default)]
pub struct ConnectionsMade {
    /// With unfinished bodies.
    pub bodies: AtomicUsize,
    /// That say nothing.
    pub silent: AtomicUsize,
}

/// An attack that goes on until it is dropped.
pub struct FloodAttack {
    /// What came about so far.
    pub made: Arc<ConnectionsMade>,
    runtime: Option<Runtime>,
}

impl FloodAttack {
    /// Holds bodies, in all, and opens silent connections, a second and port.
    pub fn start(ports: &[(SocketAddr, SocketAddr)], bodies: u32, silent: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let made = Arc::new(ConnectionsMade::default());
        for (_, (http, _)) in (0..bodies).zip(ports.iter().cycle()) {
            runtime.spawn(drip(*http, made.clone()));
        }
        for (_, p2p) in ports.iter().filter(|_| silent > 0) {
            runtime.spawn(knock(*p2p, silent, made.clone()));
        }
        Ok(Self {
            made,
            runtime: Some(runtime),
        })
    }
}

impl Drop for FloodAttack {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One body after the other, a byte at a time.
async fn drip(to: SocketAddr, made: Arc<ConnectionsMade>) {
    let mut tick = tokio::time::interval(DRIP);
    loop {
        tick.tick().await;
        let Ok(mut stream) = TcpStream::connect(to).await else {
            continue;
        };
        made.bodies.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(HEAD.as_bytes()).await;
        let mut answer = [0; 1];
        loop {
            tokio::select! {
                // An answer, or the end.
                _ = stream.read(&mut answer) => break,
                _ = tick.tick() => if stream.write_all(b"x").await.is_err() { break },
            }
        }
    }
}

/// Silent connections at a rate, each held until it is closed.
async fn knock(to: SocketAddr, a_second: u32, made: Arc<ConnectionsMade>) {
    let room = Arc::new(Semaphore::new(MAX_SILENT));
    let mut tick = tokio::time::interval(BURST);
    loop {
        tick.tick().await;
        for _ in 0..a_second.div_ceil(100) {
            let Ok(place) = room.clone().try_acquire_owned() else {
                break;
            };
            let made = made.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = TcpStream::connect(to).await {
                    made.silent.fetch_add(1, Ordering::Relaxed);
                    let mut end = [0; 1];
                    let _ = stream.read(&mut end).await;
                }
                drop(place);
            });
        }
    }
}
