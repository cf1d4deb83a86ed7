//! Hostile peer records: forged, replayed, stolen, and not records at all.

use std::time::Duration;

use gridproof_p2p as p2p;
use libp2p::swarm::SwarmEvent;
use p2p::record::{PeerRecord, SignedRecord};
use p2p::{Channel, PeerEvent};
use types::hash::{ChainId, Hash32};
use types::key::SecretKey;

use crate::net::{CHAIN, Keys, Node, eventually, id};
use crate::speaker::{Hostile, framed};

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
