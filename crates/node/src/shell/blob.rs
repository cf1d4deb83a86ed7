//! Moving blobs: fetching from validators, answering them, reading lists of outcomes, removing.

use std::sync::Arc;

use blobs::{BlobStore, StoreError};
use tokio::sync::{Semaphore, mpsc, oneshot};
use types::attestation::Outcomes;
use types::codec::{decode, encode};
use types::hash::BlobId;
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::ValidatorIndex;

use super::Input;
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
}

impl BlobTasks {
    /// Over a store and a network; results go to `inputs`.
    pub fn new(store: BlobStore, network: p2p::Handle, inputs: mpsc::Sender<Input>) -> Self {
        Self { store, network, inputs, fetching: Arc::new(Semaphore::new(FETCHING)) }
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
        let Ok(request) = decode::<ChunkRequest>(bytes, MAX_CHUNK_REQUEST_BYTES) else { return };
        let (store, inputs) = (self.store.clone(), self.inputs.clone());
        tokio::task::spawn_blocking(move || match store.encode_chunk(request.blob, request.chunk) {
            Ok(chunk) => {
                // Whoever asked may have given up.
                let _ = reply.send(chunk);
            }
            Err(error) => report_rot(&inputs, &error),
        });
    }

    fn fetch(&self, blob: BlobId, from: ValidatorIndex) {
        let (store, network, inputs) = (self.store.clone(), self.network.clone(), self.inputs.clone());
        let fetching = self.fetching.clone();
        tokio::spawn(async move {
            let Ok(_permit) = fetching.acquire_owned().await else { return };
            let event = match fetch(&store, &network, blob, from).await {
                Ok(()) => Event::BlobStored(blob),
                Err(reason) => {
                    tracing::debug!(blob = %blob.hash, from = from.0, %reason, "blob not fetched");
                    Event::BlobMissing { blob, from }
                }
            };
            // A closed channel means that the node stops.
            let _ = inputs.send(Input::Core(event)).await;
        });
    }

    fn read_outcomes(&self, blob: BlobId) {
        let (store, inputs) = (self.store.clone(), self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let small = usize::try_from(blob.length).is_ok_and(|length| length <= MAX_OUTCOMES_BYTES);
            let bytes =
                if small { store.read(blob).inspect_err(|error| report_rot(&inputs, error)).ok() } else { None };
            let outcomes = bytes.and_then(|bytes| decode::<Outcomes>(&bytes, MAX_OUTCOMES_BYTES).ok()).map(Box::new);
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

/// Fetches the chunks that are missing, one after the other, each verified before it is stored.
async fn fetch(store: &BlobStore, network: &p2p::Handle, blob: BlobId, from: ValidatorIndex) -> Result<(), String> {
    store.begin(blob).map_err(|error| error.to_string())?;
    for chunk in store.missing(blob) {
        let request = encode(&ChunkRequest { blob, chunk });
        let bytes = network.request(from, request).await.map_err(|error| error.to_string())?;
        let store = store.clone();
        let put = tokio::task::spawn_blocking(move || store.put_chunk(blob, chunk, &bytes));
        put.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    }
    if store.has(blob) { Ok(()) } else { Err("not complete after its last chunk".to_owned()) }
}
