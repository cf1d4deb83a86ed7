//! What becomes of a validator that the node has banned, and of one that sends without pause.

use std::time::Duration;

use gridproof_p2p as p2p;
use p2p::Channel;

use crate::net::{Keys, Node, eventually, id};

#[tokio::test]
async fn a_banned_validator_is_disconnected_and_comes_back_when_the_ban_ends() {
    let keys = Keys::new(3);
    let a = keys.start(0, &[]).await;
    let b = keys.start(1, &a.addresses()).await;
    let c = keys.start(2, &a.addresses()).await;
    let all = [id(1), id(2)];
    eventually("the mesh", || a.handle.peers() == all).await;
    a.handle.ban(id(1), Duration::from_secs(2));
    eventually("the end of the connection", || a.handle.peers() == [id(2)]).await;
    // It dials again at once, and is turned away as often.
    let before = a.handle.counters().bans_enforced;
    eventually("that it is turned away", || {
        a.handle.counters().bans_enforced > before
    })
    .await;
    assert_eq!(a.handle.peers(), [id(2)]);
    assert!(
        a.handle
            .send(id(1), Channel::Consensus, b"word".to_vec())
            .is_err(),
        "nothing is sent to it"
    );
    assert_eq!(c.handle.counters().bans_enforced, 0);
    eventually("its return", || a.handle.peers() == all).await;
    eventually("its side", || b.handle.peers().contains(&id(0))).await;
}

#[tokio::test]
async fn who_sends_without_pause_is_read_at_a_bounded_rate() {
    let keys = Keys::new(2);
    let mut config = keys.config(0, &[]);
    config.limits.read_rate.frames_per_second = 1;
    let mut a = Node::start(config).await;
    let b = keys.start(1, &a.addresses()).await;
    b.connected_to(&[0]).await;
    let mut read = 0;
    while a.counters().reads_paused == 0 {
        let sent = b.handle.send(id(0), Channel::Transactions, vec![7]);
        assert_eq!(sent, Ok(()));
        a.next_frame().await;
        read += 1;
        assert!(read < 10, "ten frames within seconds");
    }
    assert!(read > 2, "a burst of two seconds is read at once");
}
