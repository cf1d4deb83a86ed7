//! Real processes, real kills, real jobs: what a devnet must survive, driven through the command line.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking and say why"
)]

mod chain;
mod chains;
mod challenge;
mod commands;
mod doctor;
mod ending;
mod harness;
mod job;
mod keys;
mod metrics;
mod mistakes;
mod operate;
mod owners;
mod partner;
mod recipes;
mod rerun;
mod service;
mod signer;
mod signer_faults;
mod small_disk;
mod up;
