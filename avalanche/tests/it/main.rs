//! The plugin as its host sees it: real gRPC over loopback, a real store, and a host that does what AvalancheGo does.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod blocks;
mod fuzz;
mod host;
mod hostile;
mod killed;
mod network;
mod record;
mod services;
mod signing;
mod sync;
mod sync_killed;
mod wire;
