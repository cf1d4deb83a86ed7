//! Reading: the traits that state names, over RocksDB.

use std::sync::Arc;

use rocksdb::{DB, DBRawIteratorWithThreadMode, Snapshot};
use state::subtree::{self, StateLeaves, Subtree};
use state::tree::{NodeKey, NodePath, StateNode, TreeNodes};
use state::{
    ChainStore, DecidedState, Decision, Durability, KeptHeights, StateError, StateRead,
    StoreDamage, StoredRecord, Tip,
};
use types::block::Block;
use types::hash::{Address, BlockId, Hash32, JobId, TransactionId};
use types::number::Height;
use types::signed_block::ProposerSignature;
use types::state_key::StateKey;
use types::transaction::TransactionReceipt;
use types::vote::{Certificate, Subject};

use crate::database::{Database, Store, family, present, present_at, stored};
use crate::error::engine_failure;
use crate::layout::{
    BLOCKS, CERTIFICATES, FLAT, FlatRow, HEIGHTS, Head, JOBS, KEY_HEAD, META, NODES, OLD, OldRow,
    PROPOSERS, RECEIPTS, TRANSACTIONS, UNDO, Undo, height_key, height_of_key, job_key, job_of_key,
    old_key,
};
use crate::value_cache::ReadHeight;

/// The database as it was at one moment.
#[derive(Clone)]
pub(crate) struct SnapshotReader<'a> {
    database: &'a Database,
    snapshot: Arc<Snapshot<'a>>,
    /// The head of that moment.
    head: Head,
    at: ReadHeight,
}

impl<'a> SnapshotReader<'a> {
    fn get(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.snapshot
            .get_cf(family(&self.database.db, name), key)
            .map_err(|error| engine_failure(&error))
    }

    fn check_kept(&self, height: Height) -> Result<(), StateError> {
        let (oldest, tip) = (self.head.kept.state, self.head.tip.height);
        if height < oldest || height > tip {
            return Err(StateError::NotKept {
                height,
                oldest,
                tip,
            });
        }
        Ok(())
    }

    /// What the first block above a height replaced under the key of this hash; none if none did.
    fn replaced(&self, key: &Hash32, height: Height) -> Result<Option<OldRow>, StateError> {
        let from = old_key(key, height.next());
        let mut rows = self.rows(OLD);
        rows.seek(&from);
        let old = row(&rows)?.filter(|(found, _)| found[..32] == from[..32]);
        let old = old.map(|(_, old)| stored(StoredRecord::OldValue, &old));
        Ok(old.transpose()?)
    }

    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError> {
        let Some(bytes) = self.get(HEIGHTS, &block.0.0)? else {
            return Ok(None);
        };
        let (record, length) = (StoredRecord::BlockHeight, bytes.len());
        let height = height_of_key(&bytes).ok_or(StoreDamage::BadKey { record, length })?;
        Ok(Some(height))
    }

    /// Decodes a row of the certificates, and checks that it finalizes the block of its height.
    fn certificate(&self, (key, value): StoredRow) -> Result<(Height, Certificate), StateError> {
        let (record, length) = (StoredRecord::Certificate, key.len());
        let height = height_of_key(&key).ok_or(StoreDamage::BadKey { record, length })?;
        let certificate: Certificate = stored(record, &value)?;
        let finalized = match certificate.statement.subject {
            Subject::Finalize { block } => self.height_of(&block)?,
            _ => None,
        };
        if finalized != Some(height) {
            return Err(StoreDamage::OtherCertificate(height).into());
        }
        Ok((height, certificate))
    }

