//! Clients that take and give nothing, *while* an honest one asks: its answers are what is counted.
//!
//! Attackers come from 127.0.0.2 where the rule is one of shares per address, and from the honest client's own address
//! where it must hold even there. Nothing is timed: an attack is over when the honest client has asked its questions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc::{Client, RequestSigner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use types::key::SecretKey;

use crate::fake::{Running, SLOW, config, start_with, within};
use crate::samples;

/// Questions of the honest client in each test.
const QUESTIONS: usize = 100;
/// A body that is announced and never becomes whole.
const HALF: &str =
    "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nonly this";
/// An address of this machine that is not the honest client's.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];
/// The honest client's own address.
const HERE: [u8; 4] = [127, 0, 0, 1];

async fn connect_from(from: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(to).await
}

/// Attackers that send some bytes, wait for their connection's end, and begin again.
struct Attack {
    tasks: JoinSet<()>,
    held: Arc<AtomicUsize>,
}

impl Attack {
    /// So many attackers, all of which have sent their bytes at least once when this returns, or were turned away.
    async fn start(attackers: usize, from: [u8; 4], to: SocketAddr, bytes: String) -> Self {
        let (mut tasks, held) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..attackers {
            let (bytes, held) = (bytes.clone(), held.clone());
            tasks.spawn(async move {
                loop {
                    let Ok(mut stream) = connect_from(from, to).await else {
                        continue;
                    };
                    let _ = stream.write_all(bytes.as_bytes()).await;
                    held.fetch_add(1, Ordering::SeqCst);
                    // One byte of the answer may come; more is not read.
                    let mut end = [0; 1];
                    while stream.read(&mut end).await.is_ok_and(|read| read > 0) {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        within("the attack", async {
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            while held.load(Ordering::SeqCst) < attackers {
                tick.tick().await;
            }
        })
        .await;
        Self { tasks, held }
    }
}

/// How many of the questions were answered. Each comes on a connection of its own.
async fn answered(running: &Running, attack: Attack, questions: usize) -> usize {
    let mut served = 0;
    for _ in 0..questions {
        let client = Client::new(&format!("http://{}", running.address)).unwrap();
        let status = within("an answer or a refusal", client.status()).await;
        served += usize::from(status.is_ok());
    }
    assert!(!attack.tasks.is_empty(), "the attack goes on to the end");
    assert!(attack.held.load(Ordering::SeqCst) > 0);
    served
}

#[tokio::test]
async fn bodies_that_are_not_whole_take_no_place_of_a_request() {
    let mut config = config();
    config.max_requests = 8;
    let running = start_with(config).await;
    let attack = Attack::start(64, HERE, running.address, HALF.to_owned()).await;
    assert_eq!(answered(&running, attack, QUESTIONS).await, QUESTIONS);
}

#[tokio::test]
async fn connections_that_say_nothing_make_room_for_those_that_do() {
    for bytes in ["", HALF, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut config = config();
        (config.max_connections, config.min_turn) = (32, Duration::from_millis(40));
        let running = start_with(config).await;
        let attack = Attack::start(64, HERE, running.address, bytes.to_owned()).await;
        // Each waits for its turn behind the attackers.
        assert_eq!(answered(&running, attack, 20).await, 20, "{bytes:?}");
    }
}

#[tokio::test]
async fn polls_of_one_address_leave_places_for_others() {
    let mut config = config();
    config.max_waiting = 16;
    let running = start_with(config).await;
    let poll = format!(
        "GET /v1/events?cursor={}&wait_ms=20000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        crate::fake::FIRST
    );
    let _attack = Attack::start(64, ELSEWHERE, running.address, poll).await;
    for _ in 0..QUESTIONS {
        let page = running.client.events(None, Duration::ZERO, 1).await;
        assert!(page.is_ok(), "{page:?}");
    }
}

#[tokio::test]
async fn answers_that_one_address_does_not_take_leave_room_for_others() {
    let mut config = config();
    config.max_unsent_bytes = 4 * crate::fake::LARGE;
    let running = start_with(config).await;
    running.fake.large.store(true, Ordering::SeqCst);
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = connect_from(ELSEWHERE, running.address).await.unwrap();
        stream
            .write_all(b"GET /v1/genesis HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut start = [0; 12];
        within("an answer's start", stream.read_exact(&mut start))
            .await
            .unwrap();
        held.push(stream);
    }
    let whole = crate::fake::request(running.address, "GET", "/v1/genesis").await;
    assert_eq!((whole.status, whole.body.len()), (200, crate::fake::LARGE));
}

/// A client that signs with a key, on connections of its own.
fn signing(running: &Running, key: &SecretKey) -> Client {
    let client = Client::new(&format!("http://{}", running.address)).unwrap();
    client.signed_by(RequestSigner::new(key.clone(), samples::CHAIN))
}

/// A server on which strangers at the honest client's own address hold every place, poll and unread answer they get.
async fn occupied() -> (Running, Vec<Attack>) {
    let mut config = config();
    (config.max_requests, config.max_waiting) = (8, 8);
    (config.max_connections, config.request_timeout) = (64, Duration::from_mins(1));
    config.address_percent = 100;
    let running = start_with(config).await;
    let slow = format!("GET /v1/accounts/{SLOW} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let poll = format!(
        "GET /v1/events?cursor={}&wait_ms=20000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        crate::fake::FIRST
    );
    let mut attacks = Vec::new();
    for bytes in [slow, poll, HALF.to_owned()] {
        attacks.push(Attack::start(16, HERE, running.address, bytes).await);
    }
    (running, attacks)
}

#[tokio::test]
async fn a_party_is_served_while_strangers_at_its_own_address_hold_everything() {
    let (running, _attacks) = occupied().await;
    let key = SecretKey::from_bytes(&[91; 32]);
    let stranger = signing(&running, &key);
    within("a refusal", async {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while stranger.status().await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    running
        .fake
        .parties
        .lock()
        .unwrap()
        .insert(key.public().address());
    for _ in 0..QUESTIONS {
        let party = signing(&running, &key);
        let status = within("an answer", party.status()).await;
        assert!(status.is_ok(), "{status:?}");
        let page = within("events", party.events(None, Duration::ZERO, 1)).await;
        assert!(page.is_ok(), "{page:?}");
        let submitted = within("a submission", party.submit(&samples::transaction())).await;
        assert!(submitted.is_ok(), "{submitted:?}");
    }
}

#[tokio::test]
async fn one_party_leaves_room_for_another() {
    let mut config = config();
    (config.max_requests, config.request_timeout) = (8, Duration::from_mins(1));
    let running = start_with(config).await;
    let keys = [91, 92].map(|seed| SecretKey::from_bytes(&[seed; 32]));
    let addresses = keys.each_ref().map(|key| key.public().address());
    running.fake.parties.lock().unwrap().extend(addresses);
    let mut greedy = JoinSet::new();
    for _ in 0..64 {
        let client = signing(&running, &keys[0]);
        greedy.spawn(async move { client.account(SLOW).await });
    }
    // It has its own share and, as anybody at that address, a share of the strangers' places.
    within("a refusal", async {
        while greedy.join_next().await.unwrap().unwrap().is_ok() {}
    })
    .await;
    for _ in 0..QUESTIONS {
        let status = within("an answer", signing(&running, &keys[1]).status()).await;
        assert!(status.is_ok(), "{status:?}");
    }
}

#[tokio::test]
async fn a_signature_that_is_wrong_or_old_makes_a_stranger_and_a_body_that_differs_is_refused() {
    let (running, _attacks) = occupied().await;
    let key = SecretKey::from_bytes(&[91; 32]);
    running
        .fake
        .parties
        .lock()
        .unwrap()
        .insert(key.public().address());
    let signer = RequestSigner::new(key, samples::CHAIN);
    let now = rpc::signature::unix_ms();
    let ask = async |signature: String| {
        let text = format!(
            "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             x-gridproof-signature: {signature}\r\n\r\n"
        );
        crate::fake::raw(running.address, text.as_bytes())
            .await
            .status
    };
    let at = |time| signer.sign("GET", "/v1/status", b"", time);
    assert_eq!(ask(at(now).to_string()).await, 200);
    for wrong in [
        at(now - 2 * rpc::signature::SIGNATURE_WINDOW_MS),
        at(now + 2 * rpc::signature::SIGNATURE_WINDOW_MS),
        signer.sign("GET", "/v1/genesis", b"", now),
        signer.sign("POST", "/v1/status", b"", now),
    ] {
        assert_eq!(ask(wrong.to_string()).await, 503);
    }
    assert_eq!(ask("nonsense".to_owned()).await, 503);
    let signature = signer.sign("POST", "/v1/transactions", b"signed", now);
    let text = format!(
        "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 6\r\n\
         x-gridproof-signature: {signature}\r\n\r\nforged"
    );
    let answer = crate::fake::raw(running.address, text.as_bytes()).await;
    let refused = (answer.status, answer.code());
    assert_eq!(refused, (400, "signed_other_body".to_owned()));
}

#[tokio::test]
async fn behind_a_proxy_the_forwarded_address_has_the_share() {
    let mut config = config();
    (config.max_requests, config.request_timeout) = (8, Duration::from_mins(1));
    config.proxies = vec![HERE.into()];
    let running = start_with(config).await;
    let slow = format!(
        "GET /v1/accounts/{SLOW} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
    );
    let _attack = Attack::start(16, HERE, running.address, slow).await;
    let ask = async |from: &str| {
        let text = format!(
            "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: {from}\r\n\r\n"
        );
        crate::fake::raw(running.address, text.as_bytes())
            .await
            .status
    };
    within("a refusal of who has its share", async {
        while ask("10.0.0.1").await == 200 {}
    })
    .await;
    assert_eq!(ask("10.0.0.1, 10.0.0.2").await, 200);
    assert_eq!(ask("10.0.0.2, 10.0.0.1").await, 503);
}
