//! Why a store of blobs refused or failed.

use std::io;
use std::path::PathBuf;

use types::hash::BlobId;
use types::limits::MAX_BLOB_BYTES;

use crate::chunk::ChunkError;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobStoreError {
    /// The blob is larger than any job may name.
    #[error("a blob of {length} bytes, at most {MAX_BLOB_BYTES} are allowed")]
    TooLarge {
        /// The length that the id names, in bytes.
        length: u64,
    },
    /// There is no room below the quota. Retryable once something was removed.
    #[error("{needed} bytes are needed and {free} of the quota of {quota} are free")]
    QuotaExceeded {
        /// Bytes to be stored.
        needed: u64,
        /// Bytes below the quota that nothing takes.
        free: u64,
        /// Maximum bytes of the store.
        quota: u64,
    },
    /// The chunk is not the one it is said to be.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The blob is not here, or not completely.
    #[error("blob {0} is not here")]
    Absent(BlobId),
    /// The stored bytes are no longer the blob; they were dropped.
    #[error("the stored bytes of blob {0} have changed on disk and were dropped")]
    Corrupt(BlobId),
    /// Another process uses the directory.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A call of the operating system failed.
    #[error("cannot {attempt} {}: {source}", path.display())]
    Io {
        /// The operation that failed.
        attempt: DiskOperation,
        /// The file or directory.
        path: PathBuf,
        /// Error of the operating system's call.
        source: io::Error,
    },
}

/// An operation on a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiskOperation {
    /// Opening a file.
    #[error("open")]
    Open,
    /// Making a file or directory.
    #[error("make")]
    Make,
    /// Reading a file or its length.
    #[error("read")]
    Read,
    /// Writing a file.
    #[error("write")]
    Write,
    /// Making writes durable (fsync of a file or directory).
    #[error("sync")]
    Sync,
    /// Renaming a file.
    #[error("rename")]
    Rename,
    /// Removing a file.
    #[error("remove")]
    Remove,
    /// Listing a directory.
    #[error("list")]
    List,
    /// Taking the lock that keeps a second process out of the directory.
    #[error("lock")]
    Lock,
}
