//! The shape of the workspace, and the frozen formats of this crate.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

extern crate gridproof_types as types;

mod documents;
mod errors;
mod golden;
mod modules;
mod names;
mod records;
mod rules;
mod workspace;
