//! The shape of the workspace, and the frozen formats of this crate.

extern crate gridproof_types as types;

mod golden;
mod records;
mod workspace;
