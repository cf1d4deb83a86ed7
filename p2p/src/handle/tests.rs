//! Frames that are for many peers share their bytes.

use libp2p::PeerId;
use types::testing::validator_id;

use super::*;

/// A handle of a network without a loop, with that many connected validators.
fn handle(validators: u8) -> Handle {
    let shared = Arc::new(SharedState::default());
    for validator in (0..validators).map(validator_id) {
        let queues = Arc::new(PeerQueues::new(PeerId::random()));
        shared.connected().insert(validator, queues);
    }
    let (streams, _) = mpsc::channel(1);
    let (stop, _) = watch::channel(false);
    let task = tokio::spawn(async {});
    Handle::new(shared, streams, Duration::from_secs(1), stop, task)
}

fn queued(handle: &Handle, validator: u8) -> Option<Bytes> {
    let queues = handle.queues_of(validator_id(validator)).unwrap();
    queues.of(Channel::Consensus).try_pop()
}

#[tokio::test]
async fn a_broadcast_frame_is_one_buffer_for_all_peers() {
    let handle = handle(5);
    let frame = Bytes::from(vec![7; Channel::Consensus.max_frame_bytes()]);
    let except = Some(validator_id(3));
    let sent = handle.broadcast(Channel::Consensus, frame.clone(), except);
    assert_eq!(sent, Ok(4));
    handle
        .send(validator_id(3), Channel::Consensus, frame.clone())
        .unwrap();
    for validator in 0..5 {
        let got = queued(&handle, validator).unwrap();
        assert_eq!(got.as_ptr(), frame.as_ptr(), "validator {validator}");
        assert_eq!(queued(&handle, validator), None);
    }
}

#[tokio::test]
async fn a_frame_above_its_channel_s_limit_is_for_nobody() {
    let handle = handle(2);
    let limit = Channel::Consensus.max_frame_bytes();
    let found = limit + 1;
    let refused = Err(SendError::TooLarge { found, limit });
    let frame = vec![0; found];
    assert_eq!(
        handle.send(validator_id(0), Channel::Consensus, frame.clone()),
        refused
    );
    let sent = handle.broadcast(Channel::Consensus, frame, None);
    assert_eq!(sent.map(|_| ()), refused);
    assert_eq!(queued(&handle, 0), None);
    assert_eq!(
        handle.send(validator_id(9), Channel::Consensus, b"x".to_vec()),
        Err(SendError::NotConnected(validator_id(9)))
    );
}
