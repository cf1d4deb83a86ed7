//! State: reading it, writes on top of it, diffs of undecided blocks, the authenticated tree and an in-memory store.
//!
//! Everything here is pure. A diff holds all that deciding its block changes: flat values and tree nodes. Sibling
//! diffs live side by side until one of them is decided.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

mod chain;
mod diff;
mod error;
mod memory;
mod overlay;
mod read;
pub mod tree;
mod undecided;

pub use chain::{ChainStore, DecidedState, Decision, Durability};
pub use diff::{Diff, Tip, compute_diff, genesis_diff, tree_changes};
pub use error::{StateError, StorageFailure};
pub use memory::MemoryStore;
pub use overlay::{Overlay, read_as};
pub use read::{StateRead, Writes};
pub use undecided::{Branch, Undecided, View};
