//! Peers that keep connections and streams open without reading, open too many, or announce too much.

use std::time::Duration;

use futures::StreamExt as _;
use gridproof_p2p as p2p;
use libp2p::Multiaddr;
use libp2p::request_response::Event;
use libp2p::swarm::SwarmEvent;
use p2p::Channel;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use types::key::SecretKey;

use crate::net::{Keys, Node, id, socket_address};
use crate::speaker::{Hostile, Raw, SpeakerEvent, framed};

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
            );
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
