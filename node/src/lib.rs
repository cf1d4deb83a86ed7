//! A validator's node: a pure [`core`] that decides, and a shell that performs what it says.
//!
//! [`core::Node`] joins the chain and consensus in one pure step, which the simulator drives in virtual time. What it
//! leaves out: how blocks are built, executed and committed (`chain`), how they are agreed on (`consensus`).

pub mod backup;
pub mod config;
pub mod core;
pub mod ending;
mod error;
pub mod init;
mod machine;
pub mod meters;
mod run;
pub mod serve;
pub mod shell;
mod threads;

pub use error::{NodeError, NodeErrorKind};
pub use metrics::Heartbeat;
pub use run::{Listening, audit, check_addresses, run, run_and_tell};
pub use store::Audit;
