//! The jobs that the tests submit.

use std::collections::BTreeMap;

use types::codec::{Bounded, Text};
use types::hash::{BlobId, Hash32};
use types::job::{
    CLASS_WASM_V1, Constraints, Input, JobSpec, Output, TaskLimits, Verification, Workload,
};
use types::number::Fuel;

use crate::fixture::square;

/// A job of four tasks with a price cap and a value at risk of 1 SQUARE; every partner asks half a SQUARE for it.
pub fn spec() -> JobSpec {
    JobSpec {
        name: Text::new("histogram").unwrap(),
        workload: Workload {
            class: CLASS_WASM_V1,
            module: BlobId::of(b"module"),
            arguments: Bounded::default(),
            environment: BTreeMap::new(),
            stdin: None,
            inputs: Bounded::new(vec![Input {
                blob: BlobId::of(b"input"),
                target: Text::new("/in/data").unwrap(),
            }])
            .unwrap(),
            outputs: Bounded::new(vec![Output {
                name: Text::new("hist").unwrap(),
                path: Text::new("/out/hist.csv").unwrap(),
            }])
            .unwrap(),
            tasks: 4,
            limits: TaskLimits {
                fuel: Fuel(100_000_000),
                memory_bytes: 1 << 20,
                output_bytes: 1 << 20,
            },
            clock_start_ns: 0,
            random_seed: Hash32::ZERO,
        },
        constraints: Constraints::default(),
        verification: Verification {
            min_verifiers: 0,
            tasks_per_verifier: None,
            value_at_risk: square(1),
            task_value_at_risk: square(1),
            confidence_ppm: 0,
        },
        price_cap: square(1),
    }
}

/// The same with so large a value at risk that sortition draws every partner.
pub fn certain() -> JobSpec {
    let mut spec = spec();
    spec.verification.value_at_risk = square(285);
    spec.verification.task_value_at_risk = square(285);
    spec
}

/// The same with a demand for verifiers.
pub fn demanding(minimum: u16) -> JobSpec {
    let mut spec = spec();
    spec.verification.min_verifiers = minimum;
    spec
}
