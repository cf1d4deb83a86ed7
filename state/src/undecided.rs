//! The diffs of executed blocks that are not decided yet: a tree of siblings over the decided tip.
//!
//! A crash loses these and nothing else. Diffs are shared, so a [`Branch`] can be taken to another thread while
//! blocks are inserted and decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::hash::BlockId;
use types::number::Height;
use types::state_key::StateKey;

use crate::chain::DecidedState;
use crate::diff::{Diff, Tip};
use crate::tree::{NodeKey, StateNode, TreeNodes};
use crate::{StateError, StateRead};

/// All undecided diffs. Every one descends from the tip.
#[derive(Debug, Clone)]
pub struct Undecided {
    tip: Tip,
    diffs: BTreeMap<BlockId, Arc<Diff>>,
}

impl Undecided {
    /// Nothing undecided on top of the decided tip.
    #[must_use]
    pub fn new(tip: Tip) -> Self {
        Self {
            tip,
            diffs: BTreeMap::new(),
        }
    }

    /// The decided block that everything here descends from.
    #[must_use]
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// The diff of an undecided block.
    #[must_use]
    pub fn diff(&self, block: &BlockId) -> Option<&Arc<Diff>> {
        self.diffs.get(block)
    }

    /// The chain's end at a block: the tip, or an undecided block; `None` for any other block.
    #[must_use]
    pub fn at(&self, block: &BlockId) -> Option<Tip> {
        if *block == self.tip.block {
            Some(self.tip)
        } else {
            self.diffs.get(block).map(|diff| diff.tip())
        }
    }

    /// How many diffs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.diffs.len()
    }

    /// True if there is no diff.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.diffs.is_empty()
    }

    /// Adds an executed block, whose parent is the tip or here. The same diff again changes nothing.
    pub fn insert(&mut self, diff: Diff) -> Result<(), StateError> {
        let parent = self
            .at(&diff.parent)
            .ok_or(StateError::UnknownBlock(diff.parent))?;
        if diff.height != parent.height.next() {
            return Err(StateError::WrongHeight {
                block: diff.block,
                height: diff.height,
                parent_height: parent.height,
            });
        }
        if let Some(before) = self.at(&diff.block) {
            let same = self
                .diffs
                .get(&diff.block)
                .is_some_and(|known| **known == diff);
            let (before, now) = (before.root, diff.root());
            return if same {
                Ok(())
            } else {
                Err(StateError::Diverged {
                    block: diff.block,
                    before,
                    now,
                })
            };
        }
        self.diffs.insert(diff.block, Arc::new(diff));
        Ok(())
    }

    /// The diffs from the tip (exclusive) to a block, to be put over the decided state.
    pub fn branch(&self, block: BlockId) -> Result<Branch, StateError> {
        let mut diffs = Vec::new();
        let mut at = block;
        while at != self.tip.block {
            let diff = self.diffs.get(&at).ok_or(StateError::UnknownBlock(block))?;
            diffs.push(Arc::clone(diff));
            at = diff.parent;
        }
        Ok(Branch {
            base: self.tip,
            diffs,
        })
    }

    /// The state after a block.
    pub fn view<'a>(
        &self,
        decided: &'a dyn DecidedState,
        block: BlockId,
    ) -> Result<StateView<'a>, StateError> {
        self.branch(block)?.over(decided)
    }

    /// Moves the tip to one of its children and drops every diff that does not descend from it. The store must have
    /// committed the diff before: views opened from now on read it there.
    pub fn decide(&mut self, block: BlockId) -> Result<Arc<Diff>, StateError> {
        let diff = self
            .diffs
            .get(&block)
            .filter(|diff| diff.parent == self.tip.block);
        let diff = Arc::clone(diff.ok_or(StateError::UnknownBlock(block))?);
        self.tip = diff.tip();
        self.keep_joined(|_| true);
        Ok(diff)
    }

    /// Drops every diff that is not named, and what descends from one.
    pub fn retain(&mut self, kept: &BTreeSet<BlockId>) {
        self.keep_joined(|block| kept.contains(block));
    }

    /// Keeps of those that may stay the ones that still descend from the tip.
    fn keep_joined(&mut self, may_stay: impl Fn(&BlockId) -> bool) {
        let mut by_height: Vec<_> = std::mem::take(&mut self.diffs).into_values().collect();
        by_height.sort_by_key(|diff| diff.height);
        for diff in by_height {
            if may_stay(&diff.block) && self.at(&diff.parent).is_some() {
                self.diffs.insert(diff.block, diff);
            }
        }
        self.assert_joined();
    }

    /// Asserts that every diff is one height above its parent, which is the tip or another diff.
    fn assert_joined(&self) {
        for diff in self.diffs.values() {
            let parent = self.at(&diff.parent).map(|parent| parent.height.next());
            assert_eq!(
                parent,
                Some(diff.height),
                "block {} descends from the tip",
                diff.block
            );
        }
    }
}

/// The undecided part of a view: owned, cheap to clone, free to move to another thread.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The decided tip when the branch was taken.
    base: Tip,
    /// Diffs from the branch's last block down to the first undecided one.
    diffs: Vec<Arc<Diff>>,
}

impl Branch {
    /// A branch without diffs: the decided state at a tip.
    #[must_use]
    pub fn decided(tip: Tip) -> Self {
        Self {
            base: tip,
            diffs: Vec::new(),
        }
    }

    /// The block that the branch ends at.
    #[must_use]
    pub fn tip(&self) -> Tip {
        self.diffs.first().map_or(self.base, |diff| diff.tip())
    }

    /// The height below which reads go to the decided state.
    #[must_use]
    pub fn base_height(&self) -> Height {
        self.base.height
    }

    /// The state after the branch's last block, as it is read from one snapshot of the decided state. Diffs that are
    /// decided by then are left to the snapshot, where a read of the tip is the cheapest.
    pub fn over(mut self, decided: &dyn DecidedState) -> Result<StateView<'_>, StateError> {
        let decided = decided.snapshot()?;
        let tip = decided.tip();
        if let Some(at) = self.diffs.iter().position(|diff| diff.block == tip.block) {
            self.diffs.truncate(at);
            self.base = tip;
        }
        let (height, oldest) = (self.base.height, decided.oldest());
        if height < oldest {
            let tip = tip.height;
            return Err(StateError::NotKept {
                height,
                oldest,
                tip,
            });
        }
        let branch = self;
        Ok(StateView { branch, decided })
    }
}

/// The state after a block: diffs of undecided blocks, then a snapshot of the decided state at the height where they
/// begin. What is decided later does not show.
pub struct StateView<'a> {
    branch: Branch,
    decided: Box<dyn DecidedState + 'a>,
}

impl StateView<'_> {
    /// The block that the view is after.
    #[must_use]
    pub fn tip(&self) -> Tip {
        self.branch.tip()
    }
}

impl StateRead for StateView<'_> {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        match self
            .branch
            .diffs
            .iter()
            .find_map(|diff| diff.writes.get(key))
        {
            Some(write) => Ok(write.clone()),
            None => self.decided.read_at(self.branch.base.height, key),
        }
    }
}

impl TreeNodes for StateView<'_> {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        let mut diffs = self.branch.diffs.iter();
        let made = diffs.find(|diff| diff.height == key.height());
        match made.and_then(|diff| diff.tree.new.get(key)) {
            Some(node) => Ok(Some(Arc::clone(node))),
            None => self.decided.node(key),
        }
    }
}

#[cfg(test)]
mod tests;
