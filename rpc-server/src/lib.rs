//! The HTTP server of a node: one router over the [`Backend`] trait, bounded in connections, requests, bytes and time.
//!
//! The crate knows no chain: whoever implements [`Backend`] answers. What is said is defined in crate `rpc`. Every
//! refusal is a JSON body with a code, a hint and whether a retry may help.
//!
//! - Connections: at most `max_connections`. When there are as many, one whose client owes something makes room: of
//!   the address that has most, the one that has owed for longest. A client that takes longer than `client_timeout` to
//!   send a request head or to take an answer is cut off in any case.
//! - Requests: places of a weight, `max_requests` in all, and `max_waiting` long polls; the next is answered 503,
//!   retryable. A body is whole before its request takes a place. Body and answer have `request_timeout` each.
//! - Bytes: bodies that are not answered yet at most `max_unread_bytes`, answers that are not taken yet at most
//!   `max_unsent_bytes`, small ones not counted.
//! - Shares: one address holds at most `address_percent` of each of these. Behind a proxy of the configuration, one
//!   address that it forwards for.
//! - Parties: who signs a request (`rpc::signature`) as a bonded partner or a customer of a live job has connections,
//!   places and bytes that no stranger takes, as many again, and at most `party_percent` of them.
//! - Web pages cannot use it: a foreign `Host` (DNS rebinding) or any foreign `Origin` is refused.

mod admission;
pub mod backend;
mod caller;
pub mod config;
mod connection;
mod connections;
mod counts;
pub mod embedded;
pub mod error;
pub mod events;
mod exposition;
mod grpc;
mod guard;
mod openapi;
mod party;
mod pool;
mod routes;
pub mod server;
mod stop;
mod turn;
mod unsent;

pub use backend::{Backend, FinalBlock};
pub use config::ServerConfig;
pub use counts::{RequestCounts, RequestOutcome};
pub use embedded::{EmbeddedServer, PassedAnswer, PassedRequest};
pub use error::{ApiError, ErrorKind};
pub use events::EventLog;
pub use exposition::TextSource;
pub use grpc::calls;
pub use openapi::CODES;
pub use routes::paths;
pub use server::{Server, ServerError};
