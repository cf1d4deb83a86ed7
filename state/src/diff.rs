//! The changes that one block makes to state, computed once (`compute.rs`) and kept in memory until the block is
//! decided.

use borsh::{BorshDeserialize, BorshSerialize};
use types::hash::{BlockId, Hash32};
use types::number::Height;

use crate::Writes;
use crate::tree::TreeChange;

/// The end of a chain of blocks: its last block and the state after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// Id of the last block.
    pub block: BlockId,
    /// Height of the last block.
    pub height: Height,
    /// State root after the last block.
    pub root: Hash32,
}

/// Everything that deciding a block changes in state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// Id of the block that makes the changes.
    pub block: BlockId,
    /// Id of the block's parent, on whose state the changes apply.
    pub parent: BlockId,
    /// Height of the block, one above its parent's.
    pub height: Height,
    /// New flat values; each differs from the value in `before` under the same key.
    pub writes: Writes,
    /// Old flat values, under exactly the keys of `writes`: writing them undoes the diff.
    pub before: Writes,
    /// New and stale tree nodes, and the root.
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
