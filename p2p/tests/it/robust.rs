//! What the network bears: restarts, slow readers, strangers.

use std::time::Duration;

use gridproof_p2p::{Channel, OpenError, PeerEvent, RequestError};
use libp2p::swarm::SwarmEvent;
use types::hash::{ChainId, Hash32};
use types::key::SecretKey;

use crate::net::{Keys, Node, eventually, id, within};
use crate::speaker::{Hostile, SpeakerEvent};

#[tokio::test]
async fn a_restarted_peer_is_connected_again() {
    let keys = Keys::new(3);
    let mut a = keys.start(0, &[]).await;
    let c = keys.start(2, &a.addresses()).await;
    for round in 0..3u8 {
        // It knows nobody's address but one, and the others find it at its new port.
        let b = keys.start(1, &a.addresses()).await;
        b.connected_to(&[0, 2]).await;
        a.connected_to(&[1, 2]).await;
        c.connected_to(&[0, 1]).await;
        b.handle
            .send(id(0), Channel::Consensus, vec![round])
            .unwrap();
        let frame = a.next("the frame of this life", |event| match event {
            PeerEvent::Frame { from, bytes, .. } => Some((from, bytes)),
            _ => None,
        });
        assert_eq!(frame.await, (id(1), vec![round].into()));
        b.handle.shutdown().await;
        let gone = a.next("the disconnect", |event| match event {
            PeerEvent::Disconnected { validator } => Some(validator),
            _ => None,
        });
        assert_eq!(gone.await, id(1));
        c.connected_to(&[0]).await;
    }
}

#[tokio::test]
async fn the_others_find_a_restarted_peer_by_its_record() {
    let keys = Keys::new(2);
    let a = keys.start(0, &[]).await;
    let b = keys.start(1, &a.addresses()).await;
    a.connected_to(&[1]).await;
    let listen = b.addresses();
    // Only when its record has arrived does the other know where to dial.
    b.connected_to(&[0]).await;
    eventually("the record's arrival", || a.counters().records_accepted > 0).await;
    b.handle.shutdown().await;
    a.connected_to(&[]).await;
    let mut deaf = keys.config(1, &[]);
    deaf.listen = listen;
    let b = Node::start(deaf).await;
    b.connected_to(&[0]).await;
    a.connected_to(&[1]).await;
}

#[tokio::test]
async fn a_slow_reader_loses_the_oldest_frames_and_holds_up_nobody() {
    let keys = Keys::new(3);
    let a = keys.start(0, &[]).await;
    let mut slow = keys.start(1, &a.addresses()).await;
    let mut fast = keys.start(2, &a.addresses()).await;
    a.connected_to(&[1, 2]).await;
    let mut sent = 0u32;
    while a.counters().frames_dropped < 10 {
        let frame = [sent.to_le_bytes().to_vec(), vec![0; 50_000]].concat();
        a.handle.broadcast(Channel::Consensus, frame, None).unwrap();
        let (_, _, bytes) = fast.next_frame().await;
        assert_eq!(
            bytes[..4],
            sent.to_le_bytes(),
            "the fast reader gets every frame"
        );
        sent += 1;
        assert!(sent < 10_000, "nothing was dropped");
    }
    let (mut last, mut seen) = (None, 0);
    while last != Some(sent - 1) {
        let (_, _, bytes) = slow.next_frame().await;
        let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        assert!(last.is_none_or(|last| last < number), "in order");
        (last, seen) = (Some(number), seen + 1);
    }
    assert!(seen < sent);
}

#[tokio::test]
async fn a_flooding_validator_leaves_room_for_the_others() {
    let keys = Keys::new(3);
    let mut a = keys.start(0, &[]).await;
    let mut flooders = Vec::new();
    for i in 1..3 {
        let node = keys.start(i, &a.addresses()).await;
        node.connected_to(&(0..i).collect::<Vec<_>>()).await;
        // Until nothing more fits anywhere on the way to `a`, which reads nothing yet.
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while node.counters().frames_dropped == 0 {
            tick.tick().await;
            for _ in 0..10 {
                node.handle
                    .send(id(0), Channel::Blobs, vec![0; 20_000])
                    .unwrap();
            }
        }
        flooders.push(node);
    }
    let mut seen = [0, 0];
    while seen[1] == 0 {
        let (from, _, _) = a.next_frame().await;
        seen[usize::from(from == id(2))] += 1;
    }
    assert!(
        seen[0] <= 32,
        "{} frames of one before the first of the other",
        seen[0]
    );
}

