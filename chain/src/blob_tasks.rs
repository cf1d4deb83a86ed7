//! Moving blobs: fetching from validators, answering them, reading lists of outcomes and of states, removing.
//!
//! Every chunk is verified before it is stored. How a validator is reached is the host's: see [`ChunkSource`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use blobs::{BlobStore, BlobStoreError};
use borsh::BorshDeserialize;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use types::attestation::Outcomes;
use types::codec::{decode, encode};
use types::hash::{BlobId, ValidatorId};
use types::job::TaskStates;
use types::limits::{MAX_OUTCOMES_BYTES, MAX_STATES_BYTES};

use crate::blob_book::BlobRequest;
use crate::event::Event;
use crate::fetch_time::{Allowance, FetchTime, Holders};
use crate::gossip::ChunkRequest;

/// Blobs that are fetched at once.
const FETCHING: usize = 8;
/// Largest encoded request for a chunk, in bytes.
const MAX_CHUNK_REQUEST_BYTES: usize = 64;

/// The network, as far as blobs need it.
pub trait ChunkSource: Clone + Send + Sync + 'static {
    /// Asks a validator for a chunk by the bytes of a [`ChunkRequest`]; gives the bytes of its answer.
    fn ask(
        &self,
        from: ValidatorId,
        request: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, AskError>> + Send;
}

/// Why a validator gave no chunk.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It took too long.
    #[error("it took too long")]
    Slow,
    /// It is not connected, or does not answer.
    #[error(transparent)]
    Refused(Box<dyn std::error::Error + Send + Sync>),
}

/// Starts tasks that move blobs.
pub struct BlobTasks<N> {
    store: BlobStore,
    network: N,
    events: mpsc::Sender<Event>,
    fetching: Arc<Semaphore>,
    holders: Arc<Mutex<Holders>>,
}

impl<N: ChunkSource> BlobTasks<N> {
    /// Over a store and a network; results go to `events`.
    pub fn new(store: BlobStore, network: N, events: mpsc::Sender<Event>) -> Self {
        let (fetching, holders) = (Arc::new(Semaphore::new(FETCHING)), Arc::default());
        Self {
            store,
            network,
            events,
            fetching,
            holders,
        }
    }

    /// Performs what the core asks.
    pub fn perform(&self, request: BlobRequest) {
        match request {
            BlobRequest::Fetch { blob, from } => self.fetch(blob, from),
            BlobRequest::ReadOutcomes { blob } => {
                self.read::<Outcomes>(blob, MAX_OUTCOMES_BYTES, |blob, outcomes| {
                    Event::OutcomesRead { blob, outcomes }
                });
            }
            BlobRequest::ReadStates { blob } => {
                self.read::<TaskStates>(blob, MAX_STATES_BYTES, |blob, states| Event::StatesRead {
                    blob,
                    states,
                });
            }
            BlobRequest::Drop(blobs) => {
                let store = self.store.clone();
                tokio::task::spawn_blocking(move || {
                    for blob in blobs {
                        if let Err(error) = store.remove(blob) {
                            tracing::warn!(%error, "a blob could not be removed");
                        }
                    }
                });
            }
        }
    }

    /// Answers a validator's request for a chunk; a request that cannot be answered is refused by silence.
    pub fn answer(&self, bytes: &[u8], reply: oneshot::Sender<Vec<u8>>) {
        let Ok(request) = decode::<ChunkRequest>(bytes, MAX_CHUNK_REQUEST_BYTES) else {
            return;
        };
        let (store, events) = (self.store.clone(), self.events.clone());
        tokio::task::spawn_blocking(move || {
            match store.encode_chunk(request.blob, request.chunk) {
                Ok(chunk) => {
                    // Whoever asked may have given up.
                    let _ = reply.send(chunk);
                }
                Err(error) => report_rot(&events, &error),
            }
        });
    }

    fn fetch(&self, blob: BlobId, from: ValidatorId) {
        let (store, network, events) = (
            self.store.clone(),
            self.network.clone(),
            self.events.clone(),
        );
        let (fetching, holders) = (self.fetching.clone(), self.holders.clone());
        let begins = locked(&holders).begin(from, Instant::now());
        tokio::spawn(async move {
            let mut event = Event::BlobMissing { blob, from };
            if begins {
                let Ok(_permit) = fetching.acquire_owned().await else {
                    return;
                };
                let ask = |request| network.ask(from, request);
                let fetched = fetch(&store, blob, FetchTime::NODE, ask).await;
                locked(&holders).end(
                    from,
                    matches!(fetched, Err(FetchFailure::Ask(AskError::Slow))),
                    Instant::now(),
                );
                match fetched {
                    Ok(()) => event = Event::BlobStored(blob),
                    Err(reason) => {
                        tracing::debug!(blob = %blob.hash, %from, %reason, "blob not fetched");
                    }
                }
            }
            // A closed channel means that the node stops.
            let _ = events.send(event).await;
        });
    }

