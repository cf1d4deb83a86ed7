//! Whose requests are answered from the store, and how many at once: one of each validator, a few of all together. A
//! second request of a validator is dropped while its first waits or is answered; it is asked again. So whoever asks
//! without pause costs the others a place in a line that is no longer than the committee.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use types::hash::ValidatorId;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers that are made at once.
const ANSWERS: usize = 4;

/// Those whose requests wait or are answered.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    asking: Arc<Mutex<BTreeSet<ValidatorId>>>,
    places: Arc<Semaphore>,
}

/// A validator's turn; over when dropped.
#[derive(Debug)]
pub(super) struct Turn {
    serving: Serving,
    peer: ValidatorId,
}

impl Serving {
    pub(super) fn new() -> Self {
        Self {
            asking: Arc::default(),
            places: Arc::new(Semaphore::new(ANSWERS)),
        }
    }

    /// The turn of a validator, if it has none already.
    pub(super) fn admit(&self, peer: ValidatorId) -> Option<Turn> {
        self.asking().insert(peer).then(|| Turn {
            serving: self.clone(),
            peer,
        })
    }

    fn asking(&self) -> MutexGuard<'_, BTreeSet<ValidatorId>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits for one of the places, first come first served.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        let places = Arc::clone(&self.serving.places);
        places
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.serving.asking().remove(&self.peer);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// True if the future is done at once.
    async fn is_ready<F: Future>(future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn each_validator_has_one_turn_and_nobody_is_forgotten() {
        let serving = Serving::new();
        let peer = types::testing::validator_id;
        let mut held = Vec::new();
        for n in 0..4 {
            let turn = serving.admit(peer(n)).unwrap();
            held.push((is_ready(turn.place()).await.expect("a place"), turn));
        }
        assert!(
            serving.admit(peer(0)).is_none(),
            "one answer of each at a time"
        );
        let late = serving.admit(peer(4)).expect("its request is not dropped");
        assert!(
            is_ready(late.place()).await.is_none(),
            "it waits for a place"
        );
        drop(held.remove(0));
        assert!(is_ready(late.place()).await.is_some());
        assert!(serving.admit(peer(0)).is_some(), "its turn is over");
    }
}