    fn rows(&'a self, name: &str) -> DBRawIteratorWithThreadMode<'a, DB> {
        self.snapshot
            .raw_iterator_cf(family(&self.database.db, name))
    }
}

/// A key and its value.
pub(crate) type StoredRow = (Vec<u8>, Vec<u8>);

/// The row that an iterator stands on; none at the end, an error if the iterator ended on one.
pub(crate) fn row(
    rows: &DBRawIteratorWithThreadMode<'_, DB>,
) -> Result<Option<StoredRow>, StateError> {
    if let (Some(key), Some(value)) = (rows.key(), rows.value()) {
        return Ok(Some((key.to_vec(), value.to_vec())));
    }
    rows.status().map_err(|error| engine_failure(&error))?;
    Ok(None)
}

/// Decodes a row of the state.
fn flat_row(row: Option<Vec<u8>>) -> Result<Option<FlatRow>, StateError> {
    let row = row.map(|row| stored(StoredRecord::Value, &row));
    Ok(row.transpose()?)
}

fn flat_value(row: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, StateError> {
    Ok(flat_row(row)?.map(|(_, value)| value))
}

impl Database {
    fn reader(&self) -> Result<SnapshotReader<'_>, StateError> {
        let cuts = self.values.cuts();
        let snapshot = self.db.snapshot();
        let head = snapshot.get_cf(family(&self.db, META), KEY_HEAD);
        let head = head.map_err(|error| engine_failure(&error))?;
        let head: Head = present(StoredRecord::Head, head)?;
        Ok(SnapshotReader {
            database: self,
            snapshot: Arc::new(snapshot),
            head,
            at: ReadHeight::new(head.tip.height, cuts),
        })
    }

    pub(crate) fn block_at(&self, height: Height) -> Result<Option<Block>, StateError> {
        Ok(self.stored_block(height)?.map(|(block, _)| block))
    }

    /// The block at a height, and the length of its record in bytes.
    pub(crate) fn stored_block(
        &self,
        height: Height,
    ) -> Result<Option<(Block, usize)>, StateError> {
        let Some(bytes) = self.get(BLOCKS, &height_key(height))? else {
            return Ok(None);
        };
        let block: Block = stored(StoredRecord::Block, &bytes)?;
        let found = block.header.height;
        if found != height {
            let record = StoredRecord::Block;
            return Err(StoreDamage::OtherHeight {
                record,
                height,
                found,
            }
            .into());
        }
        Ok(Some((block, bytes.len())))
    }
}

impl StateRead for Store {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        let cuts = self.0.values.cuts();
        let at = ReadHeight::new(self.0.head().tip.height, cuts);
        let stored = || flat_value(self.0.get(FLAT, &key.hash().0)?);
        self.0.values.read(key, at, stored)
    }
}

impl TreeNodes for Store {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        self.0.tree.node(key, || self.0.get(NODES, &key.to_bytes()))
    }
}

impl StateRead for SnapshotReader<'_> {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        let stored = || flat_value(self.get(FLAT, &key.hash().0)?);
        self.database.values.read(key, self.at, stored)
    }
}

impl TreeNodes for SnapshotReader<'_> {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        let stored = || self.get(NODES, &key.to_bytes());
        self.database.tree.node(key, stored)
    }
}

impl DecidedState for SnapshotReader<'_> {
    fn snapshot(&self) -> Result<Box<dyn DecidedState + '_>, StateError> {
        Ok(Box::new(self.clone()))
    }

    fn tip(&self) -> Tip {
        self.head.tip
    }

    fn oldest(&self) -> Height {
        self.head.kept.state
    }

    fn root_at(&self, height: Height) -> Result<Hash32, StateError> {
        self.check_kept(height)?;
        if height == self.head.tip.height {
            return Ok(self.head.tip.root);
        }
        let undo = self.get(UNDO, &height_key(height.next()))?;
        let undo: Undo = present_at(StoredRecord::Undo, height.next(), undo)?;
        if undo.previous.height != height {
            return Err(StoreDamage::OtherHeight {
                record: StoredRecord::Undo,
                height: height.next(),
                found: undo.previous.height.next(),
            }
            .into());
        }
        Ok(undo.previous.root)
    }

    fn read_at(&self, height: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.check_kept(height)?;
        if height < self.head.tip.height
            && let Some((_, old)) = self.replaced(&key.hash(), height)?
        {
            return Ok(old);
        }
        self.read(key)
    }
}

impl StateLeaves for SnapshotReader<'_> {
    fn leaf_at(&self, height: Height, key: &Hash32) -> Result<Option<FlatRow>, StateError> {
        self.check_kept(height)?;
        if height < self.head.tip.height
            && let Some((key, value)) = self.replaced(key, height)?
        {
            return Ok(value.map(|value| (key, value)));
        }
        flat_row(self.get(FLAT, &key.0)?)
    }
}

