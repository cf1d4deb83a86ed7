//! Runs one task of a job in a cage, so that every honest machine gets the same bytes.
//!
//! - [`class`] pins the engine: version, target, settings and costs. [`fuel`] is the metering formula.
//! - [`TaskEngine::compile`] and [`run_task`] run a task in this process.
//! - [`worker`] runs all tasks of a job in a child process with its own limits; this is what nodes and partners use.
//!
//! A task ends with a [`types::attestation::Outcome`], which is the same everywhere, or with [`NoResult`], which is
//! about this host only and never leaves it. The rules are in `docs/spec/executor.md`.

pub mod cage;
pub mod class;
pub mod code;
pub mod engine;
pub mod flaw;
pub mod fuel;
pub mod inputs;
pub mod task;
pub mod witness;
pub mod worker;

mod counters;
mod floats;
mod limiter;
mod no_result;
mod wasi;

pub use engine::{Program, TaskEngine};
pub use flaw::ModuleFlaw;
pub use inputs::Inputs;
pub use no_result::{
    AnswerFlaw, FloatProblem, HostStep, InputProblem, NoResult, ProcessEnd, WorkloadFlaw,
};
pub use task::{TaskRun, run_task};
pub use witness::run_witness;
pub use worker::{WorkerHandle, WorkerLimits};
