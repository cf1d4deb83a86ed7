//! Networks of real processes on one machine, for developers and tests: the devnet behind `gridproof devnet`, and
//! devnets in temporary folders for tests and measurements.

pub mod cheats;
pub mod devnet;
pub mod temporary;
