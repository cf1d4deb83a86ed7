//! gridproof as a plugin of the real AvalancheGo: real nodes, real kills, real jobs, driven through the command line.
//!
//! Needs AvalancheGo and the harness of `testnet/avalanche`, so it is no part of a plain `cargo test`:
//! `scripts/avalanche-e2e` builds both and runs it. What we claim to survive here: the death of one node of five, of one
//! plugin, of all nodes at once by SIGKILL; the loss of what the operating system held is not simulated.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say why"
)]

mod five;
mod network;
mod one;
