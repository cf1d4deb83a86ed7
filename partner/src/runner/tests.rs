//! What is done with the results of a task.

use types::attestation::Exit;
use types::number::Fuel;

use super::*;

fn run(outputs: Vec<Option<Vec<u8>>>, stdout: &[u8]) -> TaskRun {
    let named = outputs
        .iter()
        .map(|bytes| bytes.as_ref().map(|bytes| BlobId::of(bytes)))
        .collect();
    let outcome = Outcome {
        exit: Exit::Code { code: 0 },
        fuel: Fuel(1),
        stdout: BlobId::of(stdout),
        stderr: BlobId::of(b""),
        outputs: Bounded::new(named).unwrap(),
    };
    TaskRun {
        outcome,
        stdout: stdout.to_vec(),
        stderr: Vec::new(),
        outputs,
    }
}

#[test]
fn what_an_outcome_names_is_kept_and_nothing_else_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let results = BlobStore::open(dir.path(), 1 << 20).unwrap();
    let good = run(vec![None, Some(b"out".to_vec())], b"hello");
    keep(&results, &good).unwrap();
    for blob in [BlobId::of(b"out"), BlobId::of(b"hello"), BlobId::of(b"")] {
        assert!(results.has(blob));
    }
    let mut bad = good;
    bad.stdout.push(b'!');
    assert!(keep(&results, &bad).is_err());
    let list = keep_list(&results, &[(TaskIndex(0), bad.outcome.clone())]).unwrap();
    let outcomes: Outcomes = types::codec::decode(&results.read(list).unwrap(), 1_000).unwrap();
    assert_eq!(outcomes.0.to_vec(), vec![bad.outcome]);
}

#[test]
fn only_results_of_kept_parts_survive_a_start() {
    let assignment = |job: u8| Assignment {
        job: types::hash::JobId(Hash32([job; 32])),
        attempt: types::number::Attempt(0),
        role: AssignmentRole::Primary,
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = JobRunnerSettings {
        quota: 1 << 20,
        worker: "x".into(),
        task_wall: Duration::from_secs(1),
    };
    let open = |kept: &[u8]| {
        let endpoints = Endpoints::new(&["http://127.0.0.1:1".to_owned()]).unwrap();
        let kept = kept.iter().map(|job| assignment(*job)).collect();
        JobRunner::open(dir.path(), endpoints, settings.clone(), &kept).unwrap()
    };
    let work = open(&[]);
    for job in [1, 2] {
        work.results_of(&assignment(job))
            .unwrap()
            .put_bytes(b"result")
            .unwrap();
    }
    drop(work);
    let work = open(&[2]);
    assert!(
        !work
            .results_of(&assignment(1))
            .unwrap()
            .has(BlobId::of(b"result"))
    );
    assert!(
        work.results_of(&assignment(2))
            .unwrap()
            .has(BlobId::of(b"result"))
    );
    work.forget(&assignment(2)).unwrap();
    work.forget(&assignment(2)).unwrap();
    assert!(
        !work
            .results_of(&assignment(2))
            .unwrap()
            .has(BlobId::of(b"result"))
    );
}

#[test]
fn a_cancelled_execution_says_so() {
    let cancel = Cancel::default();
    assert!(!cancel.is_cancelled());
    cancel.cancel();
    assert!(cancel.is_cancelled());
}

#[test]
fn in_doubt_an_error_says_nothing_of_the_tasks() {
    let crashed = |status: &str| NoResult::Crashed {
        status: status.into(),
    };
    let error = || "x".to_owned();
    for reason in [
        crashed("signal: 11 (SIGSEGV)"),
        crashed("signal: 6 (SIGABRT) (core dumped)"),
        NoResult::TimedOut { milliseconds: 1 },
        NoResult::Engine { error: error() },
        NoResult::Workload { why: error() },
    ] {
        let error = anyhow::Error::new(reason).context("while running");
        assert_eq!(cause_of(&error), Cause::Tasks, "{error:#}");
    }
    for reason in [
        crashed("signal: 9 (SIGKILL)"),
        crashed("signal: 15 (SIGTERM)"),
        crashed("exit status: 1"),
        NoResult::Start { error: error() },
        NoResult::HostMemory { error: error() },
        NoResult::Input {
            blob: BlobId::of(b""),
            error: error(),
        },
    ] {
        assert_eq!(cause_of(&reason.clone().into()), Cause::Machine, "{reason}");
    }
    assert_eq!(
        cause_of(&anyhow::anyhow!("No space left on device")),
        Cause::Machine
    );
}
