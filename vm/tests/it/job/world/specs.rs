//! The jobs that the tests submit.

use types::codec::{Bounded, Text};
use types::hash::BlobId;
use types::job::{Input, JobSpec, Output, StateOutputs, Workload};

use crate::fixture::square;

/// A job of four tasks with a price cap and a value at risk of 1 SQUARE; every partner asks half a SQUARE for it.
pub fn spec() -> JobSpec {
    let input = Input {
        blob: BlobId::of(b"input"),
        target: Text::new("/in/data").unwrap(),
    };
    let output = Output {
        name: Text::new("hist").unwrap(),
        path: Text::new("/out/hist.csv").unwrap(),
    };
    let workload = Workload {
        inputs: Bounded::new(vec![input]).unwrap(),
        outputs: Bounded::new(vec![output]).unwrap(),
        ..types::testing::workload(b"module", 4)
    };
    JobSpec {
        name: Text::new("histogram").unwrap(),
        ..types::testing::job_spec(workload)
    }
}

/// The same with so large a value at risk that sortition draws every partner.
pub fn certain() -> JobSpec {
    let mut spec = spec();
    spec.verification.value_at_risk = square(285);
    spec.verification.task_value_at_risk = square(285);
    spec
}

/// A chain of the same four tasks, which hand on their output; every verifier runs so many of them.
pub fn chain(verifiers: u16, tasks: u32) -> JobSpec {
    let mut spec = demanding(verifiers);
    spec.workload.state = StateOutputs(Bounded::new(vec![0]).unwrap());
    spec.verification.tasks_per_verifier = Some(tasks);
    spec
}

/// The same with a demand for verifiers.
pub fn demanding(minimum: u16) -> JobSpec {
    let mut spec = spec();
    spec.verification.min_verifiers = minimum;
    spec
}
