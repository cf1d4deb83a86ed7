//! The store of decided blocks in memory: the model that the one on disk is checked against, and the disk of
//! simulated nodes, which loses what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use types::block::{Block, Body};
use types::genesis::Genesis;
use types::hash::{Address, BlockId, Hash32, JobId, TransactionId};
use types::limits::KEPT_HEIGHTS;
use types::number::Height;
use types::signed_block::ProposerSignature;
use types::state_key::StateKey;
use types::transaction::TransactionReceipt;
use types::vote::Certificate;

use crate::chain::{ChainStore, DecidedState, Decision, Durability, check_late_finality};
use crate::compute::genesis_diff;
use crate::diff::Tip;
use crate::jobs::submitted_jobs;
use crate::kept::KeptHeights;
use crate::subtree::StateLeaves;
use crate::tree::{NodeKey, StateNode, TreeNodes};
use crate::{StateError, StateRead, Writes};

/// A handle of a store in memory; clones share the store, see [`MemoryStore::fork`] for a copy.
#[derive(Debug, Clone)]
pub struct MemoryStore(Arc<RwLock<Content>>);

#[derive(Debug, Clone)]
struct Content {
    tip: Tip,
    flat: BTreeMap<StateKey, Vec<u8>>,
    nodes: BTreeMap<NodeKey, Arc<StateNode>>,
    /// Undo entries of the heights above the lowest kept one, without gaps up to the tip.
    undo: BTreeMap<Height, UndoEntry>,
    blocks: BTreeMap<Height, (Block, Vec<TransactionReceipt>)>,
    heights: BTreeMap<BlockId, Height>,
    certificates: BTreeMap<Height, Certificate>,
    proposers: BTreeMap<Height, ProposerSignature>,
    transactions: BTreeMap<TransactionId, (Height, u32)>,
    /// Commits since the last synced one.
    unsynced: u64,
}

#[derive(Debug, Clone)]
struct UndoEntry {
    previous: Tip,
    before: Writes,
    new: Vec<NodeKey>,
    stale: BTreeSet<NodeKey>,
}

impl MemoryStore {
    /// A store at height 0 with the state that genesis writes.
    pub fn new(genesis: &Genesis, genesis_writes: Writes) -> Result<Self, StateError> {
        let block = Block {
            header: genesis.header(),
            body: Body::default(),
        };
        let diff = genesis_diff(&block.header, genesis_writes)?;
        let flat = diff
            .writes
            .iter()
            .filter_map(|(key, value)| Some((*key, value.clone()?)))
            .collect();
        Ok(Self(Arc::new(RwLock::new(Content {
            tip: diff.tip(),
            flat,
            nodes: diff.tree.new,
            undo: BTreeMap::new(),
            heights: BTreeMap::from([(diff.block, Height::ZERO)]),
            blocks: BTreeMap::from([(Height::ZERO, (block, Vec::new()))]),
            certificates: BTreeMap::new(),
            proposers: BTreeMap::new(),
            transactions: BTreeMap::new(),
            unsynced: 0,
        }))))
    }

