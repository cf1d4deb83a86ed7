//! Secret keys of accounts, validators, nodes and VRFs, where they lie.
//!
//! Today they lie in [`keyfile`]s: one secret per file, readable by its owner alone. Keys themselves, and what they sign,
//! are in crate `types`. Nothing here knows a network or a chain.

pub mod keyfile;
