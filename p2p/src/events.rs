//! The events of the network, and their two queues towards the node, each in the order in which its events came: frames of
//! consensus, with connects and disconnects, and everything else. What is in the first goes first, so that votes never
//! wait behind transactions.
//!
//! Each validator has room of its own in each queue, which no other takes: however much one sends, an event of another
//! waits for at most a full queue. The room is free again once the node has taken the event.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use types::hash::ValidatorId;

use crate::channel::Channel;

/// A message of the network to the node. `Connected` may come a little after the first frame of its validator.
#[derive(Debug)]
pub enum PeerEvent {
    /// A validator can be sent to.
    Connected {
        /// The validator of the new connection.
        validator: ValidatorId,
    },
    /// A validator can no longer be sent to.
    Disconnected {
        /// The validator whose last connection ended.
        validator: ValidatorId,
    },
    /// A validator sent a frame.
    Frame {
        /// Validator whose connection it came over.
        from: ValidatorId,
        /// The channel that the frame came on.
        channel: Channel,
        /// The frame, at most [`Channel::max_frame_bytes`] long.
        bytes: Bytes,
    },
    /// A validator asks something; dropping `reply` refuses.
    Request {
        /// The validator that asks.
        from: ValidatorId,
        /// The request, at most [`Channel::Blobs`]' frame limit.
        bytes: Bytes,
        /// Takes the answer, at most [`Channel::Blobs`]' frame limit.
        reply: oneshot::Sender<Vec<u8>>,
    },
}

/// Maximum events of all validators that wait for the node in one queue, unless the committee is larger. A few of them may
/// be proposals, so it bounds memory too.
const MAX_EVENTS: usize = 64;
/// Room for connects and disconnects, which come from the network's own loop.
const NOTICES: usize = 1;

/// The node or the network is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// An event and, if a validator sent it, the room that it takes.
#[derive(Debug)]
pub(crate) struct Queued {
    event: PeerEvent,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Queued {
    /// A connect or disconnect.
    pub(crate) fn notice(event: PeerEvent) -> Self {
        Self {
            event,
            _permit: None,
        }
    }
}

/// The network's end of one queue.
#[derive(Debug, Clone)]
struct EventLane {
    sender: mpsc::Sender<Queued>,
    room: Arc<BTreeMap<ValidatorId, Arc<Semaphore>>>,
}

/// The network's end of the queues.
#[derive(Debug, Clone)]
pub(crate) struct EventQueue {
    first: EventLane,
    rest: EventLane,
}

/// The node's end of the queues.
#[derive(Debug)]
pub struct Events {
    first: mpsc::Receiver<Queued>,
    rest: mpsc::Receiver<Queued>,
}

/// Queues for a committee of these members.
pub(crate) fn queue(members: &[ValidatorId]) -> (EventQueue, Events) {
    let (first_lane, first) = EventLane::new(members);
    let (rest_lane, rest) = EventLane::new(members);
    let queue = EventQueue {
        first: first_lane,
        rest: rest_lane,
    };
    (queue, Events { first, rest })
}

impl EventQueue {
    /// Queues an event of a validator once the validator has room.
    pub(crate) async fn send(&self, from: ValidatorId, event: PeerEvent) -> Result<(), Closed> {
        let lane = match &event {
            PeerEvent::Frame { channel, .. } if *channel != Channel::Consensus => &self.rest,
            PeerEvent::Request { .. } => &self.rest,
            _ => &self.first,
        };
        lane.send(from, event).await
    }

    /// Waits for room for a notice; whoever drops the future loses its turn.
    pub(crate) fn notice_room(
        &self,
    ) -> impl Future<Output = Result<OwnedPermit<Queued>, SendError<()>>> + use<> {
        self.first.sender.clone().reserve_owned()
    }
}

impl EventLane {
    fn new(members: &[ValidatorId]) -> (Self, mpsc::Receiver<Queued>) {
        let share = (MAX_EVENTS / members.len().max(1)).max(1);
        let (sender, receiver) = mpsc::channel(share * members.len() + NOTICES);
        let room: BTreeMap<_, _> = members
            .iter()
            .map(|member| (*member, Arc::new(Semaphore::new(share))))
            .collect();
        let room = Arc::new(room);
        (Self { sender, room }, receiver)
    }

