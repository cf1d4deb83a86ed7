//! Moving blobs: down from whichever server has them, up to one that takes all of them.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use blobs::BlobStore;
use futures::stream::{self, StreamExt, TryStreamExt};
use rpc::ClientError;
use tokio::time::MissedTickBehavior;
use types::hash::{BlobId, JobId};

use super::{Cancel, Work};
use crate::part::Part;
use crate::servers::Server;

/// Chunks in flight at the same time.
const PARALLEL_CHUNKS: usize = 4;
/// Pause before a chunk that no server had is asked for again.
const PAUSE: Duration = Duration::from_millis(500);

impl Work {
    /// Brings blobs here. Tries on until they are here or nobody wants them any more: which servers have them
    /// changes while they replicate.
    pub(super) async fn fetch(&self, blobs: &[BlobId], cancel: &Cancel) -> anyhow::Result<()> {
        let mut pause = tokio::time::interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for blob in blobs {
            while !self.inputs.has(*blob) {
                pause.tick().await;
                if cancel.is_cancelled() {
                    bail!("nobody waits for it any more");
                }
                self.inputs.reserve(*blob)?;
                let missing = self.inputs.missing(*blob);
                let chunks = stream::iter(missing).map(|chunk| self.fetch_chunk(*blob, chunk));
                chunks
                    .buffer_unordered(PARALLEL_CHUNKS)
                    .try_collect::<Vec<()>>()
                    .await?;
            }
        }
        Ok(())
    }

    /// Takes a chunk from the first server that has it. That none has it is no error; a full disk is.
    async fn fetch_chunk(&self, blob: BlobId, chunk: u32) -> anyhow::Result<()> {
        for server in self.servers.available(Instant::now()) {
            let encoded = match server.client.blob_chunk(blob, u64::from(chunk)).await {
                Ok(encoded) => encoded,
                Err(error) => {
                    blame(server, &error);
                    continue;
                }
            };
            let inputs = self.inputs.clone();
            let put = tokio::task::spawn_blocking(move || inputs.put_chunk(blob, chunk, &encoded));
            match put.await.context("storing a chunk panicked")? {
                Ok(_) => return Ok(()),
                Err(blobs::StoreError::Chunk(error)) => {
                    server.lied(Instant::now(), &error.to_string())
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Brings a part's results to one server, the list of outcomes first: the list tells validators what else to
    /// take. True if a server says to have all of them, which nobody proves: `offer` counts the offers before, and
    /// each begins with another server.
    pub async fn upload(&self, part: Part, blobs: &[BlobId], offer: usize) -> anyhow::Result<bool> {
        let results = self.results_of(&part)?;
        for server in self.servers.available_from(offer, Instant::now()) {
            match upload_to(server, &results, part.job, blobs).await {
                Ok(()) => return Ok(true),
                Err(UploadError::Server(error)) => blame(server, &error),
                Err(UploadError::Stuck(blob)) => {
                    server.failed(Instant::now(), &format!("does not take blob {}", blob.hash));
                }
                Err(UploadError::Here(error)) => return Err(error),
            }
        }
        Ok(false)
    }
}

enum UploadError {
    Server(ClientError),
    Stuck(BlobId),
    Here(anyhow::Error),
}

async fn upload_to(
    server: &Server,
    results: &BlobStore,
    job: JobId,
    blobs: &[BlobId],
) -> Result<(), UploadError> {
    for blob in blobs {
        let mut sent: u64 = 0;
        let mut missing = missing_chunks(server, *blob)
            .await
            .map_err(UploadError::Server)?;
        while let Some(chunk) = missing.pop() {
            let store = results.clone();
            let (id, number) = (*blob, u32::try_from(chunk).unwrap_or(u32::MAX));
            let encoded = tokio::task::spawn_blocking(move || store.encode_chunk(id, number)).await;
            let encoded = encoded.map_err(|error| UploadError::Here(error.into()))?;
            let encoded = encoded.map_err(|error| UploadError::Here(error.into()))?;
            let status = server
                .client
                .put_blob_chunk(job, *blob, chunk, encoded)
                .await
                .map_err(UploadError::Server)?;
            sent += 1;
            if status.complete {
                break;
            }
            if missing.is_empty() {
                missing = status.missing;
            }
            // A server that keeps asking would keep this upload for ever.
            if sent > 2 * u64::from(blobs::chunk_count(*blob)) + 2 {
                return Err(UploadError::Stuck(*blob));
            }
        }
    }
    Ok(())
}

/// The chunks that a server still wants, as far as it lists them.
async fn missing_chunks(server: &Server, blob: BlobId) -> Result<Vec<u64>, ClientError> {
    match server.client.blob(blob).await {
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
fn blame(server: &Server, error: &ClientError) {
    match error {
        ClientError::Refused { status, .. } if *status < 500 => {
            tracing::debug!(server = server.client.url(), %error, "server refused");
        }
        error => server.failed(Instant::now(), &error.to_string()),
    }
}

#[cfg(test)]
mod tests;
