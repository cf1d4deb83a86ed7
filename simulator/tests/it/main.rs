//! Whole nodes in virtual time.

#[cfg(feature = "planted-bugs")]
mod planted;
mod simulation;
