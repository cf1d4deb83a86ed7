//! Moving blobs: fetching from validators, answering them, reading lists of outcomes, removing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use blobs::{BlobStore, StoreError};
use p2p::RequestError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use types::attestation::Outcomes;
use types::codec::{decode, encode};
use types::hash::{BlobId, ValidatorId};
use types::limits::MAX_OUTCOMES_BYTES;

use super::Input;
use super::holders::{Allowance, Holders, Patience};
use crate::core::{BlobRequest, ChunkRequest, Event};

/// Blobs that are fetched at once.
const FETCHING: usize = 8;
/// Largest encoded request for a chunk, in bytes.
const MAX_CHUNK_REQUEST_BYTES: usize = 64;

/// Starts tasks that move blobs.
pub struct BlobTasks {
    store: BlobStore,
    network: p2p::Handle,
    inputs: mpsc::Sender<Input>,
    fetching: Arc<Semaphore>,
    holders: Arc<Mutex<Holders>>,
}

impl BlobTasks {
    /// Over a store and a network; results go to `inputs`.
    pub fn new(store: BlobStore, network: p2p::Handle, inputs: mpsc::Sender<Input>) -> Self {
        let (fetching, holders) = (Arc::new(Semaphore::new(FETCHING)), Arc::default());
        Self {
            store,
            network,
            inputs,
            fetching,
            holders,
        }
    }

    /// Performs what the core asks.
    pub fn perform(&self, request: BlobRequest) {
        match request {
            BlobRequest::Fetch { blob, from } => self.fetch(blob, from),
            BlobRequest::ReadOutcomes { blob } => self.read_outcomes(blob),
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
        let (store, inputs) = (self.store.clone(), self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            match store.encode_chunk(request.blob, request.chunk) {
                Ok(chunk) => {
                    // Whoever asked may have given up.
                    let _ = reply.send(chunk);
                }
                Err(error) => report_rot(&inputs, &error),
            }
        });
    }

    fn fetch(&self, blob: BlobId, from: ValidatorId) {
        let (store, network, inputs) = (
            self.store.clone(),
            self.network.clone(),
            self.inputs.clone(),
        );
        let (fetching, holders) = (self.fetching.clone(), self.holders.clone());
        let begins = locked(&holders).begin(from, Instant::now());
        tokio::spawn(async move {
            let mut event = Event::BlobMissing { blob, from };
            if begins {
                let Ok(_permit) = fetching.acquire_owned().await else {
                    return;
                };
                let ask = |request| network.request(from, request);
                let fetched = fetch(&store, blob, Patience::NODE, ask).await;
                locked(&holders).end(from, matches!(fetched, Err(Failed::Slow)), Instant::now());
                match fetched {
                    Ok(()) => event = Event::BlobStored(blob),
                    Err(reason) => {
                        tracing::debug!(blob = %blob.hash, %from, %reason, "blob not fetched")
                    }
                }
            }
            // A closed channel means that the node stops.
            let _ = inputs.send(Input::Core(event)).await;
        });
    }

    fn read_outcomes(&self, blob: BlobId) {
        let (store, inputs) = (self.store.clone(), self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let small =
                usize::try_from(blob.length).is_ok_and(|length| length <= MAX_OUTCOMES_BYTES);
            let bytes = if small {
                store
                    .read(blob)
                    .inspect_err(|error| report_rot(&inputs, error))
                    .ok()
            } else {
                None
            };
            let outcomes = bytes
                .and_then(|bytes| decode::<Outcomes>(&bytes, MAX_OUTCOMES_BYTES).ok())
                .map(Box::new);
            let _ = inputs.blocking_send(Input::Core(Event::OutcomesRead { blob, outcomes }));
        });
    }
}

/// Tells the core of a blob that has changed on disk and was dropped.
fn report_rot(inputs: &mpsc::Sender<Input>, error: &StoreError) {
    if let StoreError::Corrupt(blob) = error {
        tracing::error!(%error, "bit rot");
        // A closed channel means that the node stops.
        let _ = inputs.blocking_send(Input::Core(Event::BlobLost(*blob)));
    }
}

fn locked(holders: &Mutex<Holders>) -> MutexGuard<'_, Holders> {
    holders.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a blob was not fetched. The chunks that came are kept.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// The holder took too long.
    #[error("it took too long")]
    Slow,
    /// The holder does not give it.
    #[error(transparent)]
    Refused(RequestError),
    /// What the holder gave is not the chunk, or it cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task that stores a chunk ended.
    #[error("a chunk was not stored: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// The store says so.
    #[error("not complete after its last chunk")]
    Incomplete,
}

impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Timeout(_) => Self::Slow,
            other => Self::Refused(other),
        }
    }
}

/// Fetches the chunks that are missing, one after the other, each verified before it is stored, for as long as the
/// patience lasts.
async fn fetch<A: Future<Output = Result<Vec<u8>, RequestError>>>(
    store: &BlobStore,
    blob: BlobId,
    patience: Patience,
    ask: impl Fn(Vec<u8>) -> A,
) -> Result<(), Failed> {
    store.begin(blob)?;
    let mut allowance = Allowance::new(patience);
    for chunk in store.missing(blob) {
        let asked = Instant::now();
        let answer = ask(encode(&ChunkRequest { blob, chunk }));
        let bytes = timeout(allowance.next_chunk(), answer)
            .await
            .map_err(|_| Failed::Slow)??;
        allowance.spend(asked.elapsed());
        let store = store.clone();
        let put = tokio::task::spawn_blocking(move || store.put_chunk(blob, chunk, &bytes));
        put.await??;
    }
    if store.has(blob) {
        Ok(())
    } else {
        Err(Failed::Incomplete)
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
        let patience = Patience {
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
        let began = Instant::now();
        let slow = fetch(&ours, blob, patience, dripping).await;
        assert!(matches!(slow, Err(Failed::Slow)), "{slow:?}");
        assert!(
            began.elapsed() < Duration::from_millis(4 * 1_200),
            "before all of it has dripped in"
        );
        assert_eq!(ours.progress(blob).stored, 1);
        asked.borrow_mut().clear();
        fetch(&ours, blob, patience, async |request| answer(request))
            .await
            .unwrap();
        assert!(ours.has(blob));
        assert_eq!(*asked.borrow(), [1, 2, 3]);
    }

    #[test]
    fn a_request_that_times_out_is_slow_and_one_that_is_refused_is_not() {
        let from = types::testing::validator_id(1);
        assert!(matches!(
            Failed::from(RequestError::Timeout(from)),
            Failed::Slow
        ));
        assert!(matches!(
            Failed::from(RequestError::NotConnected(from)),
            Failed::Refused(_)
        ));
    }
}
