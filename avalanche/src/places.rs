//! Where things lie in the directory that the host gives a chain, and the store there: opened, taken back to the host's
//! record, or replaced by one that came from other nodes.
//!
//! A synced store takes the other's place in two renames, and only once the host's record names its last block: so
//! whatever moment a process or the power ends at, there is one store, and it is not ahead of the host.

use std::path::{Path, PathBuf};

use state::DecidedState;
use store::{ChainStore, KeptHistory, StagedStore, Store, StoreError, StoreSettings};
use types::genesis::Genesis;

use crate::record::{self, AcceptedRecord, HostRecordError, UNDO_HEIGHTS};

/// Why the store of a chain cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ChainPlaceError {
    /// The genesis is not one that a state follows from.
    #[error("the chain's genesis: {0}")]
    GenesisState(#[from] vm::GenesisStateError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store and the host's record do not fit.
    #[error(transparent)]
    Record(#[from] HostRecordError),
    /// A directory cannot be moved or removed.
    #[error("{}: {source}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The places in a chain's directory.
#[derive(Debug, Clone)]
pub struct ChainFolder(PathBuf);

impl ChainFolder {
    /// The directory that the host gives.
    pub fn new(path: &str) -> Self {
        Self(PathBuf::from(path))
    }

    fn own(&self, name: &str) -> PathBuf {
        self.0.join("gridproof").join(name)
    }

    /// The store.
    pub fn db(&self) -> PathBuf {
        self.own("db")
    }

    /// The state that arrives from other nodes.
    pub fn staged(&self) -> PathBuf {
        self.own("staged")
    }

    /// The store whose place was taken, until it is removed.
    fn replaced(&self) -> PathBuf {
        self.own("replaced")
    }

    /// Blobs.
    pub fn blobs(&self) -> PathBuf {
        self.own("blobs")
    }

    /// Blocks that failed in execution.
    pub fn quarantine(&self) -> PathBuf {
        self.own("quarantine")
    }

    /// Keys, unless the configuration names another folder.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Opens the store, which then is not ahead of the host's record. `accepted` is the record.
    pub fn open_store(
        &self,
        genesis: &Genesis,
        accepted: Option<AcceptedRecord>,
    ) -> Result<Store, ChainPlaceError> {
        let recorded = accepted.map_or(0, |record| record.height.0);
        self.finish_replacing()?;
        let staged = self.staged_height()?;
        if staged.is_some_and(|(height, is_whole)| is_whole && height <= recorded) {
            tracing::info!("a synced state takes its place");
            self.replace()?;
        }
        let mut store = open(&self.db(), genesis)?;
        // Only a synced store lacks its first blocks, and what is below them cannot be taken back.
        if store.kept().blocks.0 > recorded {
            tracing::warn!(record = recorded, store = %store.tip().height,
                "the host has lost what the synced state rests on: it is removed");
            drop(store);
            remove(&self.db())?;
            store = open(&self.db(), genesis)?;
        }
        record::take_back(&store, accepted)?;
        let tip = store.tip().height.0;
        if staged.is_some_and(|(height, _)| height <= tip) {
            self.drop_staged()?;
        }
        Ok(store)
    }

    /// Removes the state that arrives.
    pub fn drop_staged(&self) -> Result<(), ChainPlaceError> {
        remove(&self.staged())
    }

    /// Opens the store that a synced state became, before it takes its place.
    pub fn open_staged(&self, genesis: &Genesis) -> Result<Store, ChainPlaceError> {
        open(&self.staged(), genesis)
    }

    /// Height of the block whose parent's state arrives, and whether all of it is here; none if nothing arrives.
    fn staged_height(&self) -> Result<Option<(u64, bool)>, ChainPlaceError> {
        let Some(staged) = StagedStore::open(&self.staged(), &settings())? else {
            return Ok(None);
        };
        let is_whole = staged.is_whole().map_err(StoreError::from)?;
        Ok(Some((staged.target().height.0, is_whole)))
    }

    /// Puts the synced store in the place of the store, neither of which is open.
    pub fn replace(&self) -> Result<(), ChainPlaceError> {
        remove(&self.replaced())?;
        if self.db().exists() {
            rename(&self.db(), &self.replaced())?;
        }
        self.finish_replacing()
    }

    /// What is left to be done if a process ended between the two renames, or after them.
    fn finish_replacing(&self) -> Result<(), ChainPlaceError> {
        if !self.db().exists() && self.replaced().exists() {
            let from = if self.staged().exists() {
                self.staged()
            } else {
                self.replaced()
            };
            rename(&from, &self.db())?;
        }
        remove(&self.replaced())
    }
}

/// The settings of a store whose newest heights can be taken back: see [`record`].
pub fn settings() -> StoreSettings {
    StoreSettings {
        history: KeptHistory {
            state: Some(UNDO_HEIGHTS),
            ..KeptHistory::default()
        },
        ..StoreSettings::default()
    }
}

fn open(directory: &Path, genesis: &Genesis) -> Result<Store, ChainPlaceError> {
    let writes = vm::genesis_writes(genesis)?;
    Ok(Store::open_with(directory, genesis, writes, settings())?)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> ChainPlaceError {
    let path = path.to_owned();
    move |source| ChainPlaceError::Directory { path, source }
}

/// Renames a directory, durably.
fn rename(from: &Path, to: &Path) -> Result<(), ChainPlaceError> {
    std::fs::rename(from, to).map_err(failed(from))?;
    let parent = to.parent().unwrap_or(to);
    let synced = std::fs::File::open(parent).and_then(|folder| folder.sync_all());
    synced.map_err(failed(parent))
}

fn remove(directory: &Path) -> Result<(), ChainPlaceError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(directory)(error)),
        _ => Ok(()),
    }
}
