//! A grid partner: one daemon per operator that runs jobs, checks those of others, and vouches for results.
//!
//! [`core`] decides without doing: from a verified state of the chain and from what is on this disk to what is to be
//! done. [`journal`] is the disk. [`watch`] reads the chain through [`endpoints`] that it does not trust, [`runner`]
//! fetches blobs and runs tasks through a back end, [`run()`] ties them together.
//!
//! What it promises: nothing leaves the machine before what will be needed to answer for it is on disk, so that a
//! daemon killed at any point goes on where it was; and no endpoint is believed without proof.

pub mod assignment;
pub mod config;
pub mod core;
pub mod endpoints;
pub mod error;
#[cfg(test)]
mod fixture;
mod init;
pub mod journal;
pub mod ledger;
pub mod meters;
mod operator;
pub mod room;
pub mod run;
pub mod runner;
pub mod watch;

pub use config::{CONFIG_FILE, Config, Offer};
pub use error::PartnerError;
pub use init::{check_folders, init};
pub use operator::PauseMark;
pub use run::{DaemonControls, inspect_cage, run, run_with};
