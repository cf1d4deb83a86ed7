//! Which tasks failed, and how they are told.

use types::codec::{Bounded, Text};
use types::hash::BlobId;
use types::job::Output;
use types::number::Fuel;

use super::*;

fn workload(outputs: &[&str]) -> Workload {
    let output = |name: &&str| Output {
        name: Text::new(*name).unwrap(),
        path: Text::new(format!("/out/{name}")).unwrap(),
    };
    Workload {
        outputs: Bounded::new(outputs.iter().map(output).collect()).unwrap(),
        ..types::testing::workload(b"module", 20)
    }
}

fn outcome(exit: Exit, written: &[bool]) -> Outcome {
    let blob = |written: &bool| written.then(|| BlobId::of(b"out"));
    Outcome {
        exit,
        fuel: Fuel(1),
        stdout: BlobId::of(b""),
        stderr: BlobId::of(b""),
        outputs: Bounded::new(written.iter().map(blob).collect()).unwrap(),
    }
}

const GOOD: Exit = Exit::Code { code: 0 };

fn failed(outcomes: Vec<Outcome>) -> Vec<FailedTask> {
    let outcomes = Outcomes(Bounded::new(outcomes).unwrap());
    failed_tasks(&workload(&["hist", "log"]), &outcomes)
}

#[test]
fn another_exit_and_an_unwritten_output_are_failures() {
    let failed = failed(vec![
        outcome(GOOD, &[true, true]),
        outcome(Exit::OutOfFuel, &[true, false]),
        outcome(GOOD, &[true, false]),
    ]);
    let shape = json!([
        { "task": 1, "exit": { "kind": "out_of_fuel" }, "missing_outputs": ["log"] },
        { "task": 2, "exit": { "kind": "code", "code": 0 }, "missing_outputs": ["log"] },
    ]);
    assert_eq!(objects(&failed), shape);
    let told = failure(3, &failed).unwrap();
    assert_eq!((told.kind.code(), told.code.as_str()), (15, "tasks_failed"));
    assert!(told.message.starts_with("2 of 3 tasks failed"), "{told}");
    assert!(told.message.contains("task 1: out of fuel"), "{told}");
}

#[test]
fn good_tasks_are_no_failure() {
    let failed = failed(vec![outcome(GOOD, &[true, true])]);
    assert!(failed.is_empty() && failure(1, &failed).is_none());
    assert_eq!(lines(1, &failed).len(), 1);
}

#[test]
fn the_first_failures_are_shown_and_the_others_counted() {
    let failed = failed((0..20).map(|_| outcome(GOOD, &[])).collect());
    assert!(
        failed.is_empty(),
        "a list of outputs that is empty misses none"
    );
    let failed = super::tests::failed((0..20).map(|_| outcome(Exit::Invalid, &[])).collect());
    let lines = lines(20, &failed);
    assert_eq!(lines.len(), 1 + SHOWN + 1);
    assert!(
        lines[0].contains("0 of 20") && lines[9].contains("12 more"),
        "{lines:?}"
    );
}
