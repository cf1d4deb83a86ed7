//! The nouns of gridproof: amounts, heights, identifiers, keys, the canonical codec, blocks, transactions, jobs,
//! attestations, votes, parameters and limits.
//!
//! Everything here is pure. Whatever is signed, hashed or sent is defined in this crate and frozen by golden vectors
//! in `tests/`.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

pub mod account;
pub mod attestation;
pub mod block;
pub mod chain_record;
pub mod codec;
pub mod committee;
pub mod gas;
pub mod genesis;
pub mod hash;
pub mod job;
pub mod key;
pub mod limits;
pub mod merkle;
pub mod number;
pub mod order;
pub mod params;
pub mod proof;
pub mod quorum;
pub mod signed_block;
pub mod signer;
pub mod snapshot;
pub mod sortition;
pub mod spec;
pub mod state_key;
pub mod stored;
pub mod task_set;
pub mod task_state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod transaction;
pub mod versions;
pub mod vote;
pub mod whole;
pub mod words;
