//! What honest validators get from the network.

use gridproof_p2p as p2p;
use p2p::{Channel, P2pError, PeerEvent, RequestError, SendError};
use types::key::SecretKey;

use crate::net::{Keys, Node, id, within};

#[tokio::test]
async fn four_validators_connect_fully_from_one_address() {
    let keys = Keys::new(4);
    let first = keys.start(0, &[]).await;
    let bootstrap = first.addresses();
    let mut nodes = vec![first];
    for i in 1..4 {
        nodes.push(keys.start(i, &bootstrap).await);
    }
    for (i, node) in nodes.iter().enumerate() {
        let others: Vec<_> = (0..4).filter(|other| *other != i).collect();
        node.connected_to(&others).await;
    }
    assert_eq!(
        nodes[3]
            .handle
            .broadcast(Channel::Transactions, b"hello".to_vec(), None)
            .unwrap(),
        3
    );
    for node in &mut nodes[..3] {
        assert_eq!(
            node.next_frame().await,
            (id(3), Channel::Transactions, b"hello".to_vec())
        );
    }
    for node in &nodes {
        node.handle.shutdown().await;
    }
}

#[tokio::test]
async fn validators_are_found_by_their_host_names() {
    let keys = Keys::new(3);
    let named = |node: &Node| -> Vec<p2p::Multiaddr> {
        let port =
            |address: &p2p::Multiaddr| address.to_string().rsplit('/').next().unwrap().to_owned();
        let addresses = node.addresses();
        let named = addresses
            .iter()
            .map(|address| format!("/dns4/localhost/tcp/{}", port(address)));
        named.map(|text| text.parse().unwrap()).collect()
    };
    let a = keys.start(0, &[]).await;
    // The port is free again once it is known: this node's record names itself.
    let mut config = keys.config(1, &named(&a));
    let probe = keys.start(1, &[]).await;
    (config.listen, config.external) = (probe.addresses(), named(&probe));
    within("the shutdown", probe.handle.shutdown()).await;
    let b = Node::start(config).await;
    b.connected_to(&[0]).await;
    // Its only way to `b` is the name in the record that `a` tells it.
    let c = keys.start(2, &named(&a)).await;
    c.connected_to(&[0, 1]).await;
    within("the shutdown", b.handle.shutdown()).await;
}

#[tokio::test]
async fn frames_arrive_whole_and_in_order() {
    let keys = Keys::new(2);
    let (mut a, mut b) = (keys.start(0, &[]).await, None);
    let b = b.insert(keys.start(1, &a.addresses()).await);
    a.connected_to(&[1]).await;
    b.connected_to(&[0]).await;
    for round in 0..20u32 {
        for n in 0..100u32 {
            let length = usize::try_from(n * n).unwrap();
            let frame =
                |from: u32| [round.to_le_bytes(), n.to_le_bytes(), from.to_le_bytes()].concat();
            let padded = |from: u32| [frame(from), vec![7; length]].concat();
            a.handle.send(id(1), Channel::Consensus, padded(0)).unwrap();
            b.handle.send(id(0), Channel::Consensus, padded(1)).unwrap();
        }
        for n in 0..100u32 {
            for (node, from) in [(&mut a, 1u32), (&mut *b, 0u32)] {
                let (sender, channel, bytes) = node.next_frame().await;
                let expected = id(usize::try_from(from).unwrap());
                assert_eq!((sender, channel), (expected, Channel::Consensus));
                let head = [round.to_le_bytes(), n.to_le_bytes(), from.to_le_bytes()].concat();
                assert_eq!(bytes[..12], head);
                assert_eq!(bytes.len(), 12 + usize::try_from(n * n).unwrap());
            }
        }
    }
    assert_eq!(a.counters().frames_dropped, 0);
}