#[tokio::test]
async fn a_stranger_is_not_listened_to_and_not_kept() {
    let keys = Keys::new(2);
    let mut config = keys.config(0, &[]);
    config.limits.handshake_timeout = Duration::from_millis(300);
    let mut a = Node::start(config).await;
    let stranger = Node::start(keys.stranger(77, &a.addresses())).await;
    // The stranger knows the validator from genesis, so it believes that it may send.
    eventually("a frame of the stranger", || {
        stranger
            .handle
            .send(id(0), Channel::Consensus, b"vote".to_vec())
            .is_ok()
    })
    .await;
    eventually("a refused stream", || a.counters().streams_refused > 0).await;
    eventually("a closed connection", || a.counters().strangers_closed > 0).await;
    assert!(a.handle.peers().is_empty());
    let mut b = keys.start(1, &a.addresses()).await;
    b.connected_to(&[0]).await;
    a.connected_to(&[1]).await;
    b.handle
        .send(id(0), Channel::Consensus, b"real".to_vec())
        .unwrap();
    assert_eq!(
        a.next_frame().await,
        (id(1), Channel::Consensus, b"real".to_vec())
    );
    a.handle
        .send(id(1), Channel::Consensus, b"back".to_vec())
        .unwrap();
    assert_eq!(
        b.next_frame().await,
        (id(0), Channel::Consensus, b"back".to_vec())
    );
}

#[tokio::test]
async fn of_strangers_the_oldest_makes_room_and_a_validator_on_a_new_node_is_one_for_a_moment() {
    let keys = Keys::new(2);
    let mut config = keys.config(0, &[]);
    (
        config.limits.stranger_connections,
        config.limits.handshake_timeout,
    ) = (2, Duration::from_mins(5));
    let a = Node::start(config).await;
    let mut strangers = Vec::new();
    for seed in 80..84 {
        let key = SecretKey::from_bytes(&[seed; 32]);
        strangers.push(Hostile::connect(&key, a.addresses()[0].clone(), "records").await);
    }
    // The oldest made room for the newest, which stay.
    for stranger in &mut strangers[..2] {
        let ended =
            |event: &SwarmEvent<SpeakerEvent>| matches!(event, SwarmEvent::ConnectionClosed { .. });
        stranger.sees("its end", ended).await;
    }
    // A validator on a node that genesis does not know is a stranger until its record has come.
    let mut moved = keys.config(1, &a.addresses());
    moved.node_key = SecretKey::from_bytes(&[201; 32]);
    let b = Node::start(moved).await;
    b.connected_to(&[0]).await;
    a.connected_to(&[1]).await;
}

#[tokio::test]
async fn nodes_of_another_chain_are_not_spoken_to() {
    let keys = Keys::new(2);
    let mut a = keys.start(0, &[]).await;
    let mut config = keys.config(1, &a.addresses());
    config.chain_id = ChainId(Hash32([8; 32]));
    let b = Node::start(config).await;
    eventually("a frame of the other chain", || {
        b.handle.send(id(0), Channel::Consensus, vec![1]).is_ok()
    })
    .await;
    // No protocol in common: the frame stays where it is, while those of this chain pass.
    let asked = within("a refusal", b.handle.request(id(0), vec![1])).await;
    assert!(
        matches!(
            asked,
            Err(RequestError::NoStream {
                error: OpenError::NotSpoken,
                ..
            })
        ),
        "{asked:?}"
    );
    b.handle.shutdown().await;
    let b = keys.start(1, &a.addresses()).await;
    b.connected_to(&[0]).await;
    b.handle.send(id(0), Channel::Consensus, vec![2]).unwrap();
    assert_eq!(a.next_frame().await, (id(1), Channel::Consensus, vec![2]));
}

#[tokio::test]
async fn a_stranger_that_proves_itself_gives_its_slot_back() {
    let keys = Keys::new(4);
    let mut config = keys.config(0, &[]);
    config.limits.stranger_connections = 1;
    let a = Node::start(config).await;
    let mut moved = Vec::new();
    for i in 1..4u8 {
        // A node key that genesis does not know makes a stranger, until the record is there.
        let mut config = keys.config(usize::from(i), &a.addresses());
        config.node_key = SecretKey::from_bytes(&[200 + i; 32]);
        moved.push(Node::start(config).await);
        a.connected_to(&(1..=usize::from(i)).collect::<Vec<_>>())
            .await;
    }
}
