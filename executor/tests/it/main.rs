//! Tests of the executor with real programs, hand-written modules, real child processes and another runtime.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod cage;
mod chain;
mod code;
mod corpus;
mod extremes;
mod independent;
mod limits;
mod modules;
mod programs;
mod support;
mod witness;
mod workers;
