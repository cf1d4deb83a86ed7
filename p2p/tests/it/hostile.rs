//! Peers that speak the protocol and break its rules, written with libp2p alone.

use std::time::Duration;

use futures::prelude::*;
use gridproof_p2p as p2p;
use libp2p::request_response::{Behaviour, Codec, Config, Event, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise, ping, tcp, yamux};
use p2p::record::{PeerRecord, SignedRecord};
use p2p::{Channel, PeerEvent};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::interval;
use types::hash::{ChainId, Hash32};
use types::key::SecretKey;

use crate::net::{CHAIN, Keys, Node, eventually, id, socket_address, within};

/// Writes raw bytes on a stream and waits for its end.
#[derive(Clone, Default)]
struct Raw {
    /// Goes on writing a zero byte now and then, until the other side ends the stream.
    dripping: bool,
}

impl Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = ();

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
    ) -> std::io::Result<()> {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map(|_| ())
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        bytes: Vec<u8>,
    ) -> std::io::Result<()> {
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        if !self.dripping {
            return Ok(());
        }
        let mut tick = interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            stream.write_all(&[0]).await?;
            stream.flush().await?;
        }
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// Whoever does not answer pings is disconnected at once.
#[derive(NetworkBehaviour)]
struct Speaker {
    ping: ping::Behaviour,
    raw: Behaviour<Raw>,
}

struct Hostile {
    swarm: Swarm<Speaker>,
    target: PeerId,
}

impl Hostile {
    /// Connects with a node key; all it says goes to one protocol.
    async fn connect(key: &SecretKey, address: Multiaddr, protocol: &str) -> Self {
        Self::connect_with(Raw::default(), key, address, protocol).await
    }

    async fn connect_with(raw: Raw, key: &SecretKey, address: Multiaddr, protocol: &str) -> Self {
        let secret =
            libp2p::identity::ed25519::SecretKey::try_from_bytes(&mut key.to_bytes()[..]).unwrap();
        let keypair =
            libp2p::identity::Keypair::from(libp2p::identity::ed25519::Keypair::from(secret));
        let name =
            StreamProtocol::try_from_owned(format!("/gridproof/{CHAIN}/{protocol}/1")).unwrap();
        let patient = Config::default().with_request_timeout(Duration::from_mins(1));
        let raw = Behaviour::with_codec(raw, [(name, ProtocolSupport::Outbound)], patient);
        let behaviour = Speaker {
            ping: ping::Behaviour::default(),
            raw,
        };
        let mut swarm = SwarmBuilder::with_existing_identity(keypair)
            .with_tokio()
            .with_tcp(
                tcp::Config::default(),
                noise::Config::new,
                yamux::Config::default,
            )
            .unwrap()
            .with_behaviour(|_| behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_mins(1)))
            .build();
        swarm.dial(address).unwrap();
        let target = within("the connection", async {
            loop {
                if let SwarmEvent::ConnectionEstablished { peer_id, .. } =
                    swarm.select_next_some().await
                {
                    return peer_id;
                }
            }
        })
        .await;
        Self { swarm, target }
    }

    fn say(&mut self, bytes: Vec<u8>) {
        self.swarm
            .behaviour_mut()
            .raw
            .send_request(&self.target, bytes);
    }

    /// Runs until the swarm says something that is waited for.
    async fn sees(&mut self, what: &str, mut is_it: impl FnMut(&SwarmEvent<SpeakerEvent>) -> bool) {
        within(what, async {
            while !is_it(&self.swarm.select_next_some().await) {}
        })
        .await;
    }

    /// Runs until a condition holds.
    async fn until(mut self, what: &str, holds: impl FnMut() -> bool) -> Self {
        tokio::select! {
            () = eventually(what, holds) => {}
            () = async { loop { self.swarm.select_next_some().await; } } => {}
        }
        self
    }
}

/// Carries one connection to an address until it is frozen; then it holds both ends open and carries nothing.
async fn relay(target: &Multiaddr) -> (Multiaddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (freeze, mut frozen) = watch::channel(false);
    let target = socket_address(target);
    tokio::spawn(async move {
        let (mut here, _) = listener.accept().await.unwrap();
        let mut there = TcpStream::connect(target).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
            _ = frozen.wait_for(|frozen| *frozen) => {}
        }
        // Ends when the test drops its side.
        let _ = frozen.wait_for(|_| false).await;
    });
    (
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap(),
        freeze,
    )
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}

