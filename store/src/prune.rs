//! Dropping old heights within the batch of a commit: state, blocks and index, each up to a bound.

use state::tree::NodeKey;
use state::{KeptHeights, StateError, StoreDamage, StoredRecord, SubmittedJob};
use types::block::Block;
use types::number::Height;

use crate::commit::{Batch, undo_at};
use crate::database::Database;
use crate::history::PruneBudget;
use crate::layout::{
    BLOCKS, CERTIFICATES, HEIGHTS, JOBS, NODES, PROPOSERS, RECEIPTS, TRANSACTIONS, height_key,
    job_key,
};

/// What a commit dropped.
pub(crate) struct Pruned {
    /// The lowest heights that are still kept.
    pub(crate) kept: KeptHeights,
    /// Nodes of the tree that went.
    pub(crate) nodes: Vec<NodeKey>,
}

impl Batch<'_> {
    /// Drops what lies below the wanted heights, as far as the bounds of one commit go.
    pub(crate) fn prune(
        &mut self,
        database: &Database,
        mut kept: KeptHeights,
        wanted: &KeptHeights,
    ) -> Result<Pruned, StateError> {
        let mut nodes = Vec::new();
        let mut budget = PruneBudget::new();
        while kept.state < wanted.state && budget.is_left() {
            kept.state = kept.state.next();
            nodes.extend(self.prune_state(kept.state)?);
            budget.spend(0);
        }
        let mut budget = PruneBudget::new();
        while kept.blocks < wanted.blocks.min(kept.state) && budget.is_left() {
            let (block, bytes) = block_to_drop(database, kept.blocks)?;
            if kept.transactions == kept.blocks {
                self.drop_transactions(&block);
                kept.transactions = kept.transactions.next();
            }
            self.drop_block(&block);
            kept.blocks = kept.blocks.next();
            budget.spend(bytes);
        }
        while kept.transactions < wanted.transactions && budget.is_left() {
            let (block, bytes) = block_to_drop(database, kept.transactions)?;
            self.drop_transactions(&block);
            kept.transactions = kept.transactions.next();
            budget.spend(bytes);
        }
        Ok(Pruned { kept, nodes })
    }

    /// Drops what only heights below `height` needed: its undo record and the nodes it made stale, which it gives.
    fn prune_state(&mut self, height: Height) -> Result<Vec<NodeKey>, StateError> {
        let record = StoredRecord::Undo;
        let undo = undo_at(self.db, height)?.ok_or(StoreDamage::MissingAt { record, height })?;
        for node in &undo.stale {
            self.delete(NODES, node.to_bytes());
        }
        self.drop_undo(height, &undo);
        Ok(undo.stale)
    }

    /// Takes a block's transactions and jobs out of the indexes.
    pub(crate) fn drop_transactions(&mut self, block: &Block) {
        for transaction in &block.body.transactions {
            self.delete(TRANSACTIONS, transaction.id().0.0);
            if let Some(SubmittedJob { customer, job }) = SubmittedJob::of(transaction) {
                self.delete(JOBS, job_key(&customer, block.header.height, &job));
            }
        }
    }

    /// Drops a block with everything that is stored of it beside state and index.
    pub(crate) fn drop_block(&mut self, block: &Block) {
        self.delete(HEIGHTS, block.id().0.0);
        for name in [BLOCKS, RECEIPTS, CERTIFICATES, PROPOSERS] {
            self.delete(name, height_key(block.header.height));
        }
    }
}

/// A block that must be there, and the length of its record in bytes.
fn block_to_drop(database: &Database, height: Height) -> Result<(Block, usize), StateError> {
    let record = StoredRecord::Block;
    let found = database.stored_block(height)?;
    Ok(found.ok_or(StoreDamage::MissingAt { record, height })?)
}