#[tokio::test]
async fn the_largest_frame_passes_and_a_larger_one_is_not_sent() {
    let keys = Keys::new(2);
    let a = keys.start(0, &[]).await;
    let mut b = keys.start(1, &a.addresses()).await;
    a.connected_to(&[1]).await;
    for channel in Channel::ALL {
        let limit = channel.max_frame_bytes();
        let error = a
            .handle
            .send(id(1), channel, vec![0; limit + 1])
            .unwrap_err();
        assert_eq!(
            error,
            SendError::TooLarge {
                found: limit + 1,
                limit
            }
        );
        a.handle.send(id(1), channel, vec![9; limit]).unwrap();
        assert_eq!(b.next_frame().await, (id(0), channel, vec![9; limit]));
    }
}

#[tokio::test]
async fn requests_are_answered_refused_and_bounded() {
    let keys = Keys::new(2);
    let a = keys.start(0, &[]).await;
    let b = keys.start(1, &a.addresses()).await;
    a.connected_to(&[1]).await;
    let mut events = b.events;
    let answering = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let PeerEvent::Request { from, bytes, reply } = event
                && *bytes != *b"refuse"
            {
                assert_eq!(from, id(0));
                let padding = if *bytes == *b"long" {
                    Channel::Blobs.max_frame_bytes()
                } else {
                    0
                };
                let answer = [bytes.iter().rev().copied().collect(), vec![0; padding]].concat();
                let _ = reply.send(answer);
            }
        }
    });
    let largest = vec![5; Channel::Blobs.max_frame_bytes()];
    for request in [b"abc".to_vec(), vec![], largest.clone()] {
        let answer = within("an answer", a.handle.request(id(1), request.clone()))
            .await
            .unwrap();
        assert_eq!(answer, request.into_iter().rev().collect::<Vec<_>>());
    }
    let refused = within("a refusal", a.handle.request(id(1), b"refuse".to_vec())).await;
    assert!(
        matches!(refused, Err(RequestError::Broken { .. })),
        "{refused:?}"
    );
    let too_long = within("no answer", a.handle.request(id(1), b"long".to_vec())).await;
    assert!(
        matches!(too_long, Err(RequestError::Broken { .. })),
        "an answer that is too long is not even sent: {too_long:?}"
    );
    let too_large = a.handle.request(id(1), [largest, vec![1]].concat()).await;
    assert!(matches!(too_large, Err(RequestError::TooLarge { .. })));
    let nobody = a.handle.request(id(0), vec![]).await;
    assert_eq!(nobody, Err(RequestError::NotConnected(id(0))));
    let many = futures::future::join_all((0..6).map(|_| a.handle.request(id(1), b"ok".to_vec())));
    assert!(within("six answers", many).await.iter().all(Result::is_ok));
    b.handle.shutdown().await;
    within("the end of events", answering).await.unwrap();
}

#[tokio::test]
async fn a_record_binds_a_node_key_that_genesis_does_not_know() {
    let keys = Keys::new(3);
    let mut a = keys.start(0, &[]).await;
    let mut moved = keys.config(1, &a.addresses());
    moved.node_key = SecretKey::from_bytes(&[200; 32]);
    let mut b = Node::start(moved).await;
    b.connected_to(&[0]).await;
    // The other side may not have the record yet and refuse the stream: that costs no frame.
    b.handle
        .send(id(0), Channel::Consensus, b"to a".to_vec())
        .unwrap();
    let c = keys.start(2, &b.addresses()).await;
    c.connected_to(&[0, 1]).await;
    a.connected_to(&[1, 2]).await;
    a.handle
        .send(id(1), Channel::Consensus, b"to b".to_vec())
        .unwrap();
    assert_eq!(
        a.next_frame().await,
        (id(1), Channel::Consensus, b"to a".to_vec())
    );
    assert_eq!(
        b.next_frame().await,
        (id(0), Channel::Consensus, b"to b".to_vec())
    );
}

