//! Tests of a job's life.

pub mod audit;
mod cancel;
mod chains;
pub mod challenges;
mod cost;
pub mod disputes;
pub mod draws;
pub mod exits;
mod figures;
pub mod invariants;
pub mod judged;
pub mod life;
pub mod mismatch;
pub mod model;
pub mod network;
mod pages;
mod params;
mod pause;
pub mod queue;
pub mod random;
pub mod records;
pub mod refusals;
mod renewals;
pub mod rent;
pub mod submit;
mod turnout;
pub mod world;
