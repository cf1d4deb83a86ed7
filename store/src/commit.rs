//! Writing: one atomic batch per decided block, with its undo record, and the pruning of heights that are old enough.

use std::sync::{Arc, MutexGuard, PoisonError};

use rocksdb::{DB, WriteBatch, WriteOptions};
use state::{
    Decision, Diff, Durability, KeptHeights, StateError, StateStorageError, StoreDamage,
    StoredRecord, SubmittedJob, Tip, Writes, check_late_finality, genesis_diff, submitted_jobs,
};
use types::block::{Block, Body};
use types::codec::encode;
use types::genesis::Genesis;
use types::hash::ChainId;
use types::number::Height;
use types::transaction::TransactionReceipt;
use types::vote::Certificate;

use crate::database::{Database, Store, family, stored};
use crate::error::engine_failure;
use crate::layout::{
    BLOCKS, CERTIFICATES, FLAT, FORMAT, HEIGHTS, Head, JOBS, KEY_CHAIN, KEY_FORMAT, KEY_HEAD, META,
    NODES, OLD, OldRow, PROPOSERS, RECEIPTS, TRANSACTIONS, UNDO, Undo, height_key, job_key,
    old_key,
};

/// A batch under construction.
pub(crate) struct Batch<'a> {
    pub(crate) db: &'a DB,
    writes: WriteBatch,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(db: &'a DB) -> Self {
        Self {
            db,
            writes: WriteBatch::default(),
        }
    }

    pub(crate) fn put(&mut self, name: &str, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.writes.put_cf(family(self.db, name), key, value);
    }

    pub(crate) fn delete(&mut self, name: &str, key: impl AsRef<[u8]>) {
        self.writes.delete_cf(family(self.db, name), key);
    }

    pub(crate) fn put_head(&mut self, head: Head) {
        self.put(META, KEY_HEAD, encode(&head));
    }

    fn put_state(&mut self, diff: &Diff) {
        for (key, value) in &diff.writes {
            match value {
                Some(bytes) => self.put(FLAT, key.hash().0, encode(&(key, bytes))),
                None => self.delete(FLAT, key.hash().0),
            }
        }
        for (key, node) in &diff.tree.new {
            self.put(NODES, key.to_bytes(), node.to_bytes());
        }
    }

    pub(crate) fn put_block(&mut self, block: &Block, receipts: &[TransactionReceipt]) {
        let height = height_key(block.header.height);
        self.put(BLOCKS, height, encode(block));
        self.put(RECEIPTS, height, encode(receipts));
        self.put(HEIGHTS, block.id().0.0, height);
        for (position, transaction) in (0u32..).zip(&block.body.transactions) {
            self.put(
                TRANSACTIONS,
                transaction.id().0.0,
                encode(&(block.header.height, position)),
            );
        }
        for SubmittedJob { customer, job } in submitted_jobs(block, receipts) {
            self.put(JOBS, job_key(&customer, block.header.height, &job), []);
        }
    }

    fn put_undo(&mut self, previous: Tip, diff: &Diff) {
        for (key, before) in &diff.before {
            self.put(
                OLD,
                old_key(&key.hash(), diff.height),
                encode(&(key, before)),
            );
        }
        let undo = Undo {
            previous,
            keys: diff.before.keys().copied().collect(),
            new: diff.tree.new.keys().copied().collect(),
            stale: diff.tree.stale.iter().copied().collect(),
        };
        self.put(UNDO, height_key(diff.height), encode(&undo));
    }

    pub(crate) fn drop_undo(&mut self, height: Height, undo: &Undo) {
        for key in &undo.keys {
            self.delete(OLD, old_key(&key.hash(), height));
        }
        self.delete(UNDO, height_key(height));
    }

    pub(crate) fn write(self, durability: Durability) -> Result<(), StateError> {
        self.db
            .write_opt(self.writes, &write_options(durability))
            .map_err(|error| engine_failure(&error))
    }
}

fn write_options(durability: Durability) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(durability == Durability::Synced);
    options
}

pub(crate) fn undo_at(db: &DB, height: Height) -> Result<Option<Undo>, StateError> {
    let bytes = db
        .get_cf(family(db, UNDO), height_key(height))
        .map_err(|error| engine_failure(&error))?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let undo: Undo = stored(StoredRecord::Undo, &bytes)?;
    if undo.previous.height.next() != height {
        return Err(StoreDamage::OtherHeight {
            record: StoredRecord::Undo,
            height,
            found: undo.previous.height.next(),
        }
        .into());
    }
    Ok(Some(undo))
}

/// Writes height 0 and the markers, in one batch: a store that was begun but never got so far is begun again.
pub(crate) fn write_genesis(
    db: &DB,
    genesis: &Genesis,
    writes: Writes,
) -> Result<Head, StateError> {
    let block = Block {
        header: genesis.header(),
        body: Body::default(),
    };
    let diff = genesis_diff(&block.header, writes)?;
    let head = Head {
        tip: diff.tip(),
        kept: KeptHeights {
            state: Height::ZERO,
            blocks: Height::ZERO,
            transactions: Height::ZERO,
        },
    };
    let chain: ChainId = genesis.chain_id();
    let mut batch = Batch::new(db);
    batch.put(META, KEY_FORMAT, encode(&FORMAT));
    batch.put(META, KEY_CHAIN, encode(&chain));
    batch.put_state(&diff);
    batch.put_block(&block, &[]);
    batch.put_head(head);
    batch.write(Durability::Synced)?;
    Ok(head)
}

