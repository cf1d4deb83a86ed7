//! Networks of real processes on one machine, for developers and tests: the devnet behind `gridproof devnet`.

pub mod devnet;
