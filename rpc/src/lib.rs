//! How programs talk to a node: JSON over HTTP/1.1.
//!
//! Two parts: the [`model`] of what is said and the typed [`Client`]. The crate knows no chain and links no HTTP server;
//! crate `rpc-server` has that. Bodies that a program signs or verifies travel as canonical borsh, everything else as JSON.

pub mod client;
pub mod error;
pub mod limits;
pub mod model;

pub use client::{Client, ClientError};
pub use error::ErrorBody;