    async fn send(&self, from: ValidatorId, event: PeerEvent) -> Result<(), Closed> {
        let room = self.room.get(&from).ok_or(Closed)?;
        let permit = tokio::select! {
            permit = Arc::clone(room).acquire_owned() => permit.map_err(|_| Closed)?,
            () = self.sender.closed() => return Err(Closed),
        };
        self.sender
            .send(Queued {
                event,
                _permit: Some(permit),
            })
            .await
            .map_err(|_| Closed)
    }
}

impl Events {
    /// The next event, one of consensus if there is one; none when the network has ended. Dropping the future loses
    /// nothing.
    pub async fn recv(&mut self) -> Option<PeerEvent> {
        // Both ends of both queues live and die together, so the end of one is the end.
        let queued = tokio::select! {
            biased;
            queued = self.first.recv() => queued,
            queued = self.rest.recv() => queued,
        };
        queued.map(|queued| queued.event)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::poll;
    use types::testing::validator_id;

    use super::*;

    fn frame(from: ValidatorId) -> PeerEvent {
        PeerEvent::Frame {
            from,
            channel: Channel::Consensus,
            bytes: Bytes::new(),
        }
    }

    fn transactions(from: ValidatorId) -> PeerEvent {
        PeerEvent::Frame {
            from,
            channel: Channel::Transactions,
            bytes: Bytes::new(),
        }
    }

    #[tokio::test]
    async fn a_flood_of_transactions_delays_no_vote() {
        let ids: Vec<_> = (0..4).map(validator_id).collect();
        let (queue, mut events) = queue(&ids);
        for id in &ids {
            while poll!(std::pin::pin!(queue.send(*id, transactions(*id)))).is_ready() {}
            // The runtime lets a task poll so often only, then everything is pending until it has yielded.
            tokio::task::yield_now().await;
        }
        let vote = poll!(std::pin::pin!(queue.send(ids[2], frame(ids[2]))));
        assert_eq!(vote, Poll::Ready(Ok(())), "votes have room of their own");
        let next = events.recv().await;
        assert!(
            matches!(
                next,
                Some(PeerEvent::Frame {
                    channel: Channel::Consensus,
                    ..
                })
            ),
            "the vote goes first: {next:?}"
        );
        assert!(matches!(
            events.recv().await,
            Some(PeerEvent::Frame {
                channel: Channel::Transactions,
                ..
            })
        ));
    }

    fn sender_of(event: Option<PeerEvent>) -> ValidatorId {
        match event {
            Some(PeerEvent::Frame { from, .. }) => from,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn whoever_floods_leaves_the_room_of_the_others() {
        // Tokio lets a task do only so much between two pauses.
        tokio::task::unconstrained(floods_in_vain(&[1, 4, 200])).await;
    }

    async fn floods_in_vain(committees: &[u8]) {
        for members in committees.iter().copied() {
            let ids: Vec<_> = (0..members).map(validator_id).collect();
            let (queue, mut events) = queue(&ids);
            let flooder = validator_id(0);
            let mut taken = 0usize;
            while poll!(std::pin::pin!(queue.send(flooder, frame(flooder)))).is_ready() {
                taken += 1;
            }
            assert!(taken <= MAX_EVENTS);
            for other in (1..members).map(validator_id) {
                let sent = poll!(std::pin::pin!(queue.send(other, frame(other))));
                assert_eq!(sent, Poll::Ready(Ok(())), "validator {other} of {members}");
            }
            assert!(
                poll!(std::pin::pin!(queue.notice_room())).is_ready(),
                "a notice has room too"
            );
            assert_eq!(sender_of(events.recv().await), flooder);
            assert!(
                poll!(std::pin::pin!(queue.send(flooder, frame(flooder)))).is_ready(),
                "taken: there is room again"
            );
            assert!(poll!(std::pin::pin!(queue.send(flooder, frame(flooder)))).is_pending());
        }
    }

    #[tokio::test]
    async fn a_full_queue_without_a_node_does_not_keep_a_sender() {
        let from = validator_id(0);
        let (queue, events) = queue(&[from]);
        while poll!(std::pin::pin!(queue.send(from, frame(from)))).is_ready() {}
        let mut waiting = std::pin::pin!(queue.send(from, frame(from)));
        assert!(poll!(&mut waiting).is_pending());
        drop(events);
        assert_eq!(waiting.await, Err(Closed));
    }
}
