//! Why state cannot be read or computed. None of these is a verdict on a block: they stop the node or the call.

use types::codec::CodecError;
use types::hash::{BlockId, Hash32};
use types::number::Height;
use types::state_key::StateKey;

/// Why a read, a diff or a proof failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The bytes under a key are not a value of the asked type.
    #[error("the value of {key:?} does not decode: {error}")]
    BadValue {
        /// The key.
        key: StateKey,
        /// What the decoder said.
        error: CodecError,
    },
    /// The state tree contradicts itself: a node is missing or does not decode.
    #[error("the state tree is corrupt at height {height}: {reason}")]
    Corrupt {
        /// The version of the tree that was read.
        height: Height,
        /// What was found.
        reason: String,
    },
    /// The tree has no root for the parent's height: a diff would silently start from an empty tree.
    #[error("the state tree has no root at height {0}")]
    MissingRoot(Height),
    /// The root node does not hash to the root on record.
    #[error("the state root at height {height} is {found}, on record is {expected}")]
    RootMismatch {
        /// The version of the tree.
        height: Height,
        /// What the record says.
        expected: Hash32,
        /// What the root node hashes to.
        found: Hash32,
    },
    /// Neither the decided tip nor an undecided block that leads to it.
    #[error("block {0} neither is the decided tip nor descends from it")]
    UnknownBlock(BlockId),
    /// A diff whose height is not one above its parent's.
    #[error("block {block} is of height {height}, its parent of {parent_height}")]
    WrongHeight {
        /// The block.
        block: BlockId,
        /// Its height.
        height: Height,
        /// Its parent's height.
        parent_height: Height,
    },
    /// The same block with another result: execution is not deterministic or memory is broken.
    #[error("block {block} was executed before to root {before}, now to {now}")]
    Diverged {
        /// The block.
        block: BlockId,
        /// The root of the diff that is here.
        before: Hash32,
        /// The root of the diff that was offered.
        now: Hash32,
    },
    /// A height that is above the tip or pruned.
    #[error("the state at height {height} is not kept; heights {oldest} to {tip} are")]
    NotKept {
        /// The height asked for.
        height: Height,
        /// The oldest height there is.
        oldest: Height,
        /// The newest height there is.
        tip: Height,
    },
    /// Nothing is left to undo.
    #[error("height {0} cannot be undone: its undo record is not kept")]
    NothingToUndo(Height),
    /// The storage below failed.
    #[error("storage failed: {0}")]
    Storage(String),
}
