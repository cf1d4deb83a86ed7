//! Floods of connections that come to nothing, *while* a validator starts and must find its peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::net::{Keys, Node, eventually, id, socket_address, within};
use crate::speaker::Hostile;

/// How a peer that dials begins: the negotiation's own name.
const HEADER: &[u8] = b"\x13/multistream/1.0.0\n";

/// Clients that connect, say something, and wait for the end, each anew at every tick.
struct Flood {
    tasks: JoinSet<()>,
    made: Arc<AtomicUsize>,
}

impl Flood {
    /// `clients` of them, which together make a connection about every `pause / clients`.
    fn start(to: SocketAddr, clients: usize, pause: Duration, says: &'static [u8]) -> Self {
        let (mut tasks, made) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..clients {
            let made = made.clone();
            tasks.spawn(async move {
                let mut held = JoinSet::new();
                let mut tick = tokio::time::interval(pause);
                loop {
                    tick.tick().await;
                    // Nobody can be refused for ever: a socket of ours must be free.
                    while held.len() >= 16 {
                        held.join_next().await;
                    }
                    let Ok(mut stream) = TcpStream::connect(to).await else {
                        continue;
                    };
                    made.fetch_add(1, Ordering::SeqCst);
                    held.spawn(async move {
                        let _ = stream.write_all(says).await;
                        let mut rest = Vec::new();
                        let _ = stream.read_to_end(&mut rest).await;
                    });
                }
            });
        }
        Self { tasks, made }
    }

    /// Until so many more connections were made.
    async fn goes_on(&self, more: usize) {
        let before = self.made.load(Ordering::SeqCst);
        eventually("more of the flood", || {
            self.made.load(Ordering::SeqCst) >= before + more
        })
        .await;
        assert!(!self.tasks.is_empty());
    }
}

/// Floods a validator, then starts the others, restarts one of them, and ends the flood when all have met.
async fn meets_through_a_flood(clients: usize, pause: Duration, says: &'static [u8]) {
    let keys = Keys::new(3);
    let mut config = keys.config(0, &[]);
    // Whoever gets in and says nothing stays for longer than the test.
    config.limits.handshake_timeout = Duration::from_mins(1);
    let a = Node::start(config).await;
    let to = socket_address(&a.addresses()[0]).parse().unwrap();
    let flood = Flood::start(to, clients, pause, says);
    flood.goes_on(300).await;
    let c = keys.start(2, &a.addresses()).await;
    for _ in 0..2 {
        let b = keys.start(1, &a.addresses()).await;
        b.connected_to(&[0, 2]).await;
        flood.goes_on(100).await;
        a.connected_to(&[1, 2]).await;
        b.handle.shutdown().await;
        a.connected_to(&[2]).await;
        c.connected_to(&[0]).await;
    }
}

#[tokio::test]
async fn silent_connections_keep_no_validator_out() {
    meets_through_a_flood(20, Duration::from_millis(20), b"").await;
}

#[tokio::test]
async fn half_open_handshakes_keep_no_validator_out() {
    meets_through_a_flood(20, Duration::from_millis(40), HEADER).await;
}

#[tokio::test]
async fn garbage_keeps_no_validator_out() {
    meets_through_a_flood(20, Duration::from_millis(40), &[0xff; 4_096]).await;
}

#[tokio::test]
async fn who_is_silent_is_closed_in_time() {
    let keys = Keys::new(2);
    let mut config = keys.config(0, &[]);
    config.limits.incoming_timeout = Duration::from_millis(300);
    let a = Node::start(config).await;
    for says in [b"".as_slice(), HEADER, &HEADER[..5]] {
        let before = a.counters().handshakes_failed;
        let mut stream = TcpStream::connect(socket_address(&a.addresses()[0]))
            .await
            .unwrap();
        stream.write_all(says).await.unwrap();
        let mut rest = Vec::new();
        // Closed by the node, cleanly or not.
        let _ = within("the end", stream.read_to_end(&mut rest)).await;
        eventually("its count", || a.counters().handshakes_failed > before).await;
    }
}

#[tokio::test]
async fn a_validator_that_connects_without_end_is_refused() {
    let keys = Keys::new(3);
    let a = keys.start(0, &[]).await;
    let c = keys.start(2, &a.addresses()).await;
    c.connected_to(&[0]).await;
    eventually("the record", || a.counters().records_accepted > 0).await;
    let to = &a.addresses()[0];
    // The one that is refused never gets to be a peer.
    let connecting = async {
        loop {
            let hostile = Hostile::connect(&keys.nodes[1], to.clone(), "records").await;
            let is_here = || a.handle.peers().contains(&id(1));
            drop(hostile.until("the connection", is_here).await);
            eventually("its end", || !is_here()).await;
        }
    };
    tokio::select! {
        () = eventually("a refusal", || a.counters().connections_denied > 0) => {}
        () = connecting => {}
    }
    assert!(a.handle.peers().contains(&id(2)), "others stay");
}

#[tokio::test]
async fn want_of_memory_turns_strangers_away_and_no_validator() {
    let keys = Keys::new(2);
    let mut config = keys.config(0, &[]);
    config.limits.memory_bytes = 1;
    let a = Node::start(config).await;
    let _stranger = Node::start(keys.stranger(77, &a.addresses())).await;
    eventually("a refusal", || a.counters().connections_denied > 0).await;
    let b = keys.start(1, &a.addresses()).await;
    b.connected_to(&[0]).await;
    a.connected_to(&[1]).await;
}
