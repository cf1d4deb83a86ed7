//! A validator's node: a pure [`core`] that decides, and a shell that performs what it says.
//!
//! [`application`] is the one place where consensus meets the state machine. [`core::Node`] joins consensus, execution,
//! mempool, duties and blobs in one pure step, which the simulator drives in virtual time.

pub mod application;
pub mod backend;
pub mod config;
pub mod core;
mod error;
pub mod init;
mod run;
pub mod shell;

pub use error::NodeError;
pub use run::{Listening, run, run_and_tell};
