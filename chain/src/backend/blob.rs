//! Blobs over HTTP: chunks out to anybody, chunks in only of blobs that a live job names.

use blobs::{BlobStore, BlobStoreError};
use borsh::BorshDeserialize;
use rpc::model::BlobStatus;
use rpc_server::ApiError;
use types::attestation::Outcomes;
use types::codec::decode;
use types::hash::{BlobId, JobId};
use types::job::{JobRecord, Stage, TaskStates};
use types::limits::{MAX_OUTCOMES_BYTES, MAX_STATES_BYTES};

use super::view::{At, internal};

fn failed(error: &BlobStoreError) -> ApiError {
    match error {
        BlobStoreError::Io { .. } => ApiError::internal(error.to_string()),
        _ => ApiError::refused(
            "blob_refused",
            error.to_string(),
            "check hash, length and the chunk's proof",
        ),
    }
}

/// What there is of a blob.
pub async fn status(store: BlobStore, id: BlobId) -> Result<BlobStatus, ApiError> {
    let work = tokio::task::spawn_blocking(move || {
        let progress = store.progress(id);
        (progress.stored > 0 || progress.is_complete()).then(|| report(&store, id))
    });
    work.await.map_err(internal)?.ok_or_else(|| {
        let message = format!("blob {} of {} bytes is not here", id.hash, id.length);
        let hint = "ask another node, or upload it for a live job";
        ApiError::not_found("blob", message, hint)
    })
}

fn report(store: &BlobStore, id: BlobId) -> BlobStatus {
    let progress = store.progress(id);
    let missing = store
        .missing(id)
        .into_iter()
        .take(rpc::limits::MAX_LISTED_CHUNKS)
        .map(u64::from)
        .collect();
    BlobStatus {
        complete: progress.is_complete(),
        chunks: u64::from(progress.total),
        missing,
    }
}

fn number(chunk: u64) -> Result<u32, ApiError> {
    u32::try_from(chunk).map_err(|_| {
        ApiError::malformed(
            "chunk",
            format!("there is no chunk {chunk}"),
            "chunks are numbered from 0",
        )
    })
}

/// A chunk with its proof.
pub async fn chunk(store: BlobStore, id: BlobId, chunk: u64) -> Result<Vec<u8>, ApiError> {
    let number = number(chunk)?;
    let work = tokio::task::spawn_blocking(move || {
        if !store.has(id) {
            let message = format!("blob {} of {} bytes is not here", id.hash, id.length);
            return Err(ApiError::not_found("blob", message, "ask another node"));
        }
        store
            .encode_chunk(id, number)
            .map_err(|error| failed(&error))
    });
    work.await.map_err(internal)?
}

/// Takes a chunk, verified.
pub async fn put(
    store: BlobStore,
    id: BlobId,
    chunk: u64,
    bytes: Vec<u8>,
) -> Result<BlobStatus, ApiError> {
    let number = number(chunk)?;
    let work = tokio::task::spawn_blocking(move || {
        store.put_chunk(id, number, &bytes)?;
        Ok(report(&store, id))
    });
    work.await
        .map_err(internal)?
        .map_err(|error: BlobStoreError| failed(&error))
}

/// Refuses a blob that the job does not name at its stage: its inputs while it is open, in a chain the states that its primary
/// handed on, its outcomes and what they name once they were opened.
pub fn check_wanted(at: &At, store: &BlobStore, job: JobId, id: BlobId) -> Result<(), ApiError> {
    let record = vm::query::job(at, &job).map_err(internal)?.ok_or_else(|| {
        ApiError::not_found(
            "job",
            format!("there is no job {job}"),
            "upload once the job's transaction is final",
        )
    })?;
    let named = match &record.stage {
        Stage::Pending(_) => {
            let spec = vm::query::spec(at, &job).map_err(internal)?;
            spec.workload.blobs().contains(&id)
        }
        Stage::Assigned(_) => is_state(&record, store, id),
        _ => is_result(&record, store, id),
    };
    if named {
        return Ok(());
    }
    let message = format!(
        "job {job} is {} and does not name this blob of {} bytes",
        record.stage.name(),
        id.length
    );
    Err(ApiError::refused(
        "blob_not_named",
        message,
        "inputs are taken while a job is open, results once they are opened",
    ))
}

/// True for the list of states that the primary of a chain handed on, and for what it names.
// Rule C80.
fn is_state(record: &JobRecord, store: &BlobStore, id: BlobId) -> bool {
    let list = record.states.map(|states| states.list);
    let names = |states: &TaskStates| states.files().any(|file| file == id);
    is_listed((record, store), (list, MAX_STATES_BYTES), id, names)
}

/// True for the list of outcomes that the primary opened, and for what it names.
fn is_result(record: &JobRecord, store: &BlobStore, id: BlobId) -> bool {
    let list = record.stage.agreed().map(|opening| opening.outcomes);
    let names = |outcomes: &Outcomes| outcomes.blobs().contains(&id);
    is_listed((record, store), (list, MAX_OUTCOMES_BYTES), id, names)
}

/// True for a list of at most so many bytes, and for what it names once it is here.
fn is_listed<T: BorshDeserialize>(
    (record, store): (&JobRecord, &BlobStore),
    (list, limit): (Option<BlobId>, usize),
    id: BlobId,
    names: impl FnOnce(&T) -> bool,
) -> bool {
    let Some(list) = list else {
        return false;
    };
    if list == id {
        return usize::try_from(id.length).is_ok_and(|length| length <= limit);
    }
    id.length <= record.terms.output_bytes
        && store.has(list)
        && store
            .read(list)
            .ok()
            .and_then(|bytes| decode(&bytes, limit).ok())
            .is_some_and(|read| names(&read))
}
