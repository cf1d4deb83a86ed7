//! Jobs for tests: a workload, a spec and a record in which nothing stands out. A test changes what it is about.

use std::collections::BTreeMap;

use crate::codec::{Bounded, Text};
use crate::hash::{Address, BlobId, Hash32, JobId};
use crate::job::{
    CLASS_WASM_V2, Constraints, EarlierVerifiers, Escrow, JobRecord, JobRent, JobSpec, JobTerms,
    Output, Parties, Policy, Primary, Stage, TaskLimits, TaskSet, Verification, Workload,
};
use crate::number::{Amount, Attempt, Fixed64, Fuel, Height, SQUARE};
use crate::task_state::StateOutputs;

/// A workload of that many tasks without inputs, outputs or arguments; its module is `module`.
#[must_use]
pub fn workload(module: &[u8], tasks: u32) -> Workload {
    Workload {
        class: CLASS_WASM_V2,
        module: BlobId::of(module),
        arguments: Bounded::default(),
        environment: BTreeMap::new(),
        stdin: None,
        inputs: Bounded::default(),
        outputs: Bounded::default(),
        tasks: TaskSet::all(tasks),
        state: StateOutputs::default(),
        limits: TaskLimits {
            fuel: Fuel(100_000_000),
            memory_bytes: 1 << 20,
            output_bytes: 1 << 20,
        },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    }
}

/// The same workload as a chain, whose tasks hand on its only output.
#[must_use]
pub fn chain(workload: Workload) -> Workload {
    let output = Output {
        name: Text::new("state").expect("a short name"),
        path: Text::new("/out/state").expect("a short path"),
    };
    Workload {
        outputs: Bounded::new(vec![output]).expect("one output"),
        state: StateOutputs(Bounded::new(vec![0]).expect("one position")),
        ..workload
    }
}

/// A job of a workload for everybody: no verifiers demanded, a price cap and values at risk of 1 SQUARE.
#[must_use]
pub fn job_spec(workload: Workload) -> JobSpec {
    JobSpec {
        name: Text::new("job").expect("a short name"),
        workload,
        constraints: Constraints::default(),
        verification: Verification {
            min_verifiers: 0,
            tasks_per_verifier: None,
            value_at_risk: SQUARE,
            task_value_at_risk: SQUARE,
            confidence_ppm: 0,
        },
        price_cap: SQUARE,
        max_wait_ms: 0,
    }
}

/// A primary that is paid and has locked nothing, its commitment of zeros, and nobody who checks it.
#[must_use]
pub fn no_parties() -> Parties {
    Parties {
        primary: Primary {
            partner: Address::default(),
            price: Amount::ZERO,
            bond: Amount::ZERO,
        },
        commitment: Hash32::ZERO,
        verifiers: Vec::new(),
        no_results: Vec::new(),
    }
}

/// A policy that demands nothing: no verifiers, bonds or fees.
#[must_use]
pub fn no_policy() -> Policy {
    Policy {
        expected_verifiers: Fixed64(0),
        tasks_per_verifier: 0,
        expected_checks: Fixed64(0),
        detection: Fixed64(0),
        bond: Amount::ZERO,
        verifier_bond: Amount::ZERO,
        min_verifiers: 0,
        verifier_fee: Amount::ZERO,
        expected_announcements: Fixed64(1 << 64),
    }
}

/// The record of a job in its first attempt, under [`no_policy`], without money, deadline or history.
#[must_use]
pub fn job_record(id: JobId, spec: &JobSpec, stage: Stage) -> JobRecord {
    JobRecord {
        id,
        customer: Address::default(),
        terms: JobTerms::of(spec),
        escrow: Escrow::default(),
        rent: JobRent::default(),
        policy: no_policy(),
        attempt: Attempt(0),
        unrunnable_reports: Vec::new(),
        excluded: Vec::new(),
        earlier: EarlierVerifiers::default(),
        states: None,
        stage,
        deadline: None,
        opened: Height::ZERO,
        draw: None,
        verdicts: 0,
        queued: None,
        burned: Amount::ZERO,
        locked: Amount::ZERO,
        refunded: Amount::ZERO,
        history: Vec::new(),
        settlement: None,
    }
}
