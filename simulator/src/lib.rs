//! Whole nodes in virtual time: consensus, state machine, mempool, sync and log of every validator, driven through
//! [`node::core::Node::step`], the code that ships; in some seeds grid partners as well, through their own deciding core.
//!
//! A run follows from its seed alone ([`Scenario`]): a committee with unequal stake, liars whose key runs on two
//! machines and who propose past views that were not given up, frames that are lost, late, doubled and out of order, partitions, crashes in the middle of a step that
//! lose what was not synced, restarts of everybody. Some time later nothing goes wrong any more.
//!
//! What is claimed to survive, and checked: at any time, no two honest hosts decide different blocks or states, no
//! honest key contradicts itself and nobody honest is accused ([`Violation`]); after the faults every honest host goes
//! on deciding, every transfer becomes final, and a job that is submitted then settles. Equal seeds give equal runs, to the byte ([`Report::trace`]).
//!
//! What it leaves out: bit rot and full disks, which the log's and the store's own tests cover.

pub mod genesis;
pub mod grid;
pub mod host;
pub mod judge;
pub mod liar;
pub mod load;
pub mod network;
pub mod random;
pub mod scenario;
mod show;
mod world;

pub use judge::Violation;
pub use scenario::{Committee, Scenario};

use types::number::Height;
use world::World;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Hash over everything that happened, in its order.
    pub trace: String,
    /// How much happened.
    pub events: u64,
    /// Virtual time that passed, in milliseconds.
    pub virtual_ms: u64,
    /// Height up to which blocks are final.
    pub height: Height,
    /// Frames that were sent.
    pub frames: u64,
}

/// A run that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed} at {virtual_ms} ms: {violation} (again with: scripts/simulate --seed {seed})")]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// When.
    pub virtual_ms: u64,
    /// What.
    pub violation: Violation,
}

/// How a run is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Is told what happens, line by line.
    pub print: Option<fn(&str)>,
    /// A rule that every node breaks.
    #[cfg(feature = "planted-bugs")]
    pub mutation: Option<consensus::Mutation>,
}

impl Options {
    /// A run that tells what happens, if there is somebody to be told.
    #[must_use]
    pub fn telling(print: Option<fn(&str)>) -> Self {
        Self {
            print,
            #[cfg(feature = "planted-bugs")]
            mutation: None,
        }
    }
}

/// Runs the scenario of a seed to its end.
pub fn run(seed: u64, options: Options) -> Result<Report, Box<Failure>> {
    run_scenario(Scenario::of(seed), options)
}

/// Runs a scenario to its end.
pub fn run_scenario(scenario: Scenario, options: Options) -> Result<Report, Box<Failure>> {
    let seed = scenario.seed;
    let mut world = World::new(scenario, options);
    match world.run() {
        Ok(()) => Ok(world.report()),
        Err(violation) => Err(Box::new(Failure {
            seed,
            virtual_ms: world.now_ms(),
            violation,
        })),
    }
}
