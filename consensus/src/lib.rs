//! Stake-weighted Simplex consensus, as a pure state machine.
//!
//! [`Engine::step`] takes the time and an [`Event`] and gives [`Effects`]: no clock, no disk, no network, no
//! randomness, no logging. Beside it a [`Collector`] checks signatures, so that the engine sees verified statements
//! only. [`Replica`] joins the two: it is what a node drives with messages and timers. [`log`] is the file that makes
//! a validator's votes survive a crash.
//!
//! # How to drive it
//!
//! 1. Open the [`log::Log`], read the store's tip, and call [`Replica::start`] with both as [`Restored`].
//! 2. Perform the effects it gives **in their order**; later ones rely on earlier ones. A crash between two of them is
//!    harmless in that order only: what must survive is written and synced before what depends on it leaves.
//! 3. Feed every frame of a validator with [`Replica::receive`] and everything else with [`Replica::step`].
//!
//! The application is known by effects and events alone: [`Effect::Propose`] is answered by [`Event::Proposed`],
//! [`Effect::Execute`] by [`Event::Executed`], and [`Effect::Commit`] is final.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

pub mod collector;
pub mod config;
pub mod effect;
pub mod engine;
pub mod evidence;
pub mod input;
pub mod leader;
pub mod log;
pub mod message;
pub mod replica;

pub use collector::Collector;
pub use config::{Config, ConfigError, Timing};
pub use effect::{Effect, Effects, Fault, Halt, Recipients};
pub use engine::Engine;
pub use evidence::Evidence;
pub use evidence::book::{EvidenceBook, EvidenceBookError};
pub use input::{CommittedTip, Event, Restored, StartError, Verdict};
pub use leader::Leaders;
pub use message::{Message, Range, Request};
pub use replica::Replica;
