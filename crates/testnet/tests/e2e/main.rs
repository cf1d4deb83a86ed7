//! Real processes, real kills, real jobs: what a devnet must survive, driven through the command line.

extern crate gridproof_testnet;

mod chain;
mod harness;
mod job;
mod mistakes;
#[cfg(feature = "planted-bugs")]
mod planted;
