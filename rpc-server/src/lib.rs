//! The HTTP server of a node: one router over the [`Backend`] trait, bounded in connections, requests, bytes and time.
//!
//! The crate knows no chain: whoever implements [`Backend`] answers. What is said is defined in crate `rpc`. Every
//! refusal is a JSON body with a code, a hint and whether a retry may help.
//!
//! - Connections: at most `max_connections`; the next is told to come back and closed. A client that takes longer
//!   than `client_timeout` to send a request head or to take an answer is cut off.
//! - Requests: at most `max_requests` at once and `max_waiting` long polls; the next is answered 503, retryable.
//!   Each has `request_timeout`, within which its body must have arrived too.
//! - Answers that clients have not taken yet: at most `max_unsent_bytes` together, small ones not counted.
//! - Web pages cannot use it: a foreign `Host` (DNS rebinding) or any foreign `Origin` is refused.

mod admission;
pub mod backend;
pub mod config;
mod connection;
pub mod embedded;
pub mod error;
pub mod events;
mod guard;
mod routes;
pub mod server;
mod stop;
mod unsent;

pub use backend::{Backend, FinalBlock};
pub use config::ServerConfig;
pub use embedded::{EmbeddedServer, PassedAnswer, PassedRequest};
pub use error::{ApiError, ErrorKind};
pub use events::EventLog;
pub use server::{Server, ServerError};
