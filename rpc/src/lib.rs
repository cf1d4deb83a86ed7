//! How programs talk to a node: JSON over HTTP/1.1.
//!
//! Three parts: the [`model`] of what is said, the [`ProofKey`]s by which proofs are asked for, and the typed
//! [`Client`]. The crate knows no chain and links no HTTP server; crate `rpc-server` has that. What a program signs or
//! verifies travels as canonical borsh, everything else as JSON.

pub mod client;
pub mod error;
pub mod limits;
pub mod model;
mod proof_key;
pub mod signature;

pub use client::{Client, ClientError};
pub use error::ErrorBody;
pub use proof_key::{ProofKey, ProofKeyError};
pub use signature::{RequestSignature, RequestSigner};
