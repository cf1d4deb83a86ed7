//! The store against its model in memory, and against everything that may happen to its directory.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail like tests, and seeds are printed"
)]

mod crash;
mod damage;
mod fixture;
mod forks;
mod golden;
mod history;
mod late;
mod open;
mod staged;
