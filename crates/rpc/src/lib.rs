//! Placeholder.

pub mod keyfile;
