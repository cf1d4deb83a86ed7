//! Errors of reading, computing and storing state. None of them is a verdict on a block: they stop the node or the
//! call.
//!
//! [`StateError::class`] sorts them by what an operator can do; nobody needs to read their texts for that.

use types::codec::CodecError;
use types::hash::{BlockId, Hash32};
use types::number::Height;
use types::state_key::StateKey;

use crate::damage::{StoreDamage, TreeCorruption};

/// Why a read, a diff, a proof or a commit failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The bytes under a key are not a value of the type that was asked for.
    #[error("the value of {key} does not decode: {error}")]
    BadValue {
        /// The key that was read.
        key: StateKey,
        /// Rule of the encoding that the bytes break.
        error: CodecError,
    },
    /// The state tree contradicts itself or the flat values beside it.
    #[error("the state tree is corrupt at height {height}: {corruption}")]
    CorruptTree {
        /// The version of the tree in which the contradiction lies.
        height: Height,
        /// Nodes or values that do not fit each other.
        corruption: TreeCorruption,
    },
    /// The tree has no root for the parent's height: a diff would silently start from an empty tree.
    #[error("the state tree has no root at height {0}")]
    MissingRoot(Height),
    /// The tree does not hash to the root on record.
    #[error("the state root at height {height} is {found}, on record is {expected}")]
    RootMismatch {
        /// The version of the tree.
        height: Height,
        /// The root on record.
        expected: Hash32,
        /// The hash of the root node.
        found: Hash32,
    },
    /// A block whose header names another state root of its parent than the one on record.
    #[error("block {block} names {named} as the state root of its parent, which is {root}")]
    WrongParentRoot {
        /// Id of the block that was to be decided.
        block: BlockId,
        /// The root in the block's header.
        named: Hash32,
        /// The root after the tip.
        root: Hash32,
    },
    /// A block that is neither the decided tip nor an undecided block that leads to it.
    #[error("block {0} neither is the decided tip nor descends from it")]
    UnknownBlock(BlockId),
    /// A diff whose height is not one above its parent's.
    #[error("block {block} is of height {height}, its parent of {parent_height}")]
    WrongHeight {
        /// Id of the block whose diff was given.
        block: BlockId,
        /// The height that the diff names.
        height: Height,
        /// Height of the parent.
        parent_height: Height,
    },
    /// The same block with another result: execution is not deterministic or memory is broken.
    #[error("block {block} was executed before to root {before}, now to {now}")]
    Diverged {
        /// The block that was executed twice.
        block: BlockId,
        /// Root of the first execution.
        before: Hash32,
        /// Root of the second execution.
        now: Hash32,
    },
    /// A height above the tip or below the kept heights.
    #[error("the state at height {height} is not kept; heights {oldest} to {tip} are")]
    NotKept {
        /// The height that was asked for.
        height: Height,
        /// The lowest kept height.
        oldest: Height,
        /// The height of the tip.
        tip: Height,
    },
    /// A height whose block was dropped.
    #[error("the block of height {height} is pruned; blocks are kept from height {lowest} on")]
    Pruned {
        /// The height that was asked for.
        height: Height,
        /// The lowest height whose block is kept.
        lowest: Height,
    },
    /// An undo of a height whose undo record is pruned, or of genesis.
    #[error("height {0} cannot be undone: its undo record is not kept")]
    NothingToUndo(Height),
    /// A value longer than [`MAX_STATE_VALUE_BYTES`](types::limits::MAX_STATE_VALUE_BYTES).
    #[error("the value of {key} has {length} bytes, more than a value may have")]
    ValueTooLong {
        /// The key that was written.
        key: StateKey,
        /// Length of the value, in bytes.
        length: usize,
    },
    /// A decision whose diff is that of another block.
    #[error("block {block} was to be decided with the diff of block {diff}")]
    WrongDiff {
        /// Id of the block that was to be decided.
        block: BlockId,
        /// The block of the decision's diff.
        diff: BlockId,
    },
    /// A decision that does not come next after the tip.
    #[error(
        "block {block} of height {height} does not follow the tip {tip} of height {tip_height}"
    )]
    NotNext {
        /// Id of the block that was to be decided.
        block: BlockId,
        /// Height of the decision's block.
        height: Height,
        /// The newest decided block.
        tip: BlockId,
        /// Height of the newest decided block.
        tip_height: Height,
    },
    /// A decision with a certificate that does not finalize its block.
    #[error("the certificate given with block {0} does not finalize it")]
    WrongCertificate(BlockId),
    /// No finalization is on record at a height or above it.
    #[error("no finalization is on record for height {0} or above")]
    NotFinal(Height),
    /// A finalization is on record, too far above a height for one proof.
    #[error(
        "height {height} is final by height {finalized}: a proof would hold {headers} headers, the limit is {limit}"
    )]
    PathTooLong {
        /// The height to prove.
        height: Height,
        /// The lowest height above it with a finalization.
        finalized: Height,
        /// Headers from one to the other, both included.
        headers: u64,
        /// Maximum headers of a proof.
        limit: usize,
    },
    /// The storage below failed.
    #[error(transparent)]
    Storage(#[from] StateStorageError),
}

