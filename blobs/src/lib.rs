//! Blobs: bytes named by BLAKE3 hash and length, moved in chunks of 256 KiB that each carry their proof.
//!
//! [`chunk`] is pure: it encodes and verifies single chunks and is all that a client needs. [`store`] keeps blobs on
//! disk: verified, resumable, crash-safe and below a quota.
//!
//! A chunk's proof shows that the bytes are at that position of *some* blob with that hash; only the last chunk proves
//! the length as well. A blob therefore counts as present only when all of its chunks are, and its hash and length
//! were checked once more over the whole.

pub mod chunk;
mod error;
pub mod store;

pub use chunk::{
    Assembler, ChunkError, Encoder, MAX_ENCODED_CHUNK_BYTES, chunk_count, chunk_length,
    encoded_length, verify_chunk,
};
pub use error::{BlobStoreError, DiskOperation};
pub use store::{BlobProgress, BlobStore};
