//! Opening a store: one process, one chain, one format.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use borsh::BorshDeserialize;
use rocksdb::{ColumnFamily, DB};
use state::{StateError, Writes};
use types::codec::decode;
use types::genesis::Genesis;
use types::hash::ChainId;

use crate::error::{damaged, storage};
use crate::layout::{FORMAT, Head, KEY_CHAIN, KEY_FORMAT, KEY_HEAD, META};
use crate::{Settings, StoreError};

/// Above any record that is stored: a block, its receipts, or its undo record.
pub(crate) const MAX_RECORD_BYTES: usize = 256 << 20;

/// A handle of the store of decided blocks; clones share it. The directory is free again when the last one is gone.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: DB,
    /// What the newest batch left; readers of the tip do not touch the disk.
    pub(crate) head: RwLock<Head>,
    /// Held by the one writer; true once a write has failed.
    pub(crate) failed: Mutex<bool>,
    /// Dropped after the database: the next process may open it then.
    _lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("head", &self.0.head())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `directory`, or makes one at height 0 with the state that genesis writes.
    pub fn open(
        directory: &Path,
        genesis: &Genesis,
        genesis_writes: Writes,
    ) -> Result<Self, StoreError> {
        Self::open_with(directory, genesis, genesis_writes, Settings::default())
    }

    /// Opens a store with bounds of one's own.
    pub fn open_with(
        directory: &Path,
        genesis: &Genesis,
        genesis_writes: Writes,
        settings: Settings,
    ) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        let db = DB::open_cf_descriptors(
            &settings.database(),
            directory.join("db"),
            settings.families(),
        )
        .map_err(|error| storage(&error))?;
        let head = match check_marker(&db, genesis.chain_id())? {
            Some(head) => head,
            None => crate::commit::write_genesis(&db, genesis, genesis_writes)?,
        };
        tracing::info!(height = head.tip.height.0, root = %head.tip.root, "store open");
        Ok(Self(Arc::new(Inner {
            db,
            head: RwLock::new(head),
            failed: Mutex::new(false),
            _lock: lock,
        })))
    }
}

impl Inner {
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

/// Decodes what was stored; anything else than what was written is damage.
pub(crate) fn stored<T: BorshDeserialize>(what: &str, bytes: &[u8]) -> Result<T, StateError> {
    decode(bytes, MAX_RECORD_BYTES).map_err(|error| damaged(format!("{what}: {error}")))
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let fail = |error| StoreError::Directory {
        directory: directory.to_owned(),
        error,
    };
    std::fs::create_dir_all(directory).map_err(fail)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("lock"))
        .map_err(fail)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

/// Checks format and chain; nothing is there yet if no batch was ever written.
fn check_marker(db: &DB, expected: ChainId) -> Result<Option<Head>, StoreError> {
    let meta = |key: &[u8]| {
        db.get_cf(family(db, META), key)
            .map_err(|error| storage(&error))
    };
    let Some(format) = meta(KEY_FORMAT)? else {
        if meta(KEY_HEAD)?.is_some() {
            return Err(damaged("the format marker is gone").into());
        }
        return Ok(None);
    };
    let found = stored("format marker", &format)?;
    if found != FORMAT {
        return Err(StoreError::Format {
            found,
            supported: FORMAT,
        });
    }
    let found = stored("chain id", &meta(KEY_CHAIN)?.unwrap_or_default())?;
    if found != expected {
        return Err(StoreError::OtherChain { found, expected });
    }
    Ok(Some(stored("head", &meta(KEY_HEAD)?.unwrap_or_default())?))
}
