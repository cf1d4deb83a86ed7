//! Networks for developers and tests: a devnet of real processes, and a simulator of whole nodes in virtual time.

pub mod devnet;
pub mod sim;
