//! How far back a store of decided blocks goes.

use borsh::{BorshDeserialize, BorshSerialize};
use types::number::Height;

/// The lowest heights of which a store has something: it has that of every height from there to the tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct KeptHeights {
    /// State that can be read and proven. Undo goes down to it.
    pub state: Height,
    /// Blocks with their receipts and finalizations; at most `state`.
    pub blocks: Height,
    /// Blocks whose transactions are found by id; at least `blocks`.
    pub transactions: Height,
}

impl KeptHeights {
    /// True if the heights follow the order above, below a tip.
    #[must_use]
    pub fn is_ordered(&self, tip: Height) -> bool {
        self.blocks <= self.state
            && self.state <= tip
            && self.blocks <= self.transactions
            && self.transactions <= tip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_lies_above_blocks_and_the_index_too() {
        let heights = |state, blocks, transactions| KeptHeights {
            state: Height(state),
            blocks: Height(blocks),
            transactions: Height(transactions),
        };
        let tip = Height(9);
        for right in [
            heights(0, 0, 0),
            heights(9, 0, 0),
            heights(9, 9, 9),
            heights(5, 3, 9),
        ] {
            assert!(right.is_ordered(tip), "{right:?}");
        }
        for wrong in [
            heights(10, 0, 0),
            heights(3, 4, 5),
            heights(5, 4, 3),
            heights(5, 3, 10),
        ] {
            assert!(!wrong.is_ordered(tip), "{wrong:?}");
        }
    }
}
