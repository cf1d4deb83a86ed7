//! The open database: one handle for all threads, the head that the newest batch left, and decoding of records.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use borsh::BorshDeserialize;
use rocksdb::{ColumnFamily, DB};
use state::{StateError, StoreDamage, StoredRecord};
use types::codec::decode;
use types::number::Height;

use crate::error::engine_failure;
use crate::history::KeptHistory;
use crate::layout::Head;
use crate::node_cache::NodeCache;
use crate::value_cache::ValueCache;

/// Maximum length of a stored record, in bytes: above any block, list of receipts or undo record.
pub(crate) const MAX_RECORD_BYTES: usize = 256 << 20;

/// A handle of the store of decided blocks; clones share it. The directory is free again when the last one is gone.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Database>);

pub(crate) struct Database {
    pub(crate) db: DB,
    /// The head that the newest batch left; readers of the tip do not touch the disk.
    pub(crate) head: RwLock<Head>,
    /// How much of the past is kept.
    pub(crate) history: KeptHistory,
    /// Nodes of the tree that were read or made lately.
    pub(crate) tree: NodeCache,
    /// Flat values that were read or written lately.
    pub(crate) values: ValueCache,
    /// Held by the one writer; true once a write has failed.
    pub(crate) failed: Mutex<bool>,
    /// Dropped after the database: the next process may open it then.
    pub(crate) _lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("head", &self.0.head())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// How many handles share the store, this one included.
    #[must_use]
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Makes all that was written durable.
    pub fn sync(&self) -> Result<(), StateError> {
        let synced = self.0.db.flush_wal(true);
        synced.map_err(|error| engine_failure(&error))
    }
}

impl Database {
    /// The value under a key of a family, if there is one.
    pub(crate) fn get(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.db
            .get_cf(family(&self.db, name), key)
            .map_err(|error| engine_failure(&error))
    }

    pub(crate) fn head(&self) -> Head {
        *self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_head(&self, head: Head) {
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

/// A column family; all are made when the database is opened.
pub(crate) fn family<'a>(db: &'a DB, name: &str) -> &'a ColumnFamily {
    db.cf_handle(name)
        .expect("every family of the layout is opened or made")
}

/// Decodes a record that this store wrote; an error is damage.
pub(crate) fn stored<T: BorshDeserialize>(
    record: StoredRecord,
    bytes: &[u8],
) -> Result<T, StoreDamage> {
    decode(bytes, MAX_RECORD_BYTES).map_err(|error| StoreDamage::Undecodable { record, error })
}

/// Decodes a record that every store has.
pub(crate) fn present<T: BorshDeserialize>(
    record: StoredRecord,
    bytes: Option<Vec<u8>>,
) -> Result<T, StoreDamage> {
    stored(record, &bytes.ok_or(StoreDamage::Missing(record))?)
}

/// Decodes a record that a height must have.
pub(crate) fn present_at<T: BorshDeserialize>(
    record: StoredRecord,
    height: Height,
    bytes: Option<Vec<u8>>,
) -> Result<T, StoreDamage> {
    stored(
        record,
        &bytes.ok_or(StoreDamage::MissingAt { record, height })?,
    )
}
