//! The consensus crate from outside: whole committees of replicas in virtual time, logs on damaged disks, and a
//! test per rule of voting.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

extern crate gridproof_consensus as consensus;

mod bugs;
mod catch_up;
mod disk;
mod fuzz;
mod one_key;
mod pace;
mod rules;
mod scenarios;
mod sim;
mod wire;