    /// A store of its own with the same content.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Arc::new(RwLock::new(self.inner().clone())))
    }

    /// Loses every commit since the last synced one, as a crash of the machine may.
    pub fn crash(&self) -> Result<Tip, StateError> {
        let mut inner = self.inner_mut();
        while inner.unsynced > 0 {
            inner.undo()?;
        }
        Ok(inner.tip)
    }

    /// How many tree nodes are stored.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.inner().nodes.len()
    }

    // A panic while the lock is held cannot leave a half-made change that matters: the process is going down.
    fn inner(&self) -> RwLockReadGuard<'_, Content> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner_mut(&self) -> RwLockWriteGuard<'_, Content> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn oldest(&self) -> Height {
        self.undo
            .first_key_value()
            .map_or(self.tip.height, |(height, _)| height.saturating_sub(1))
    }

    fn check_kept(&self, height: Height) -> Result<(), StateError> {
        let (oldest, tip) = (self.oldest(), self.tip.height);
        if height < oldest || height > tip {
            return Err(StateError::NotKept {
                height,
                oldest,
                tip,
            });
        }
        Ok(())
    }

    fn commit(&mut self, decision: &Decision) -> Result<(), StateError> {
        decision.check(&self.tip)?;
        self.put(decision);
        Ok(())
    }

    /// Takes a decision that fits, and prunes.
    fn put(&mut self, decision: &Decision) {
        let (diff, height) = (&decision.diff, decision.diff.height);
        self.write(&diff.writes);
        self.nodes.extend(
            diff.tree
                .new
                .iter()
                .map(|(key, node)| (*key, Arc::clone(node))),
        );
        let undo = UndoEntry {
            previous: self.tip,
            before: diff.before.clone(),
            new: diff.tree.new.keys().copied().collect(),
            stale: diff.tree.stale.clone(),
        };
        self.undo.insert(height, undo);
        self.heights.insert(diff.block, height);
        self.blocks.insert(
            height,
            (decision.block.as_ref().clone(), decision.receipts.clone()),
        );
        if let Some(certificate) = &decision.finality {
            self.certificates.insert(height, certificate.clone());
        }
        if let Some(proposer) = decision.proposer {
            self.proposers.insert(height, proposer);
        }
        for (position, transaction) in (0u32..).zip(&decision.block.body.transactions) {
            self.transactions
                .insert(transaction.id(), (height, position));
        }
        self.tip = diff.tip();
        while let Some(entry) = self
            .undo
            .first_entry()
            .filter(|entry| entry.key().0 + KEPT_HEIGHTS <= height.0)
        {
            for key in entry.remove().stale {
                self.nodes.remove(&key);
            }
        }
        self.assert_whole();
    }

    /// Asserts that undo entries, blocks and the tip belong together.
    fn assert_whole(&self) {
        let tip = self.tip.height;
        let kept = tip.0.saturating_sub(self.oldest().0);
        assert!(kept <= KEPT_HEIGHTS, "{kept} heights are kept");
        assert_eq!(
            u64::try_from(self.undo.len()),
            Ok(kept),
            "every kept height can be undone"
        );
        assert_eq!(
            self.blocks.last_key_value().map(|(height, _)| *height),
            Some(tip),
            "the tip is the newest block"
        );
        assert_eq!(
            self.heights.get(&self.tip.block),
            Some(&tip),
            "the tip is in the index"
        );
    }

    fn undo(&mut self) -> Result<(), StateError> {
        let height = self.tip.height;
        let undo = self
            .undo
            .remove(&height)
            .ok_or(StateError::NothingToUndo(height))?;
        self.write(&undo.before);
        for key in &undo.new {
            self.nodes.remove(key);
        }
        self.heights.remove(&self.tip.block);
        self.certificates.remove(&height);
        self.proposers.remove(&height);
        if let Some((block, _)) = self.blocks.remove(&height) {
            for transaction in &block.body.transactions {
                self.transactions.remove(&transaction.id());
            }
        }
        self.tip = undo.previous;
        self.unsynced = self.unsynced.saturating_sub(1);
        self.assert_whole();
        Ok(())
    }

    fn write(&mut self, writes: &Writes) {
        for (key, value) in writes {
            match value {
                Some(bytes) => self.flat.insert(*key, bytes.clone()),
                None => self.flat.remove(key),
            };
        }
    }
}

impl StateRead for MemoryStore {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.inner().flat.get(key).cloned())
    }
}

impl TreeNodes for MemoryStore {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        Ok(self.inner().nodes.get(key).cloned())
    }
}

impl DecidedState for MemoryStore {
    /// The store itself: it answers for each kept height as it was.
    fn snapshot(&self) -> Result<Box<dyn DecidedState + '_>, StateError> {
        Ok(Box::new(self.clone()))
    }

    fn tip(&self) -> Tip {
        self.inner().tip
    }

    fn oldest(&self) -> Height {
        self.inner().oldest()
    }

    fn root_at(&self, height: Height) -> Result<Hash32, StateError> {
        let inner = self.inner();
        inner.check_kept(height)?;
        Ok(inner
            .undo
            .get(&height.next())
            .map_or(inner.tip, |undo| undo.previous)
            .root)
    }

    fn read_at(&self, height: Height, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        let inner = self.inner();
        inner.check_kept(height)?;
        match inner
            .undo
            .range(height.next()..)
            .find_map(|(_, undo)| undo.before.get(key))
        {
            Some(before) => Ok(before.clone()),
            None => Ok(inner.flat.get(key).cloned()),
        }
    }
}

