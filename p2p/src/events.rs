//! The queue of events towards the node, in the order in which they came, with places of its own for each validator.
//!
//! The places of one validator are never taken by another: however much one sends, an event of another waits for at
//! most what fits the queue. A place is free again once the node has taken the event.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::hash::ValidatorId;

use crate::handle::PeerEvent;

/// Events of all validators together that wait for the node, where each has more than one place. A few of them may be
/// proposals, so it bounds memory too.
const MAX_EVENTS: usize = 64;
/// Places for connects and disconnects, which come from the network's own loop.
const NOTICES: usize = 1;

/// The node or the network is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// An event and, if a validator sent it, its place.
#[derive(Debug)]
pub(crate) struct Queued {
    event: PeerEvent,
    _place: Option<OwnedSemaphorePermit>,
}

impl Queued {
    /// A connect or disconnect.
    pub(crate) fn notice(event: PeerEvent) -> Self {
        Self {
            event,
            _place: None,
        }
    }
}

/// The network's end of the queue.
#[derive(Debug, Clone)]
pub(crate) struct EventQueue {
    sender: mpsc::Sender<Queued>,
    places: Arc<BTreeMap<ValidatorId, Arc<Semaphore>>>,
}

/// The node's end of the queue.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Queued>);

/// A queue for a committee of these members.
pub(crate) fn queue(members: &[ValidatorId]) -> (EventQueue, Events) {
    let share = (MAX_EVENTS / members.len().max(1)).max(1);
    let (sender, receiver) = mpsc::channel(share * members.len() + NOTICES);
    let places = members
        .iter()
        .map(|member| (*member, Arc::new(Semaphore::new(share))))
        .collect();
    let places = Arc::new(places);
    (EventQueue { sender, places }, Events(receiver))
}

impl EventQueue {
    /// Queues an event of a validator once one of its places is free.
    pub(crate) async fn send(&self, from: ValidatorId, event: PeerEvent) -> Result<(), Closed> {
        let places = self.places.get(&from).ok_or(Closed)?;
        let place = tokio::select! {
            place = Arc::clone(places).acquire_owned() => place.map_err(|_| Closed)?,
            () = self.sender.closed() => return Err(Closed),
        };
        self.sender
            .send(Queued {
                event,
                _place: Some(place),
            })
            .await
            .map_err(|_| Closed)
    }

    /// Waits for room for a notice; whoever drops the future goes to the end of the line.
    pub(crate) fn room(
        &self,
    ) -> impl Future<Output = Result<OwnedPermit<Queued>, SendError<()>>> + use<> {
        self.sender.clone().reserve_owned()
    }
}

impl Events {
    /// The next event; none when the network has ended. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<PeerEvent> {
        self.0.recv().await.map(|queued| queued.event)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::poll;

    use types::testing::validator_id;

    use super::*;
    use crate::channel::Channel;

    fn frame(from: ValidatorId) -> PeerEvent {
        PeerEvent::Frame {
            from,
            channel: Channel::Consensus,
            bytes: Vec::new(),
        }
    }

    fn sender_of(event: Option<PeerEvent>) -> ValidatorId {
        match event {
            Some(PeerEvent::Frame { from, .. }) => from,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn whoever_floods_leaves_the_places_of_the_others() {
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
                poll!(std::pin::pin!(queue.room())).is_ready(),
                "a notice has its place too"
            );
            assert_eq!(sender_of(events.recv().await), flooder);
            assert!(
                poll!(std::pin::pin!(queue.send(flooder, frame(flooder)))).is_ready(),
                "taken: the place is free"
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