#[tokio::test]
async fn two_that_dial_each_other_end_up_connected() {
    let keys = Keys::new(2);
    // Each must know the other's address before either listens. On an address of this process alone, and below the ports
    // from which connections go out, nobody else takes them.
    let own = std::process::id().to_le_bytes();
    let address = format!("/ip4/127.{}.{}.{}/tcp", 1 + own[2], own[1], own[0].max(1));
    let ports = [20_001, 20_002].map(|port| {
        let text = format!("{address}/{port}");
        text.parse::<p2p::Multiaddr>().unwrap()
    });
    let configs = [0, 1].map(|i| {
        let mut config = keys.config(i, &ports);
        config.listen = vec![ports[i].clone()];
        config
    });
    let [first, second] = configs;
    let (mut a, b) = tokio::join!(Node::start(first), Node::start(second));
    for round in 0..50u8 {
        a.connected_to(&[1]).await;
        b.connected_to(&[0]).await;
        // A frame may be lost while the duplicate connection is closed; a later one is not.
        while b
            .handle
            .send(id(0), Channel::Consensus, vec![round])
            .is_err()
        {
            b.connected_to(&[0]).await;
        }
    }
    b.handle
        .send(id(0), Channel::Blobs, b"last".to_vec())
        .unwrap();
    let seen = a.next("the last frame", |event| match event {
        PeerEvent::Frame {
            channel: Channel::Blobs,
            bytes,
            ..
        } => Some(bytes),
        _ => None,
    });
    assert_eq!(seen.await, b"last"[..]);
}

#[tokio::test]
async fn mistakes_in_the_configuration_are_named() {
    let keys = Keys::new(2);
    let a = keys.start(0, &[]).await;
    let start = async |change: &dyn Fn(&mut p2p::Config)| {
        let mut config = keys.config(1, &[]);
        change(&mut config);
        p2p::start(config).await.expect_err("it must not start")
    };
    let taken = a.addresses();
    let error = start(&|config| config.listen.clone_from(&taken)).await;
    assert!(matches!(error, P2pError::Listen { .. }), "{error}");
    let error =
        start(&|config| config.validator = Some(SecretKey::from_bytes(&[99; 32]).into())).await;
    assert!(matches!(error, P2pError::NotInCommittee(_)), "{error}");
    let error = start(&|config| {
        config.node_key = config.validator.as_ref().unwrap().key().unwrap().clone();
    })
    .await;
    assert!(matches!(error, P2pError::SameKeys), "{error}");
    let error = start(&|config| config.node_key = SecretKey::from_bytes(&[101; 32])).await;
    assert!(matches!(error, P2pError::Genesis(_)), "{error}");
    let error =
        start(&|config| config.listen = vec!["/ip4/127.0.0.1/udp/5".parse().unwrap()]).await;
    assert!(matches!(error, P2pError::ListenAddress(_)), "{error}");
    let error =
        start(&|config| config.bootstrap = vec!["/dns4/no name/tcp/5".parse().unwrap()]).await;
    assert!(matches!(error, P2pError::DialAddress(_)), "{error}");
}

#[tokio::test]
async fn after_a_shutdown_nothing_is_left() {
    let keys = Keys::new(2);
    let a = keys.start(0, &[]).await;
    let mut b = keys.start(1, &a.addresses()).await;
    b.connected_to(&[0]).await;
    let clone = b.handle.clone();
    within("the shutdown", b.handle.shutdown()).await;
    within("a second shutdown", clone.shutdown()).await;
    assert_eq!(
        clone.send(id(0), Channel::Consensus, vec![1]),
        Err(SendError::NotConnected(id(0)))
    );
    assert_eq!(
        clone.request(id(0), vec![1]).await,
        Err(RequestError::NotConnected(id(0)))
    );
    within("the end of events", async {
        while b.events.recv().await.is_some() {}
    })
    .await;
    a.connected_to(&[]).await;
    let mut again = keys.config(1, &a.addresses());
    again.listen = b.addresses();
    Node::start(again).await.connected_to(&[0]).await;
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_network() {
    let keys = Keys::new(2);
    let a = keys.start(0, &[]).await;
    let Node { handle, mut events } = keys.start(1, &a.addresses()).await;
    a.connected_to(&[1]).await;
    drop(handle);
    within("the end of events", async {
        while events.recv().await.is_some() {}
    })
    .await;
    a.connected_to(&[]).await;
}