impl Store {
    pub(crate) fn write_decision(
        &self,
        decision: &Decision,
        durability: Durability,
    ) -> Result<(), StateError> {
        let inner = &*self.0;
        let mut failed = inner.writer()?;
        let Head { tip, kept } = inner.head();
        decision.check(&tip)?;
        let diff = &decision.diff;
        let mut batch = Batch::new(&inner.db);
        batch.put_state(diff);
        batch.put_block(&decision.block, &decision.receipts);
        batch.put_undo(tip, diff);
        if let Some(certificate) = &decision.finality {
            batch.put(CERTIFICATES, height_key(diff.height), encode(certificate));
        }
        if let Some(proposer) = &decision.proposer {
            batch.put(PROPOSERS, height_key(diff.height), encode(proposer));
        }
        let tip = diff.tip();
        let pruned = batch.prune(inner, kept, &inner.history.wanted(tip.height))?;
        let kept = pruned.kept;
        inner.values.enter(tip.height, &diff.writes);
        inner.write(batch, Head { tip, kept }, durability, &mut failed)?;
        let made = diff.tree.new.iter();
        inner
            .tree
            .add(made.map(|(key, node)| (*key, Arc::clone(node))));
        inner.tree.remove(&pruned.nodes);
        Ok(())
    }

    /// Buffered: who loses it in a crash gathers another, or serves a lower proof.
    pub(crate) fn write_finality(
        &self,
        height: Height,
        finality: &Certificate,
    ) -> Result<(), StateError> {
        let inner = &*self.0;
        // While it is held, no block comes or goes.
        let mut failed = inner.writer()?;
        check_late_finality(self, height, finality)?;
        let mut batch = Batch::new(&inner.db);
        batch.put(CERTIFICATES, height_key(height), encode(finality));
        inner.write(batch, inner.head(), Durability::Buffered, &mut failed)
    }

    pub(crate) fn write_undo(&self) -> Result<Tip, StateError> {
        let inner = &*self.0;
        let mut failed = inner.writer()?;
        let Head { tip, mut kept } = inner.head();
        let height = tip.height;
        let undo = undo_at(&inner.db, height)?.ok_or(StateError::NothingToUndo(height))?;
        assert!(
            kept.state < height,
            "a height that can be undone is above the oldest"
        );
        kept.transactions = kept.transactions.min(undo.previous.height);
        let mut batch = Batch::new(&inner.db);
        for key in &undo.keys {
            let old = inner.get(OLD, &old_key(&key.hash(), height))?;
            let old = old.ok_or(StoreDamage::MissingOldValue { height, key: *key })?;
            match stored::<OldRow>(StoredRecord::OldValue, &old)? {
                (_, Some(value)) => batch.put(FLAT, key.hash().0, encode(&(key, value))),
                (_, None) => batch.delete(FLAT, key.hash().0),
            }
        }
        for node in &undo.new {
            batch.delete(NODES, node.to_bytes());
        }
        batch.drop_undo(height, &undo);
        let record = StoredRecord::Block;
        let block = inner
            .block_at(height)?
            .ok_or(StoreDamage::MissingAt { record, height })?;
        batch.drop_transactions(&block);
        batch.drop_block(&block);
        let tip = undo.previous;
        inner.values.cut_back(tip.height);
        inner.write(batch, Head { tip, kept }, Durability::Synced, &mut failed)?;
        inner.values.cut_back(tip.height);
        // Another block may make nodes of the same names.
        inner.tree.remove(&undo.new);
        Ok(undo.previous)
    }
}

impl Database {
    /// The right to write, unless a write has failed before: what reached the disk then is known after a restart.
    fn writer(&self) -> Result<MutexGuard<'_, bool>, StateError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            return Err(StateStorageError::Stopped.into());
        }
        Ok(failed)
    }

    fn write(
        &self,
        mut batch: Batch<'_>,
        head: Head,
        durability: Durability,
        failed: &mut bool,
    ) -> Result<(), StateError> {
        assert!(
            head.kept.is_ordered(head.tip.height),
            "{:?} are kept at height {}",
            head.kept,
            head.tip.height
        );
        batch.put_head(head);
        let result = batch.write(durability);
        match &result {
            Ok(()) => self.set_head(head),
            Err(error) => {
                *failed = true;
                tracing::error!(%error, "a write failed; the store takes no more");
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synced_write_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let db = DB::open_default(folder.path()).unwrap();
        for durability in [Durability::Synced, Durability::Buffered] {
            // The engine refuses to sync what it does not log: so it is seen that it was asked to.
            let mut options = write_options(durability);
            options.disable_wal(true);
            let written = db.put_opt(b"key", b"value", &options);
            assert_eq!(written.is_err(), durability == Durability::Synced);
        }
    }
}
