//! The network over real sockets on loopback. Nothing sleeps: every wait is for an event or a condition, with a
//! deadline.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails by panicking"
)]

mod bans;
mod flood;
mod hostile;
mod mesh;
mod net;
mod records;
mod robust;
mod speaker;