    /// Reads a blob of at most `limit` bytes and tells what it holds.
    fn read<T: BorshDeserialize>(
        &self,
        blob: BlobId,
        limit: usize,
        event: impl FnOnce(BlobId, Option<Box<T>>) -> Event + Send + 'static,
    ) {
        let (store, events) = (self.store.clone(), self.events.clone());
        tokio::task::spawn_blocking(move || {
            let small = usize::try_from(blob.length).is_ok_and(|length| length <= limit);
            let bytes = if small {
                store
                    .read(blob)
                    .inspect_err(|error| report_rot(&events, error))
                    .ok()
            } else {
                None
            };
            let read = bytes.and_then(|bytes| decode::<T>(&bytes, limit).ok());
            let _ = events.blocking_send(event(blob, read.map(Box::new)));
        });
    }
}

/// Tells the core of a blob that has changed on disk and was dropped.
fn report_rot(events: &mpsc::Sender<Event>, error: &BlobStoreError) {
    if let BlobStoreError::Corrupt(blob) = error {
        tracing::error!(%error, "bit rot");
        // A closed channel means that the node stops.
        let _ = events.blocking_send(Event::BlobLost(*blob));
    }
}

fn locked(holders: &Mutex<Holders>) -> MutexGuard<'_, Holders> {
    holders.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a blob was not fetched. The chunks that came are kept.
#[derive(Debug, thiserror::Error)]
enum FetchFailure {
    /// The holder gives no chunk, or takes too long over all of them.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What the holder gave is not the chunk, or it cannot be stored.
    #[error(transparent)]
    Store(#[from] BlobStoreError),
    /// The task that stores a chunk ended.
    #[error("a chunk was not stored: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// The store says so.
    #[error("not complete after its last chunk")]
    Incomplete,
}

/// Fetches the chunks that are missing, one after the other, each verified before it is stored, for as long as the
/// time lasts.
async fn fetch<A: Future<Output = Result<Vec<u8>, AskError>>>(
    store: &BlobStore,
    blob: BlobId,
    time: FetchTime,
    ask: impl Fn(Vec<u8>) -> A,
) -> Result<(), FetchFailure> {
    let beginning = store.clone();
    tokio::task::spawn_blocking(move || beginning.begin(blob)).await??;
    let mut allowance = Allowance::new(time);
    for chunk in store.missing(blob) {
        let asked = Instant::now();
        let answer = ask(encode(&ChunkRequest { blob, chunk }));
        let bytes = timeout(allowance.next_chunk(), answer)
            .await
            .map_err(|_| FetchFailure::Ask(AskError::Slow))??;
        allowance.spend(asked.elapsed());
        let store = store.clone();
        let put = tokio::task::spawn_blocking(move || store.put_chunk(blob, chunk, &bytes));
        put.await??;
    }
    if store.has(blob) {
        Ok(())
    } else {
        Err(FetchFailure::Incomplete)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use types::limits::BLOB_CHUNK_BYTES;

    use super::*;

    /// A holder that drips stays within any limit of a single answer. What came from it is kept and not asked again.
    #[tokio::test]
    async fn a_holder_that_drips_is_given_up_and_another_goes_on_where_it_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| BlobStore::open(&directory.path().join(name), 16 << 20).unwrap();
        let (theirs, ours) = (open("theirs"), open("ours"));
        let bytes = vec![7; usize::try_from(4 * BLOB_CHUNK_BYTES).unwrap()];
        let blob = theirs.put_bytes(&bytes).unwrap();
        let time = FetchTime {
            grace: Duration::from_secs(2),
            chunk: Duration::from_millis(10),
        };
        let asked = RefCell::new(Vec::new());
        let answer = |request: Vec<u8>| {
            let request: ChunkRequest = decode(&request, MAX_CHUNK_REQUEST_BYTES).unwrap();
            asked.borrow_mut().push(request.chunk);
            Ok(theirs.encode_chunk(request.blob, request.chunk).unwrap())
        };
        let dripping = async |request| {
            // Nothing ends this but the time that it takes.
            let _ = timeout(Duration::from_millis(1_200), std::future::pending::<()>()).await;
            answer(request)
        };
        let slow = fetch(&ours, blob, time, dripping).await;
        assert!(
            matches!(slow, Err(FetchFailure::Ask(AskError::Slow))),
            "{slow:?}"
        );
        let stored = ours.progress(blob).stored;
        assert!(stored < 4, "before all of it has dripped in");
        asked.borrow_mut().clear();
        fetch(&ours, blob, time, async |request| answer(request))
            .await
            .unwrap();
        assert!(ours.has(blob));
        assert!(asked.borrow().iter().copied().eq(stored..4));
    }
}
