//! Limits of the interface: what a request may bring, and what a client reads of an answer.

use types::limits::{
    BLOB_CHUNK_BYTES, MAX_GENESIS_BYTES, MAX_STATE_VALUE_BYTES, MAX_TRANSACTION_BYTES,
};

/// Largest encoded blob chunk with its proof, in bytes, up and down.
pub const MAX_CHUNK_BODY_BYTES: usize = 300 << 10;
/// Largest body of a submitted transaction or of a job to estimate, in bytes.
pub const MAX_REQUEST_BYTES: usize = MAX_TRANSACTION_BYTES;
/// Maximum number of transactions in one request.
pub const MAX_SUBMITTED: usize = 256;
/// Largest body of a request with several transactions, in bytes.
pub const MAX_SUBMITTED_BYTES: usize = 1 << 20;
/// Maximum number of events in one answer.
pub const MAX_EVENTS_PER_PAGE: usize = 1_000;
/// Longest time that a server holds a long poll, in milliseconds.
pub const MAX_WAIT_MS: u64 = 25_000;
/// Maximum number of jobs in one list.
pub const MAX_LISTED_JOBS: usize = 1_000;
/// Maximum number of partners in one list.
pub const MAX_LISTED_PARTNERS: usize = 1_000;
/// Maximum number of missing chunks that a blob's status names.
pub const MAX_LISTED_CHUNKS: usize = 256;
/// Largest JSON answer that a client reads, in bytes.
pub const MAX_JSON_BYTES: usize = 8 << 20;
/// Largest proof that a client reads, in bytes.
pub const MAX_PROOF_BYTES: usize = 2 << 20;

const _: () = {
    assert!(
        MAX_CHUNK_BODY_BYTES as u64 > BLOB_CHUNK_BYTES + 16 * 64,
        "a chunk fits with its proof"
    );
    assert!(
        MAX_PROOF_BYTES > MAX_STATE_VALUE_BYTES + (1 << 20),
        "a proof fits with its value and a header path"
    );
    assert!(
        MAX_JSON_BYTES > MAX_GENESIS_BYTES,
        "a client reads a genesis"
    );
};
