//! Answers from the store, a few at once, each on a thread of its own. Who may ask when is decided by consensus: it gives
//! at most one request of each validator at a time, and is told when it was answered, and by how many bytes.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use types::hash::ValidatorId;

/// Answers that are made at once.
const ANSWERS: usize = 4;
/// Answers whose end was not told yet; a thread that has one more waits.
const ENDS: usize = 64;

/// The answers under way.
#[derive(Debug)]
pub(super) struct Serving {
    places: Arc<Semaphore>,
    ended: mpsc::Sender<(ValidatorId, usize)>,
    ends: mpsc::Receiver<(ValidatorId, usize)>,
}

impl Serving {
    pub(super) fn new() -> Self {
        let (ended, ends) = mpsc::channel(ENDS);
        Self {
            places: Arc::new(Semaphore::new(ANSWERS)),
            ended,
            ends,
        }
    }

    /// Makes an answer for a validator once there is a place, first come first served. `make` sends it and gives its
    /// length in bytes.
    pub(super) fn answer(&self, to: ValidatorId, make: impl FnOnce() -> usize + Send + 'static) {
        let (places, ended) = (Arc::clone(&self.places), self.ended.clone());
        tokio::spawn(async move {
            // Never closed; if it were, nothing would be left to answer for.
            let Ok(place) = places.acquire_owned().await else {
                return;
            };
            // A panic while reading is no answer.
            let bytes = tokio::task::spawn_blocking(make).await.unwrap_or(0);
            drop(place);
            // The node is gone.
            let _ = ended.send((to, bytes)).await;
        });
    }

    /// The end of the next answer: for whom, and its length in bytes. Dropping the future loses nothing.
    pub(super) async fn done(&mut self) -> Option<(ValidatorId, usize)> {
        self.ends.recv().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn some_answers_are_made_at_once_and_each_is_told() {
        let mut serving = Serving::new();
        let peer = types::testing::validator_id;
        let (started, starts) = channel();
        let (go, wait) = channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        for n in 0..6u8 {
            let (started, wait) = (started.clone(), Arc::clone(&wait));
            serving.answer(peer(n), move || {
                started.send(n).unwrap();
                wait.lock().unwrap().recv().unwrap();
                usize::from(n) + 1
            });
        }
        drop(started);
        for _ in 0..6 {
            go.send(()).unwrap();
        }
        let mut told = Vec::new();
        for _ in 0..6 {
            told.push(serving.done().await.unwrap());
        }
        told.sort_by_key(|(_, bytes)| *bytes);
        let expected: Vec<_> = (0..6u8).map(|n| (peer(n), usize::from(n) + 1)).collect();
        assert_eq!(told, expected);
        assert_eq!(starts.iter().count(), 6);
    }

    #[tokio::test]
    async fn an_answer_that_panics_is_told_as_none() {
        let mut serving = Serving::new();
        let to = types::testing::validator_id(1);
        serving.answer(to, || panic!("a bug in reading"));
        assert_eq!(serving.done().await, Some((to, 0)));
    }
}
