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
    /// A value longer than any value may be.
    #[error("the value of {key:?} has {length} bytes, more than a value may have")]
    ValueTooLong {
        /// The key.
        key: StateKey,
        /// Its length.
        length: usize,
    },
    /// A decision whose diff is that of another block.
    #[error("block {block} was to be decided with the diff of block {diff}")]
    WrongDiff {
        /// The block.
        block: BlockId,
        /// The diff's block.
        diff: BlockId,
    },
    /// A decision that does not come next after the tip.
    #[error(
        "block {block} of height {height} does not follow the tip {tip} of height {tip_height}"
    )]
    NotNext {
        /// The block.
        block: BlockId,
        /// Its height.
        height: Height,
        /// The tip.
        tip: BlockId,
        /// The tip's height.
        tip_height: Height,
    },
    /// A decision with a certificate that does not finalize it.
    #[error("the certificate given with block {0} does not finalize it")]
    WrongCertificate(BlockId),
    /// No finalization at or within reach above a height.
    #[error("no finalization is on record for height {0} or soon after")]
    NotFinal(Height),
    /// The storage below failed.
    #[error("{kind}: {reason}")]
    Storage {
        /// What kind of failure, for the exit code.
        kind: StorageFailure,
        /// What the storage said.
        reason: String,
    },
}

/// Kinds of storage failures. After any of them the store takes no more writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StorageFailure {
    /// No room is left.
    #[error("the disk is full")]
    Full,
    /// What was read is not what was written.
    #[error("the stored data is damaged")]
    Damaged,
    /// An earlier write failed; what is on disk now is known only after a restart.
    #[error("an earlier write failed")]
    Stopped,
    /// Anything else.
    #[error("the storage failed")]
    Io,
}
