//! A block whose body is known to be the one its header commits to, with its id at hand.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::block::Block;
use crate::hash::BlockId;

/// A whole block, cheap to clone. Two are equal exactly if their ids are: the id commits to header and body.
#[derive(Debug, Clone)]
pub struct WholeBlock {
    id: BlockId,
    block: Arc<Block>,
}

impl WholeBlock {
    /// Takes a block if its body is the one its header commits to.
    #[must_use]
    pub fn new(block: Block) -> Option<Self> {
        block.is_whole().then(|| Self {
            id: block.id(),
            block: Arc::new(block),
        })
    }

    /// The block's id, computed once.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// The block itself, shared.
    #[must_use]
    pub fn block(&self) -> &Arc<Block> {
        &self.block
    }
}

impl Deref for WholeBlock {
    type Target = Block;

    fn deref(&self) -> &Block {
        &self.block
    }
}

impl PartialEq for WholeBlock {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for WholeBlock {}

impl Hash for WholeBlock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}
