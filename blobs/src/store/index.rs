//! The index of a store in memory: the blobs that are here or on their way, and the quota that they take.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use types::hash::BlobId;

use crate::error::BlobStoreError;

/// An upload in progress.
#[derive(Debug)]
pub(super) struct PartialBlob {
    /// Held while its bytes are written, hashed and synced, which takes as long as the disk does. Locked before
    /// everything else.
    pub(super) writing: Mutex<()>,
    /// For each chunk, whether it is durable. Held for moments only.
    pub(super) marks: Mutex<Vec<bool>>,
}

impl PartialBlob {
    pub(super) fn new(marks: Vec<bool>) -> Arc<Self> {
        Arc::new(Self {
            writing: Mutex::default(),
            marks: Mutex::new(marks),
        })
    }
}

/// How far a blob has come.
#[derive(Debug, Clone)]
pub(super) enum BlobState {
    /// Some chunks are stored. Its locks are never taken while the index is held.
    Partial(Arc<PartialBlob>),
    /// All bytes are stored and were hashed as a whole.
    Complete,
}

impl BlobState {
    /// True for this very upload.
    pub(super) fn is(&self, upload: &Arc<PartialBlob>) -> bool {
        matches!(self, Self::Partial(current) if Arc::ptr_eq(current, upload))
    }
}

/// A blob's state, and the bytes of the quota that it takes.
#[derive(Debug)]
pub(super) struct IndexRow {
    pub(super) entry: BlobState,
    pub(super) bytes: u64,
}

/// All blobs, and the bytes that they take together.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) rows: BTreeMap<BlobId, IndexRow>,
    pub(super) used: u64,
}

impl Index {
    pub(super) fn insert(&mut self, id: BlobId, entry: BlobState, bytes: u64) {
        self.used = self.used.saturating_add(bytes);
        self.rows.insert(id, IndexRow { entry, bytes });
    }

    pub(super) fn remove(&mut self, id: BlobId) {
        if let Some(row) = self.rows.remove(&id) {
            self.used = self.used.saturating_sub(row.bytes);
        }
    }

    /// Gives an upload room for `more` bytes, for no more than the blob has in all. Returns the bytes added.
    pub(super) fn grow(
        &mut self,
        id: BlobId,
        more: u64,
        quota: u64,
    ) -> Result<u64, BlobStoreError> {
        let Some(row) = self.rows.get_mut(&id) else {
            return Err(BlobStoreError::Absent(id));
        };
        let needed = more.min(id.length.saturating_sub(row.bytes));
        let free = quota.saturating_sub(self.used);
        if needed > free {
            return Err(BlobStoreError::QuotaExceeded {
                needed,
                free,
                quota,
            });
        }
        row.bytes += needed;
        self.used += needed;
        Ok(needed)
    }

    /// Takes room back that [`Index::grow`] gave to this upload.
    pub(super) fn shrink(&mut self, id: BlobId, upload: &Arc<PartialBlob>, bytes: u64) {
        if let Some(row) = self.rows.get_mut(&id).filter(|row| row.entry.is(upload)) {
            row.bytes = row.bytes.saturating_sub(bytes);
            self.used = self.used.saturating_sub(bytes);
        }
    }
}