fn record(keys: &Keys, validator: usize, node: &SecretKey, sequence: u64) -> PeerRecord {
    let address = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
    PeerRecord::new(
        keys.validators[validator].public(),
        node.public(),
        &[address],
        sequence,
    )
}

/// Says a record as a peer with an unknown node key, and checks that the connection ends for it.
async fn is_refused(keys: &Keys, a: &Node, node: &SecretKey, signed: &SignedRecord) {
    let before = a.counters();
    let mut hostile = Hostile::connect(node, a.addresses()[0].clone(), "records").await;
    hostile.say(framed(&signed.to_bytes()));
    hostile
        .until("a refused record", || {
            a.counters().records_refused > before.records_refused
        })
        .await;
    assert!(
        !a.handle.peers().contains(&id(1)),
        "committee of {}",
        keys.nodes.len()
    );
}

#[tokio::test]
async fn wrong_records_bind_nobody() {
    let keys = Keys::new(3);
    let a = keys.start(0, &[]).await;
    let node = SecretKey::from_bytes(&[150; 32]);
    let good = |sequence| record(&keys, 1, &node, sequence);
    let (validator, other) = (&keys.validators[1], &keys.validators[2]);
    is_refused(&keys, &a, &node, &good(5).sign(CHAIN, other, &node)).await;
    is_refused(
        &keys,
        &a,
        &node,
        &good(6).sign(ChainId(Hash32([9; 32])), validator, &node),
    )
    .await;
    is_refused(&keys, &a, &node, &good(7).sign(CHAIN, validator, other)).await;
    // A record that claims the node of another validator.
    let stolen = record(&keys, 1, &keys.nodes[2], 8).sign(CHAIN, validator, &keys.nodes[2]);
    let mut thief = Hostile::connect(&node, a.addresses()[0].clone(), "records").await;
    thief.say(framed(&stolen.to_bytes()));
    thief
        .until("the end of a stranger", || {
            a.counters().strangers_closed > 0
        })
        .await;
    assert_eq!((a.counters().records_taken, a.handle.peers()), (1, vec![]));
    // The same with the right keys binds.
    let mut honest = Hostile::connect(&node, a.addresses()[0].clone(), "records").await;
    honest.say(framed(&good(9).sign(CHAIN, validator, &node).to_bytes()));
    honest
        .until("the binding", || a.handle.peers() == [id(1)])
        .await;
}

#[tokio::test]
async fn a_replayed_record_does_not_bind_its_old_node() {
    let keys = Keys::new(2);
    let mut config = keys.config(0, &[]);
    // Long, so that only its first record can end a stranger's connection.
    config.limits.handshake_timeout = Duration::from_mins(2);
    let a = Node::start(config).await;
    let (old, new) = (
        SecretKey::from_bytes(&[150; 32]),
        SecretKey::from_bytes(&[151; 32]),
    );
    let validator = &keys.validators[1];
    let said = record(&keys, 1, &old, 5).sign(CHAIN, validator, &old);
    let mut first = Hostile::connect(&old, a.addresses()[0].clone(), "records").await;
    first.say(framed(&said.to_bytes()));
    let mut first = first
        .until("the first binding", || a.handle.peers() == [id(1)])
        .await;
    let mut second = Hostile::connect(&new, a.addresses()[0].clone(), "records").await;
    second.say(framed(
        &record(&keys, 1, &new, 6)
            .sign(CHAIN, validator, &new)
            .to_bytes(),
    ));
    let second = second
        .until("the second binding", || a.counters().records_accepted == 2)
        .await;
    first
        .sees("the end of the old node's connection", |event| {
            matches!(event, SwarmEvent::ConnectionClosed { .. })
        })
        .await;
    let before = a.counters();
    let mut replaying = Hostile::connect(&old, a.addresses()[0].clone(), "records").await;
    replaying.say(framed(&said.to_bytes()));
    replaying
        .until("the replay's end", || {
            a.counters().strangers_closed > before.strangers_closed
        })
        .await;
    assert!(a.counters().records_stale > before.records_stale);
    // Still the new one's: it may be asked for a stream, the old one is gone.
    second
        .until("the new node's connection", || a.handle.peers() == [id(1)])
        .await;
}

