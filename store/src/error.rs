//! Why a store cannot be opened, and RocksDB's failures in our terms.

use std::path::PathBuf;

use state::{StateError, StateStorageError, StorageFailure};
use types::hash::ChainId;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another handle of this one, has it open.
    #[error("the store in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be made or its lock not taken.
    #[error("the store's directory {} is not usable: {error}", .directory.display())]
    Directory {
        /// The directory that was given.
        directory: PathBuf,
        /// Error of the operating system.
        error: std::io::Error,
    },
    /// Written by another version of this program.
    #[error("the store is of format {found}, this program reads format {supported}")]
    Format {
        /// The format on disk.
        found: u32,
        /// The format that this program reads and writes.
        supported: u32,
    },
    /// A store of another chain.
    #[error("the store belongs to chain {found}, not to {expected}")]
    OtherChain {
        /// The chain on disk.
        found: ChainId,
        /// The chain of the genesis given.
        expected: ChainId,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The system's words for a file that cannot grow. RocksDB hands them on as text; a code of their own is missing from
/// its interface.
const FULL: [&str; 4] = [
    "No space left",
    "NoSpace",
    "Disk quota exceeded",
    "File too large",
];

/// Translates a failure of RocksDB.
pub(crate) fn engine_failure(error: &rocksdb::Error) -> StateError {
    let message = error.to_string();
    let failure = match error.kind() {
        rocksdb::ErrorKind::Corruption => StorageFailure::Checksum,
        _ if FULL.iter().any(|text| message.contains(text)) => StorageFailure::Full,
        _ => StorageFailure::Io,
    };
    StateStorageError::Engine { failure, message }.into()
}
