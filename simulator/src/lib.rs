//! Whole nodes in virtual time: consensus, state machine, mempool, sync and log of every validator, driven through
//! [`node::core::Node::step`], the code that ships; in some seeds grid partners as well, through their own deciding core.
//!
//! A run follows from its seed alone ([`Scenario`]): a committee of 4 to 21 members with unequal stake; liars who hold up to
//! F of it and lie in one of ten ways ([`LiarKind`]); frames that are lost, late, doubled and out of order, wait for
//! bandwidth and are dropped from full queues; clocks that drift; partitions; crashes in the middle of a step, and of
//! a write, that lose unsynced bytes; restarts of everybody. After some time ([`Scenario::calm_at_ms`]) nothing goes
//! wrong any more, but liars go on.
//!
//! What a run checks. At any time no two honest hosts decide different blocks or states, no honest key contradicts
//! itself, and no honest validator is accused ([`Violation`]). After the calm every honest host goes on deciding, every
//! transfer becomes final, and a job that is submitted then settles. Equal seeds give equal runs, to the byte
//! ([`Report::trace`]).
//!
//! What it leaves out: bit rot and full disks, which the tests of the log and of the store cover.

pub mod committee;
pub mod genesis;
pub mod grid;
pub mod host;
pub mod judge;
pub mod latency;
pub mod liar;
pub mod load;
pub mod network;
pub mod random;
pub mod scenario;
mod show;
mod world;

pub use committee::SimulatedCommittee;
pub use judge::Violation;
pub use liar::LiarKind;
pub use scenario::Scenario;

use types::number::Height;
use world::World;

/// The result of a run that kept every promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Hash over everything that happened, in its order, in hexadecimal.
    pub trace: String,
    /// Number of events: arrivals, timers, finished work, faults and turns of customers and partners.
    pub events: u64,
    /// Virtual time that the run took, in milliseconds.
    pub virtual_ms: u64,
    /// Highest height that an honest host decided.
    pub height: Height,
    /// Frames that hosts sent, those that were lost included.
    pub frames: u64,
}

/// A run that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed} at {virtual_ms} ms: {violation} (again with: scripts/simulate --seed {seed})")]
pub struct BrokenRun {
    /// The seed of the scenario.
    pub seed: u64,
    /// Virtual time of the violation, in milliseconds since the start.
    pub virtual_ms: u64,
    /// The promise that was broken.
    pub violation: Violation,
}

/// How a run is observed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Gets a line for each thing that happens; `None` for a silent run.
    pub print: Option<fn(&str)>,
}

/// Runs the scenario of a seed to its end.
pub fn run(seed: u64, options: RunOptions) -> Result<Report, Box<BrokenRun>> {
    run_scenario(Scenario::of(seed), options)
}

/// Runs a scenario to its end.
pub fn run_scenario(scenario: Scenario, options: RunOptions) -> Result<Report, Box<BrokenRun>> {
    let seed = scenario.seed;
    let mut world = World::new(scenario, options);
    match world.run() {
        Ok(()) => Ok(world.report()),
        Err(violation) => Err(Box::new(BrokenRun {
            seed,
            virtual_ms: world.now_ms(),
            violation,
        })),
    }
}