#[tokio::test]
async fn garbage_for_a_record_ends_the_connection() {
    let keys = Keys::new(2);
    let a = keys.start(0, &[]).await;
    let stranger = SecretKey::from_bytes(&[160; 32]);
    let mut hostile = Hostile::connect(&stranger, a.addresses()[0].clone(), "records").await;
    hostile.say(framed(&[0xff; 300]));
    hostile
        .until("a refused record", || a.counters().records_refused == 1)
        .await;
    let mut hostile = Hostile::connect(&stranger, a.addresses()[0].clone(), "records").await;
    hostile.say(u32::MAX.to_le_bytes().to_vec());
    hostile
        .until("an oversize record", || a.counters().frames_oversize == 1)
        .await;
}

#[tokio::test]
async fn a_wrong_record_of_a_validator_ends_its_connection() {
    let keys = Keys::new(2);
    let a = keys.start(0, &[]).await;
    let mut hostile = Hostile::connect(&keys.nodes[1], a.addresses()[0].clone(), "records").await;
    hostile.say(framed(&[0xff; 300]));
    hostile
        .sees("the end", |event| {
            matches!(event, SwarmEvent::ConnectionClosed { .. })
        })
        .await;
    assert_eq!(a.counters().records_refused, 1);
}

#[tokio::test]
async fn two_validators_that_share_a_node_do_not_part_those_who_pass_their_records_on() {
    let keys = Keys::new(5);
    let shared = SecretKey::from_bytes(&[150; 32]);
    let (a, b) = (keys.start(0, &[]).await, keys.start(1, &[]).await);
    let mut told = Vec::new();
    for (honest, colluder) in [(&a, 3), (&b, 4)] {
        let said =
            record(&keys, colluder, &shared, 5).sign(CHAIN, &keys.validators[colluder], &shared);
        let mut hostile = Hostile::connect(&shared, honest.addresses()[0].clone(), "records").await;
        hostile.say(framed(&said.to_bytes()));
        told.push(
            hostile
                .until("the binding", || honest.handle.peers() == [id(colluder)])
                .await,
        );
    }
    // It hears of one binding from `a` and of the other from `b`, and brings the two together.
    let mut c = keys
        .start(2, &[a.addresses(), b.addresses()].concat())
        .await;
    let joined = |node: &Node, others: [usize; 2]| {
        others
            .iter()
            .all(|other| node.handle.peers().contains(&id(*other)))
    };
    eventually("a record for a taken node", || {
        c.counters().records_taken > 0
    })
    .await;
    eventually("all connections", || {
        joined(&a, [1, 2]) && joined(&b, [0, 2]) && joined(&c, [0, 1])
    })
    .await;
    a.handle
        .send(id(2), Channel::Consensus, b"a".to_vec())
        .unwrap();
    b.handle
        .send(id(2), Channel::Consensus, b"b".to_vec())
        .unwrap();
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < 2 {
        let from = c.next("a frame, and no disconnect", |event| match event {
            PeerEvent::Frame { from, .. } => Some(from),
            PeerEvent::Disconnected { validator } => panic!("{validator} was disconnected"),
            _ => None,
        });
        heard.insert(from.await);
    }
}

#[tokio::test]
async fn a_node_that_says_another_validator_s_record_for_itself_is_disconnected() {
    let keys = Keys::new(3);
    let a = keys.start(0, &[]).await;
    let node = &keys.nodes[1];
    let mut hostile = Hostile::connect(node, a.addresses()[0].clone(), "records").await;
    hostile.say(framed(
        &record(&keys, 2, node, 5)
            .sign(CHAIN, &keys.validators[2], node)
            .to_bytes(),
    ));
    hostile
        .sees("the end", |event| {
            matches!(event, SwarmEvent::ConnectionClosed { .. })
        })
        .await;
    assert_eq!(a.counters().records_taken, 1);
}

