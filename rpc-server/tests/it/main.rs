//! Server and client over real sockets, against a node in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails by panicking"
)]

mod attack;
mod client;
mod counts;
mod document;
mod embedded;
mod events;
mod exposition;
mod fake;
mod fuzz;
mod grpc;
mod limits;
mod models;
mod openapi;
mod protection;
mod routes;
mod samples;
