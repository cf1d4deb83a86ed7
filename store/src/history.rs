//! How much of the past a store keeps, and the dropping of what is older: a bounded piece with each commit, in the
//! commit's own batch, so that a crash leaves either both or neither.
//!
//! | preset | state and proofs | blocks, receipts, finalizations | index of transactions |
//! |---|---|---|---|
//! | [`HistoryPreset::Archive`] | of every height | all | all |
//! | [`HistoryPreset::Full`] | of the newest heights | all | all |
//! | [`HistoryPreset::Validator`] | of the newest heights | of the newest [`VALIDATOR_HEIGHTS`] | as long as blocks |
//!
//! What it promises: whatever was set before and whenever a process died, the lowest kept heights are on record, in one
//! order (state at or above blocks, index at or above blocks), and everything from them on is there. What was dropped
//! does not come back when more is asked to be kept.

use state::KeptHeights;
use types::limits::{KEPT_HEIGHTS, MAX_VALIDITY_HEIGHTS};
use types::number::Height;

/// Heights whose blocks the preset `validator` keeps: weeks of an idle network, a day of 46 blocks a second. A validator
/// that was away for longer needs a peer that keeps more.
pub const VALIDATOR_HEIGHTS: u64 = 4_000_000;
/// Fewest heights whose blocks and transactions a node should keep: while a transaction can be included, it then knows
/// whether it was.
pub const LEAST_BLOCKS: u64 = MAX_VALIDITY_HEIGHTS;
/// Most heights of one kind that one commit drops: when less is to be kept than before, it goes over many commits.
pub const MAX_PRUNED_HEIGHTS: u32 = 16;
/// Bytes of blocks after which one commit drops no more of them.
pub const MAX_PRUNED_BYTES: usize = 1 << 20;

/// A choice of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HistoryPreset {
    /// Everything, and the state of every height.
    Archive,
    /// Every block; the state of the newest heights.
    #[default]
    Full,
    /// What a validator needs, and what others need who were away for a while.
    Validator,
}

/// How many heights below the newest are kept; `None` keeps all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptHistory {
    /// State and its proofs; at least [`KEPT_HEIGHTS`].
    pub state: Option<u64>,
    /// Blocks, receipts and finalizations; no fewer than of state.
    pub blocks: Option<u64>,
    /// Heights whose transactions are found by id; no more than of blocks.
    pub transactions: Option<u64>,
}

impl Default for KeptHistory {
    fn default() -> Self {
        Self::of(HistoryPreset::default())
    }
}

impl KeptHistory {
    /// What a preset keeps.
    #[must_use]
    pub fn of(preset: HistoryPreset) -> Self {
        let (state, blocks) = match preset {
            HistoryPreset::Archive => (None, None),
            HistoryPreset::Full => (Some(KEPT_HEIGHTS), None),
            HistoryPreset::Validator => (Some(KEPT_HEIGHTS), Some(VALIDATOR_HEIGHTS)),
        };
        Self {
            state,
            blocks,
            transactions: blocks,
        }
    }

    /// The lowest heights to be kept at a tip.
    pub(crate) fn wanted(&self, tip: Height) -> KeptHeights {
        let below = |kept: Option<u64>| kept.map_or(Height::ZERO, |kept| tip.saturating_sub(kept));
        let state = below(self.state.map(|kept| kept.max(KEPT_HEIGHTS)));
        let blocks = below(self.blocks).min(state);
        let transactions = below(self.transactions).max(blocks);
        KeptHeights {
            state,
            blocks,
            transactions,
        }
    }
}

/// What one commit may still drop.
pub(crate) struct PruneBudget {
    heights: u32,
    bytes: usize,
}

impl PruneBudget {
    pub(crate) fn new() -> Self {
        Self {
            heights: MAX_PRUNED_HEIGHTS,
            bytes: MAX_PRUNED_BYTES,
        }
    }

    /// True as long as another height may be dropped.
    pub(crate) fn is_left(&self) -> bool {
        self.heights > 0 && self.bytes > 0
    }

    /// A height was dropped, after so many bytes were read.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.heights = self.heights.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