/// Why the storage below failed. After a failed write the store takes no more writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateStorageError {
    /// The storage engine refused a read or a write.
    #[error("{failure}: {message}")]
    Engine {
        /// The kind of failure.
        failure: StorageFailure,
        /// The engine's own words.
        message: String,
    },
    /// An earlier write failed: what reached the disk is known only after a restart.
    #[error("an earlier write failed; the store takes no more writes until it is opened again")]
    Stopped,
    /// The stored records contradict each other.
    #[error("the stored data is damaged: {0}")]
    Damaged(#[from] StoreDamage),
}

/// Kinds of failures of a storage engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StorageFailure {
    /// The disk, a quota or a file's size limit leaves no room.
    #[error("the disk is full")]
    Full,
    /// The engine's checksums say that the bytes read are not the bytes written.
    #[error("the stored data is damaged")]
    Checksum,
    /// Any other failure of the system.
    #[error("the storage failed")]
    Io,
}

/// What an operator can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Make room on the disk, then restart.
    DiskFull,
    /// Mend the disk or its mount, then restart: nothing that was promised is lost.
    Storage,
    /// The bytes on this disk are wrong: replace the store, restarting does not help.
    Damaged,
    /// This build does not follow the chain's rules, or memory is broken.
    Diverged,
    /// The caller asked for something that is not kept, not final or not known.
    NotAvailable,
}

impl StateError {
    /// The error's class, which decides exit code and hint.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Storage(StateStorageError::Engine { failure, .. }) => match failure {
                StorageFailure::Full => ErrorClass::DiskFull,
                StorageFailure::Checksum => ErrorClass::Damaged,
                StorageFailure::Io => ErrorClass::Storage,
            },
            Self::Storage(StateStorageError::Stopped) => ErrorClass::Storage,
            Self::Storage(StateStorageError::Damaged(_))
            | Self::BadValue { .. }
            | Self::CorruptTree { .. }
            | Self::MissingRoot(_)
            | Self::RootMismatch { .. } => ErrorClass::Damaged,
            Self::WrongParentRoot { .. }
            | Self::Diverged { .. }
            | Self::WrongHeight { .. }
            | Self::ValueTooLong { .. }
            | Self::WrongDiff { .. }
            | Self::NotNext { .. }
            | Self::WrongCertificate(_) => ErrorClass::Diverged,
            Self::UnknownBlock(_)
            | Self::NotKept { .. }
            | Self::Pruned { .. }
            | Self::NothingToUndo(_)
            | Self::NotFinal(_)
            | Self::PathTooLong { .. } => ErrorClass::NotAvailable,
        }
    }
}

impl From<StoreDamage> for StateError {
    fn from(damage: StoreDamage) -> Self {
        Self::Storage(StateStorageError::Damaged(damage))
    }
}

#[cfg(test)]
mod tests;
