//! The consensus crate from outside: whole committees of replicas in virtual time, logs on damaged disks, and the
//! rules that must be noticed when they are broken.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

extern crate gridproof_consensus as consensus;

mod bugs;
mod catch_up;
mod disk;
#[cfg(feature = "planted-bugs")]
mod planted;
mod scenarios;
mod sim;
mod wire;
