//! Why a store cannot be opened, and RocksDB's failures in our terms.

use std::path::PathBuf;

use state::{StateError, StorageFailure};
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
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Written by another version of this program.
    #[error("the store is of format {found}, this program reads format {supported}")]
    Format {
        /// What is on disk.
        found: u32,
        /// What this program reads.
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

/// How the system says that a file cannot grow; RocksDB passes its words on and nothing else.
const FULL: [&str; 4] = [
    "No space left",
    "NoSpace",
    "Disk quota exceeded",
    "File too large",
];

/// Translates a failure of RocksDB.
pub(crate) fn storage(error: &rocksdb::Error) -> StateError {
    let reason = error.to_string();
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => StorageFailure::Damaged,
        _ if FULL.iter().any(|text| reason.contains(text)) => StorageFailure::Full,
        _ => StorageFailure::Io,
    };
    StateError::Storage { kind, reason }
}

/// What is stored contradicts itself.
pub(crate) fn damaged(reason: impl Into<String>) -> StateError {
    StateError::Storage {
        kind: StorageFailure::Damaged,
        reason: reason.into(),
    }
}
