//! State: reading it, writes on top of it, diffs of undecided blocks, the authenticated tree and an in-memory store.
//!
//! Everything here is pure. A [`Diff`] holds all that deciding its block changes: flat values and tree nodes. Sibling
//! diffs live side by side ([`Undecided`]) until one of them is decided and committed to a [`ChainStore`].

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

mod chain;
mod compute;
mod damage;
mod diff;
mod error;
#[cfg(test)]
mod fixture;
mod jobs;
mod kept;
mod memory;
mod node_key;
mod overlay;
mod read;
pub mod subtree;
pub mod tree;
mod undecided;

pub use chain::{ChainStore, DecidedState, Decision, Durability, check_late_finality};
pub use compute::{compute_diff, genesis_diff, tree_changes};
pub use damage::{StoreDamage, StoredRecord, TreeCorruption};
pub use diff::{Diff, Tip};
pub use error::{ErrorClass, StateError, StateStorageError, StorageFailure};
pub use jobs::{SubmittedJob, submitted_jobs};
pub use kept::KeptHeights;
pub use memory::MemoryStore;
pub use overlay::{Overlay, read_as};
pub use read::{StateRead, Writes};
pub use undecided::{Branch, StateView, Undecided};
