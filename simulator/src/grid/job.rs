//! The jobs of a run, and how primaries of some break a chain's first link.

use types::codec::{Bounded, Text};
use types::hash::{BlobId, JobId};
use types::job::{Input, JobSpec, Output, StateOutputs, TaskLimits, Workload};
use types::number::{Attempt, Fuel};
use types::transaction::SignedTransaction;

/// The module of every job; nothing executes it.
pub(super) const MODULE: &[u8] = b"module";
/// The input of every job.
pub(super) const INPUT: &[u8] = b"input";
/// Number of tasks of a job.
const TASKS: u32 = 3;

/// A job that the customer submitted.
pub(super) struct SimulatedJob {
    pub(super) id: JobId,
    pub(super) transaction: SignedTransaction,
    /// True if it was submitted after the calm: it must settle.
    pub(super) must_settle: bool,
    pub(super) ended: bool,
}

/// What follows where a primary hands on another state than the first task of a chain left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokenLink {
    /// It runs on from that state, so that its outcomes do not lead to its root.
    RunsOn,
    /// It runs on from what the task left, and so do its verifiers, whatever was handed on: all of them agree.
    Ignored,
}

impl SimulatedJob {
    /// How whoever is primary in an attempt breaks the first link, if it does, where the job is a chain.
    pub(super) fn broken_link(&self, attempt: Attempt) -> Option<BrokenLink> {
        let [first, ..] = self.id.0.0;
        match (u64::from(first) + u64::from(attempt.0)) % 4 {
            _ if self.must_settle => None,
            0 => Some(BrokenLink::RunsOn),
            1 => Some(BrokenLink::Ignored),
            _ => None,
        }
    }
}

/// A job of three tasks, as a chain or as an array.
pub(super) fn spec(is_chain: bool) -> JobSpec {
    let input = Input {
        blob: BlobId::of(INPUT),
        target: Text::new("/in/data").expect("short"),
    };
    let output = Output {
        name: Text::new("out").expect("short"),
        path: Text::new("/out/out").expect("short"),
    };
    let workload = Workload {
        inputs: Bounded::new(vec![input]).expect("one"),
        outputs: Bounded::new(vec![output]).expect("one"),
        limits: TaskLimits {
            fuel: Fuel(10_000_000),
            memory_bytes: 1 << 20,
            output_bytes: 1 << 20,
        },
        state: StateOutputs(Bounded::new(if is_chain { vec![0] } else { vec![] }).expect("one")),
        ..types::testing::workload(MODULE, TASKS)
    };
    let mut spec = types::testing::job_spec(workload);
    spec.verification.min_verifiers = 2;
    spec
}
