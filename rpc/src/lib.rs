//! How programs talk to a node: JSON over HTTP/1.1.
//!
//! Four parts: the [`model`] of what is said, one router over the [`Backend`] trait ([`server`]), the typed
//! [`Client`], and the ring of [`events`] behind the long poll. The crate knows no chain: whoever implements
//! [`Backend`] answers. Bodies that a program signs or verifies travel as canonical borsh, everything else as JSON.
//!
//! What the server promises: memory bounded by its configuration whatever clients do, a JSON error with a code, a
//! hint and whether a retry may help for everything it refuses, and no answer to web pages of other origins.

pub mod backend;
pub mod client;
pub mod error;
pub mod events;
pub mod keyfile;
pub mod limits;
pub mod model;
pub mod server;

pub use backend::Backend;
pub use client::{Client, ClientError};
pub use error::{ApiError, ErrorBody};
pub use events::EventLog;
pub use server::{Server, ServerConfig, ServerError};
