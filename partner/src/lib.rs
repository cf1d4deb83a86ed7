//! A grid partner: one daemon per operator that runs jobs, checks those of others, and vouches for results.
//!
//! [`core`] decides without doing: from a verified view of the chain and from what is on this disk to what is to be
//! done. [`journal`] is the disk. [`watch`] reads the chain through [`servers`] that it does not trust, [`work`]
//! fetches blobs and runs tasks in a worker process, [`run()`] ties them together.
//!
//! What it promises: nothing leaves the machine before what will be needed to answer for it is on disk, so that a
//! daemon killed at any point goes on where it was; and no server is believed without proof.

pub mod config;
pub mod core;
#[cfg(test)]
mod fixture;
pub mod journal;
pub mod part;
pub mod run;
pub mod servers;
pub mod watch;
pub mod work;

pub use config::{CONFIG_FILE, Config, Offer, init};
pub use run::run;