#[tokio::test]
async fn a_connection_that_answers_no_pings_is_closed() {
    let keys = Keys::new(2);
    let mut config = keys.config(0, &[]);
    config.limits.ping_interval = Duration::from_millis(100);
    let a = Node::start(config).await;
    let (between, freeze) = relay(&a.addresses()[0]).await;
    let hostile = Hostile::connect(&keys.nodes[1], between, "consensus").await;
    let hostile = hostile
        .until("the connection", || a.handle.peers() == [id(1)])
        .await;
    freeze.send_replace(true);
    // From here on the socket stays open and says nothing.
    hostile
        .until("the end of the connection", || a.handle.peers().is_empty())
        .await;
}

#[tokio::test]
async fn of_two_connections_of_one_peer_the_newer_is_kept() {
    let keys = Keys::new(2);
    let peer_id = |key: &SecretKey| {
        let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(&key.public().0).unwrap();
        libp2p::identity::PublicKey::from(key).to_peer_id()
    };
    // The one with the lower id decides.
    let decides = usize::from(peer_id(&keys.nodes[0]) > peer_id(&keys.nodes[1]));
    let other = 1 - decides;
    let a = keys.start(decides, &[]).await;
    let older = Hostile::connect(&keys.nodes[other], a.addresses()[0].clone(), "consensus").await;
    let mut older = older
        .until("the connection", || a.handle.peers() == [id(other)])
        .await;
    let newer = Hostile::connect(&keys.nodes[other], a.addresses()[0].clone(), "consensus").await;
    older
        .sees("the end of the older", |event| {
            matches!(event, SwarmEvent::ConnectionClosed { .. })
        })
        .await;
    newer
        .until("the newer's life", || a.handle.peers() == [id(other)])
        .await;
}

#[tokio::test]
async fn a_second_stream_of_a_channel_ends_the_first() {
    let keys = Keys::new(2);
    let mut a = keys.start(0, &[]).await;
    let dripping = Raw { dripping: true };
    let address = a.addresses()[0].clone();
    let mut hostile = Hostile::connect_with(dripping, &keys.nodes[1], address, "consensus").await;
    for frame in [b"one", b"two"] {
        // The frame, and the beginning of a long one that never becomes whole.
        hostile.say([framed(frame), 1_000_000u32.to_le_bytes().to_vec()].concat());
        let reading = async {
            assert_eq!(
                a.next_frame().await,
                (id(1), Channel::Consensus, frame.to_vec())
            )
        };
        tokio::select! {
            () = reading => {}
            () = async { loop { hostile.swarm.select_next_some().await; } } => {}
        }
    }
    let is_end = |event: &SwarmEvent<SpeakerEvent>| {
        matches!(
            event,
            SwarmEvent::Behaviour(SpeakerEvent::Raw(Event::OutboundFailure { .. }))
        )
    };
    hostile.sees("the end of the first stream", is_end).await;
}

#[tokio::test]
async fn an_oversize_frame_of_a_validator_is_refused_by_its_length_alone() {
    let keys = Keys::new(2);
    let mut a = keys.start(0, &[]).await;
    for (n, channel) in [
        (1, "consensus"),
        (2, "transactions"),
        (3, "blobs"),
        (4, "request"),
    ] {
        let mut hostile = Hostile::connect(&keys.nodes[1], a.addresses()[0].clone(), channel).await;
        hostile.say([&u32::MAX.to_le_bytes()[..], &[0; 64]].concat());
        hostile
            .until("an oversize frame", || a.counters().frames_oversize == n)
            .await;
    }
    // The channel still works for those who keep to it.
    let mut hostile = Hostile::connect(&keys.nodes[1], a.addresses()[0].clone(), "consensus").await;
    hostile.say([framed(b"one"), framed(b""), framed(b"two")].concat());
    let reading = async {
        for expected in [&b"one"[..], b"", b"two"] {
            assert_eq!(
                a.next_frame().await,
                (id(1), Channel::Consensus, expected.to_vec())
            );
        }
    };
    tokio::select! {
        () = reading => {}
        () = async { loop { hostile.swarm.select_next_some().await; } } => {}
    }
}
