//! What an operator keeps in a daemon's directory: secret keys of accounts, validators, nodes and VRFs, and the
//! configuration with its comments.
//!
//! Keys lie in [`keyfile`]s: one secret per file, readable by its owner alone and encrypted under a [`passphrase`] if it wishes,
//! in a [`folder`] of the same kind; a command takes one from another [`source`] too. A [`signer`] keeps a validator's key in a process of its own. A
//! [`signer_lock`] keeps a second process from signing with the same key. Keys themselves, and what they sign,
//! are in crate `types`. Nothing here knows a network or a chain.

pub mod config_file;
pub mod folder;
pub mod keyfile;
mod keystore;
pub mod passphrase;
pub mod signer;
pub mod signer_lock;
pub mod source;