impl Store {
    /// The piece at a path of the state after a kept height, as another node takes it; none if nothing lies there.
    pub fn subtree(&self, height: Height, path: &NodePath) -> Result<Option<Subtree>, StateError> {
        subtree::read(&self.0.reader()?, height, path)
    }
}

impl DecidedState for Store {
    fn snapshot(&self) -> Result<Box<dyn DecidedState + '_>, StateError> {
        Ok(Box::new(self.0.reader()?))
    }

    fn tip(&self) -> Tip {
        self.0.head().tip
    }

    fn oldest(&self) -> Height {
        self.0.head().kept.state
    }

    fn root_at(&self, height: Height) -> Result<Hash32, StateError> {
        self.0.reader()?.root_at(height)
    }

    fn read_at(&self, height: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        self.0.reader()?.read_at(height, key)
    }
}

impl ChainStore for Store {
    fn commit(&self, decision: &Decision, durability: Durability) -> Result<(), StateError> {
        self.write_decision(decision, durability)
    }

    fn undo(&self) -> Result<Tip, StateError> {
        self.write_undo()
    }

    fn kept(&self) -> KeptHeights {
        self.0.head().kept
    }

    fn block_at(&self, height: Height) -> Result<Option<Block>, StateError> {
        self.0.block_at(height)
    }

    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError> {
        self.0.reader()?.height_of(block)
    }

    fn receipts_at(&self, height: Height) -> Result<Option<Vec<TransactionReceipt>>, StateError> {
        let bytes = self.0.get(RECEIPTS, &height_key(height))?;
        let receipts = bytes.map(|bytes| stored(StoredRecord::Receipts, &bytes));
        Ok(receipts.transpose()?)
    }

    fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StateError> {
        let bytes = self.0.get(TRANSACTIONS, &id.0.0)?;
        let position = bytes.map(|bytes| stored(StoredRecord::TransactionPosition, &bytes));
        Ok(position.transpose()?)
    }

    fn jobs_of(
        &self,
        customer: &Address,
        limit: usize,
    ) -> Result<Vec<(Height, JobId)>, StateError> {
        let snapshot = self.0.reader()?;
        let mut rows = snapshot.rows(JOBS);
        let last = JobId(Hash32([0xff; 32]));
        rows.seek_for_prev(job_key(customer, Height(u64::MAX), &last));
        let mut jobs = Vec::new();
        while jobs.len() < limit
            && let Some((key, _)) = row(&rows)?.filter(|(key, _)| key.starts_with(&customer.0))
        {
            let (record, length) = (StoredRecord::CustomerJob, key.len());
            let job = job_of_key(customer, &key);
            jobs.push(job.ok_or(StoreDamage::BadKey { record, length })?);
            rows.prev();
        }
        Ok(jobs)
    }

    fn finalize(&self, height: Height, finality: &Certificate) -> Result<(), StateError> {
        self.write_finality(height, finality)
    }

    fn proposer_at(&self, height: Height) -> Result<Option<ProposerSignature>, StateError> {
        let bytes = self.0.get(PROPOSERS, &height_key(height))?;
        let proposer = bytes.map(|bytes| stored(StoredRecord::Proposer, &bytes));
        Ok(proposer.transpose()?)
    }

    fn certificate_from(
        &self,
        height: Height,
    ) -> Result<Option<(Height, Certificate)>, StateError> {
        let snapshot = self.0.reader()?;
        let mut rows = snapshot.rows(CERTIFICATES);
        rows.seek(height_key(height));
        let row = row(&rows)?;
        row.map(|row| snapshot.certificate(row)).transpose()
    }

    fn newest_certificate(&self) -> Result<Option<(Height, Certificate)>, StateError> {
        let snapshot = self.0.reader()?;
        let mut rows = snapshot.rows(CERTIFICATES);
        rows.seek_to_last();
        let row = row(&rows)?;
        row.map(|row| snapshot.certificate(row)).transpose()
    }
}
