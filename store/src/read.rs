//! Reading: the traits that state names, over RocksDB.

use rocksdb::{DB, DBRawIteratorWithThreadMode, Snapshot};
use state::tree::{NodeKey, TreeNodes};
use state::{ChainStore, DecidedState, Decision, Durability, StateError, StateRead, Tip};
use types::block::Block;
use types::hash::{BlockId, Hash32, TransactionId};
use types::number::Height;
use types::state_key::StateKey;
use types::transaction::TransactionReceipt;
use types::vote::Certificate;

use crate::error::{damaged, storage};
use crate::layout::{
    BLOCKS, CERTIFICATES, FLAT, HEIGHTS, Head, KEY_HEAD, META, NODES, OLD, RECEIPTS, TRANSACTIONS,
    UNDO, Undo, height_key, height_of_key, old_key,
};
use crate::store::{Inner, Store, family, stored};

/// One moment of the database.
struct Moment<'a> {
    db: &'a DB,
    snapshot: Snapshot<'a>,
}

impl<'a> Moment<'a> {
    fn get(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.snapshot
            .get_cf(family(self.db, name), key)
            .map_err(|error| storage(&error))
    }

    fn head(&self) -> Result<Head, StateError> {
        stored("head", &self.get(META, KEY_HEAD)?.unwrap_or_default())
    }

    fn kept(&self, height: Height) -> Result<Head, StateError> {
        let head = self.head()?;
        let (oldest, tip) = (head.oldest, head.tip.height);
        if height < oldest || height > tip {
            return Err(StateError::NotKept {
                height,
                oldest,
                tip,
            });
        }
        Ok(head)
    }

    fn rows(&'a self, name: &str) -> DBRawIteratorWithThreadMode<'a, DB> {
        self.snapshot.raw_iterator_cf(family(self.db, name))
    }
}

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// The row that an iterator stands on; none at the end, an error if the iterator ended on one.
pub(crate) fn row(rows: &DBRawIteratorWithThreadMode<'_, DB>) -> Result<Option<Row>, StateError> {
    if let (Some(key), Some(value)) = (rows.key(), rows.value()) {
        return Ok(Some((key.to_vec(), value.to_vec())));
    }
    rows.status().map_err(|error| storage(&error))?;
    Ok(None)
}

impl Inner {
    pub(crate) fn get(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.db
            .get_cf(family(&self.db, name), key)
            .map_err(|error| storage(&error))
    }

    fn moment(&self) -> Moment<'_> {
        Moment {
            db: &self.db,
            snapshot: self.db.snapshot(),
        }
    }

    pub(crate) fn block_at(&self, height: Height) -> Result<Option<Block>, StateError> {
        let Some(bytes) = self.get(BLOCKS, &height_key(height))? else {
            return Ok(None);
        };
        let block: Block = stored("block", &bytes)?;
        if block.header.height != height {
            return Err(damaged(format!(
                "the block of height {height} says it is of {}",
                block.header.height
            )));
        }
        Ok(Some(block))
    }
}

fn certificate((key, value): Row) -> Result<(Height, Certificate), StateError> {
    let height = height_of_key(&key).ok_or_else(|| damaged("a certificate's key is no height"))?;
    Ok((height, stored("certificate", &value)?))
}

impl StateRead for Store {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(FLAT, &key.to_bytes())
    }
}

impl TreeNodes for Store {
    fn node(&self, key: &NodeKey) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(NODES, key.as_bytes())
    }
}

impl DecidedState for Store {
    fn tip(&self) -> Tip {
        self.0.head().tip
    }

    fn oldest(&self) -> Height {
        self.0.head().oldest
    }

    fn root_at(&self, height: Height) -> Result<Hash32, StateError> {
        let moment = self.0.moment();
        let head = moment.kept(height)?;
        if height == head.tip.height {
            return Ok(head.tip.root);
        }
        let undo = moment.get(UNDO, &height_key(height.next()))?;
        let undo: Undo = stored("undo record", &undo.unwrap_or_default())?;
        Ok(undo.previous.root)
    }

    fn read_at(&self, height: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        let moment = self.0.moment();
        let head = moment.kept(height)?;
        if height < head.tip.height {
            // The first block above that changed the key knows what it replaced.
            let from = old_key(key, height.next());
            let mut rows = moment.rows(OLD);
            rows.seek(&from);
            if let Some((_, old)) = row(&rows)?.filter(|(found, _)| found[..32] == from[..32]) {
                return stored("old value", &old);
            }
        }
        moment.get(FLAT, &key.to_bytes())
    }
}

impl ChainStore for Store {
    fn commit(&self, decision: &Decision, durability: Durability) -> Result<(), StateError> {
        self.write_decision(decision, durability)
    }

    fn undo(&self) -> Result<Tip, StateError> {
        self.write_undo()
    }

    fn block_at(&self, height: Height) -> Result<Option<Block>, StateError> {
        self.0.block_at(height)
    }

    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError> {
        let Some(bytes) = self.0.get(HEIGHTS, &block.0.0)? else {
            return Ok(None);
        };
        height_of_key(&bytes)
            .map(Some)
            .ok_or_else(|| damaged(format!("the height of block {block}")))
    }

    fn receipts_at(&self, height: Height) -> Result<Option<Vec<TransactionReceipt>>, StateError> {
        let bytes = self.0.get(RECEIPTS, &height_key(height))?;
        bytes.map(|bytes| stored("receipts", &bytes)).transpose()
    }

    fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StateError> {
        let bytes = self.0.get(TRANSACTIONS, &id.0.0)?;
        bytes
            .map(|bytes| stored("place of a transaction", &bytes))
            .transpose()
    }

    fn certificate_from(
        &self,
        height: Height,
    ) -> Result<Option<(Height, Certificate)>, StateError> {
        let moment = self.0.moment();
        let mut rows = moment.rows(CERTIFICATES);
        rows.seek(height_key(height));
        row(&rows)?.map(certificate).transpose()
    }

    fn newest_certificate(&self) -> Result<Option<(Height, Certificate)>, StateError> {
        let moment = self.0.moment();
        let mut rows = moment.rows(CERTIFICATES);
        rows.seek_to_last();
        row(&rows)?.map(certificate).transpose()
    }
}
