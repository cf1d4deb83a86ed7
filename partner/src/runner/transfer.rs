//! Moving blobs: down from whichever endpoint has them, up to one that takes all of them.

use std::time::{Duration, Instant};

use blobs::BlobStore;
use executor::NoResult;
use futures::stream::{self, StreamExt, TryStreamExt};
use rpc::ClientError;
use tokio::time::MissedTickBehavior;
use types::hash::{BlobId, JobId};

use super::{Cancel, JobRunner, RunnerError};
use crate::assignment::Assignment;
use crate::endpoints::Endpoint;

/// Chunks in flight at the same time.
const PARALLEL_CHUNKS: usize = 4;
/// Pause before a chunk that no endpoint had is asked for again.
const PAUSE: Duration = Duration::from_millis(500);

impl JobRunner {
    /// Brings blobs into a store. Tries on until they are here or nobody wants them any more: which endpoints have them
    /// changes while they replicate.
    pub(super) async fn fetch(
        &self,
        store: &BlobStore,
        blobs: &[BlobId],
        cancel: &Cancel,
    ) -> Result<(), RunnerError> {
        let mut pause = tokio::time::interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for blob in blobs {
            while !store.has(*blob) {
                pause.tick().await;
                if cancel.is_cancelled() {
                    return Err(NoResult::Cancelled.into());
                }
                store.reserve(*blob)?;
                let missing = store.missing(*blob);
                let chunks =
                    stream::iter(missing).map(|chunk| self.fetch_chunk(store, *blob, chunk));
                chunks
                    .buffer_unordered(PARALLEL_CHUNKS)
                    .try_collect::<Vec<()>>()
                    .await?;
            }
        }
        Ok(())
    }

    /// Takes a chunk from the first endpoint that has it. That none has it is no error; a full disk is.
    async fn fetch_chunk(
        &self,
        store: &BlobStore,
        blob: BlobId,
        chunk: u32,
    ) -> Result<(), RunnerError> {
        for endpoint in self.endpoints.available(Instant::now()) {
            let encoded = match endpoint.client.blob_chunk(blob, u64::from(chunk)).await {
                Ok(encoded) => encoded,
                Err(error) => {
                    blame(endpoint, &error);
                    continue;
                }
            };
            let store = store.clone();
            let put = tokio::task::spawn_blocking(move || store.put_chunk(blob, chunk, &encoded));
            match put.await? {
                Ok(_) => return Ok(()),
                Err(blobs::BlobStoreError::Chunk(error)) => {
                    endpoint.lied(Instant::now(), &error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Brings an assignment's results to one endpoint, the list of outcomes first: the list tells validators what else to
    /// take. True if an endpoint says to have all of them, which nobody proves: `offer` counts the offers before, and
    /// each begins with another endpoint.
    pub async fn upload(
        &self,
        assignment: Assignment,
        blobs: &[BlobId],
        offer: usize,
    ) -> Result<bool, RunnerError> {
        let results = self.results_of(&assignment)?;
        for endpoint in self.endpoints.available_from(offer, Instant::now()) {
            match upload_to(endpoint, &results, assignment.job, blobs).await {
                Ok(()) => return Ok(true),
                Err(UploadError::Endpoint(error)) => blame(endpoint, &error),
                Err(UploadError::Stuck(blob)) => {
                    endpoint.failed(Instant::now(), &format!("does not take blob {}", blob.hash));
                }
                Err(UploadError::Here(error)) => return Err(error),
            }
        }
        Ok(false)
    }
}

enum UploadError {
    Endpoint(ClientError),
    Stuck(BlobId),
    Here(RunnerError),
}

async fn upload_to(
    endpoint: &Endpoint,
    results: &BlobStore,
    job: JobId,
    blobs: &[BlobId],
) -> Result<(), UploadError> {
    for blob in blobs {
        let mut sent: u64 = 0;
        let mut missing = missing_chunks(endpoint, *blob)
            .await
            .map_err(UploadError::Endpoint)?;
        while let Some(chunk) = missing.pop() {
            let store = results.clone();
            let (id, number) = (*blob, u32::try_from(chunk).unwrap_or(u32::MAX));
            let encoded = tokio::task::spawn_blocking(move || store.encode_chunk(id, number)).await;
            let encoded = encoded.map_err(|error| UploadError::Here(error.into()))?;
            let encoded = encoded.map_err(|error| UploadError::Here(error.into()))?;
            let status = endpoint
                .client
                .put_blob_chunk(job, *blob, chunk, encoded)
                .await
                .map_err(UploadError::Endpoint)?;
            sent += 1;
            if status.complete {
                break;
            }
            if missing.is_empty() {
                missing = status.missing;
            }
            // An endpoint that keeps asking would keep this upload for ever.
            if sent > 2 * u64::from(blobs::chunk_count(*blob)) + 2 {
                return Err(UploadError::Stuck(*blob));
            }
        }
    }
    Ok(())
}

/// The chunks that an endpoint still wants, as far as it lists them.
async fn missing_chunks(endpoint: &Endpoint, blob: BlobId) -> Result<Vec<u64>, ClientError> {
    match endpoint.client.blob(blob).await {
        Ok(status) if status.complete => Ok(Vec::new()),
        Ok(status) if !status.missing.is_empty() => Ok(status.missing),
        Ok(_) => Ok((0..u64::from(blobs::chunk_count(blob))).collect()),
        Err(error) if error.is_not_found() => {
            Ok((0..u64::from(blobs::chunk_count(blob))).collect())
        }
        Err(error) => Err(error),
    }
}

/// Not having a blob, or not wanting it yet, is no fault; not answering is.
fn blame(endpoint: &Endpoint, error: &ClientError) {
    match error {
        ClientError::Refused { status, .. } if *status < 500 => {
            tracing::debug!(endpoint = endpoint.client.url(), %error, "endpoint refused");
        }
        error => endpoint.failed(Instant::now(), &error.to_string()),
    }
}

#[cfg(test)]
mod tests;
