//! State: reading it, writes on top of it, diffs of undecided blocks, the authenticated tree and an in-memory store.
//!
//! Everything here is pure. A diff holds all that deciding its block changes: flat values and tree nodes. Sibling
//! diffs live side by side until one of them is decided.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

mod error;
mod overlay;
mod read;

pub use error::StateError;
pub use overlay::{Overlay, read_as};
pub use read::{StateRead, Writes};
