//! What one block changes, computed once and kept in memory until the block is decided.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use types::block::Header;
use types::hash::{BlockId, Hash32};
use types::limits::MAX_STATE_VALUE_BYTES;
use types::number::Height;

use crate::tree::{Jellyfish, StateTree, TreeChange, value_hash};
use crate::{StateError, StateRead, View, Writes};

/// A block and the state after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// The block.
    pub block: BlockId,
    /// Its height.
    pub height: Height,
    /// The state root after it.
    pub root: Hash32,
}

/// Everything that deciding a block changes in state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The block.
    pub block: BlockId,
    /// Its parent.
    pub parent: BlockId,
    /// Its height.
    pub height: Height,
    /// Flat values, only those that differ from what was there.
    pub writes: Writes,
    /// What was there, under the same keys as `writes`: undoes them.
    pub before: Writes,
    /// Tree nodes and the root.
    pub tree: TreeChange,
}

impl Diff {
    /// The state root after the block.
    #[must_use]
    pub fn root(&self) -> Hash32 {
        self.tree.root
    }

    /// The block as a tip.
    #[must_use]
    pub fn tip(&self) -> Tip {
        Tip {
            block: self.block,
            height: self.height,
            root: self.tree.root,
        }
    }
}

/// The diff of a block whose parent is the one that `parent` looks at. Writes that change nothing are dropped.
pub fn compute_diff(parent: &View<'_>, block: BlockId, writes: Writes) -> Result<Diff, StateError> {
    let below = parent.tip();
    let height = below.height.next();
    let (writes, before) = effective(parent, writes)?;
    let tree = Jellyfish.update(parent, Some(below.root), height, &tree_changes(&writes))?;
    Ok(Diff {
        block,
        parent: below.block,
        height,
        writes,
        before,
        tree,
    })
}

/// The diff that makes the state of height 0 out of nothing.
pub fn genesis_diff(header: &Header, writes: Writes) -> Result<Diff, StateError> {
    let (writes, before) = effective(&Writes::new(), writes)?;
    let tree = Jellyfish.update(&(), None, Height::ZERO, &tree_changes(&writes))?;
    Ok(Diff {
        block: header.id(),
        parent: header.parent,
        height: Height::ZERO,
        writes,
        before,
        tree,
    })
}

/// Splits writes into those that change something and what they replace.
fn effective(state: &impl StateRead, writes: Writes) -> Result<(Writes, Writes), StateError> {
    let (mut after, mut before) = (Writes::new(), Writes::new());
    for (key, value) in writes {
        let length = value.as_ref().map_or(0, Vec::len);
        if length > MAX_STATE_VALUE_BYTES {
            return Err(StateError::ValueTooLong { key, length });
        }
        let old = state.read(&key)?;
        if old != value {
            before.insert(key, old);
            after.insert(key, value);
        }
    }
    Ok((after, before))
}

/// Flat writes as the tree takes them.
#[must_use]
pub fn tree_changes(writes: &Writes) -> BTreeMap<Hash32, Option<Hash32>> {
    writes
        .iter()
        .map(|(key, value)| (key.hash(), value.as_deref().map(value_hash)))
        .collect()
}
