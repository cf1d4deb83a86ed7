//! Whole nodes in virtual time.

mod simulation;
