//! Opening a store: one process, one chain, one format, and a head that the records beside it agree with.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use rocksdb::DB;
use state::tree;
use state::{StateError, StoreDamage, StoredRecord, Writes};
use types::genesis::Genesis;
use types::hash::ChainId;
use types::state_key::StateKey;

use crate::commit::write_genesis;
use crate::database::{Database, Store, family, present, stored};
use crate::error::engine_failure;
use crate::layout::{FORMAT, Head, KEY_CHAIN, KEY_FORMAT, KEY_HEAD, META};
use crate::node_cache::NodeCache;
use crate::value_cache::ValueCache;
use crate::{StoreError, StoreSettings};

impl Store {
    /// Opens the store in `directory`, or makes one at height 0 with the state that genesis writes.
    pub fn open(
        directory: &Path,
        genesis: &Genesis,
        genesis_writes: Writes,
    ) -> Result<Self, StoreError> {
        Self::open_with(directory, genesis, genesis_writes, StoreSettings::default())
    }

    /// Opens a store with bounds of one's own.
    pub fn open_with(
        directory: &Path,
        genesis: &Genesis,
        genesis_writes: Writes,
        settings: StoreSettings,
    ) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        let db = DB::open_cf_descriptors(
            &settings.database(),
            directory.join("db"),
            settings.families(),
        )
        .map_err(|error| engine_failure(&error))?;
        let head = match check_marker(&db, genesis.chain_id())? {
            Some(head) => head,
            None => write_genesis(&db, genesis, genesis_writes)?,
        };
        let store = Self(Arc::new(Database {
            db,
            head: RwLock::new(head),
            failed: Mutex::new(false),
            history: settings.history,
            tree: NodeCache::new(settings.tree_bytes),
            values: ValueCache::new(settings.value_bytes, head.tip.height),
            _lock: lock,
        }));
        store.check_head()?;
        tracing::info!(height = head.tip.height.0, root = %head.tip.root, "store open");
        Ok(store)
    }

    /// Checks what everything relies on: the head's block is stored under its height, and its root is the tree's.
    fn check_head(&self) -> Result<(), StateError> {
        let Head { tip, kept } = self.0.head();
        if !kept.is_ordered(tip.height) {
            let tip = tip.height;
            return Err(StoreDamage::KeptHeights { kept, tip }.into());
        }
        let (record, height) = (StoredRecord::Block, tip.height);
        let block = self.0.block_at(height)?;
        let found = block.ok_or(StoreDamage::MissingAt { record, height })?.id();
        if found != tip.block {
            let expected = tip.block;
            return Err(StoreDamage::OtherBlock {
                height,
                expected,
                found,
            }
            .into());
        }
        tree::prove(self, height, &tip.root, &StateKey::Chain.hash())?;
        Ok(())
    }
}

pub(crate) fn lock(directory: &Path) -> Result<File, StoreError> {
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

/// Checks format and chain; `None` if no batch was ever written.
fn check_marker(db: &DB, expected: ChainId) -> Result<Option<Head>, StoreError> {
    let meta = |key: &[u8]| {
        db.get_cf(family(db, META), key)
            .map_err(|error| engine_failure(&error))
    };
    let Some(format) = meta(KEY_FORMAT)? else {
        if meta(KEY_HEAD)?.is_some() {
            return Err(StateError::from(StoreDamage::Missing(StoredRecord::Format)).into());
        }
        return Ok(None);
    };
    let found = stored(StoredRecord::Format, &format).map_err(StateError::from)?;
    if found != FORMAT {
        return Err(StoreError::Format {
            found,
            supported: FORMAT,
        });
    }
    let found = present(StoredRecord::Chain, meta(KEY_CHAIN)?).map_err(StateError::from)?;
    if found != expected {
        return Err(StoreError::OtherChain { found, expected });
    }
    let head = present(StoredRecord::Head, meta(KEY_HEAD)?).map_err(StateError::from)?;
    Ok(Some(head))
}