impl StateLeaves for MemoryStore {
    /// Looks at every key: states in memory are small.
    fn leaf_at(
        &self,
        height: Height,
        key: &Hash32,
    ) -> Result<Option<(StateKey, Vec<u8>)>, StateError> {
        let found = {
            let inner = self.inner();
            let gone = inner.undo.values().flat_map(|undo| undo.before.keys());
            let mut all = inner.flat.keys().chain(gone);
            all.find(|found| found.hash() == *key).copied()
        };
        let Some(key) = found else { return Ok(None) };
        Ok(self.read_at(height, &key)?.map(|value| (key, value)))
    }
}

impl ChainStore for MemoryStore {
    fn commit(&self, decision: &Decision, durability: Durability) -> Result<(), StateError> {
        let mut inner = self.inner_mut();
        inner.commit(decision)?;
        inner.unsynced = if durability == Durability::Synced {
            0
        } else {
            inner.unsynced.saturating_add(1)
        };
        Ok(())
    }

    fn undo(&self) -> Result<Tip, StateError> {
        let mut inner = self.inner_mut();
        inner.undo()?;
        Ok(inner.tip)
    }

    fn kept(&self) -> KeptHeights {
        KeptHeights {
            state: self.oldest(),
            blocks: Height::ZERO,
            transactions: Height::ZERO,
        }
    }

    fn block_at(&self, height: Height) -> Result<Option<Block>, StateError> {
        Ok(self
            .inner()
            .blocks
            .get(&height)
            .map(|(block, _)| block.clone()))
    }

    fn height_of(&self, block: &BlockId) -> Result<Option<Height>, StateError> {
        Ok(self.inner().heights.get(block).copied())
    }

    fn receipts_at(&self, height: Height) -> Result<Option<Vec<TransactionReceipt>>, StateError> {
        Ok(self
            .inner()
            .blocks
            .get(&height)
            .map(|(_, receipts)| receipts.clone()))
    }

    fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, StateError> {
        Ok(self.inner().transactions.get(id).copied())
    }

    fn jobs_of(
        &self,
        customer: &Address,
        limit: usize,
    ) -> Result<Vec<(Height, JobId)>, StateError> {
        let inner = self.inner();
        let blocks = inner.blocks.iter().rev();
        let jobs = blocks.flat_map(|(height, (block, receipts))| {
            let mut jobs: Vec<_> = submitted_jobs(block, receipts)
                .filter(|submitted| submitted.customer == *customer)
                .map(|submitted| (*height, submitted.job))
                .collect();
            jobs.sort_unstable_by(|one, other| other.cmp(one));
            jobs
        });
        Ok(jobs.take(limit).collect())
    }

    fn finalize(&self, height: Height, finality: &Certificate) -> Result<(), StateError> {
        check_late_finality(self, height, finality)?;
        let mut inner = self.inner_mut();
        inner.certificates.insert(height, finality.clone());
        Ok(())
    }

    fn proposer_at(&self, height: Height) -> Result<Option<ProposerSignature>, StateError> {
        Ok(self.inner().proposers.get(&height).copied())
    }

    fn certificate_from(
        &self,
        height: Height,
    ) -> Result<Option<(Height, Certificate)>, StateError> {
        Ok(self
            .inner()
            .certificates
            .range(height..)
            .next()
            .map(|(at, certificate)| (*at, certificate.clone())))
    }

    fn newest_certificate(&self) -> Result<Option<(Height, Certificate)>, StateError> {
        Ok(self
            .inner()
            .certificates
            .last_key_value()
            .map(|(at, certificate)| (*at, certificate.clone())))
    }
}

#[cfg(test)]
mod tests;
