//! What is done with the results of a task.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use executor::{HostStep, InputProblem, ProcessEnd, WorkloadFlaw};
use types::attestation::Exit;
use types::number::Fuel;

use super::*;
use crate::core::Cause;
use crate::meters::WorkerMetrics;

/// A back end that gives one result, under another task's index than was asked for.
#[derive(Debug)]
struct Liar;

impl ExecutionBackend for Liar {
    fn run(&self, job: BackendJob, _: &Cancel, take: TakeRun<'_>) -> Result<(), NoResult> {
        let task = job.tasks.first().copied().unwrap_or_default();
        take(TaskIndex(task.0 + 1), run(Vec::new(), b""))
    }
}

/// A task that wrote nothing.
pub(super) fn ran() -> TaskRun {
    run(Vec::new(), b"")
}

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
        witness: None,
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
    let outcomes = outcomes_of(&[(TaskIndex(0), bad.outcome.clone())]).unwrap();
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
    let open = |kept: &[u8]| {
        let endpoints = Endpoints::new(&["http://127.0.0.1:1".to_owned()], None).unwrap();
        let kept = kept.iter().map(|job| assignment(*job)).collect();
        JobRunner::open(dir.path(), endpoints, Box::new(Liar), 1 << 20, &kept).unwrap()
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

/// A program that starts, leaves a file and then says nothing, in a folder of its own.
fn silent_worker(dir: &Path) -> (WorkerProcess, PathBuf) {
    let (program, started) = (dir.join("silent"), dir.join("started"));
    let script = format!("#!/bin/sh\n: > '{}'\nexec sleep 600\n", started.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    let worker = WorkerProcess {
        program,
        may_lack_seccomp: true,
        room: TaskRoom::new(1, 0),
        code: None,
        metrics: WorkerMetrics::default(),
    };
    (worker, started)
}

#[test]
fn who_cancels_ends_a_worker_that_runs_and_one_that_would_start() {
    let dir = tempfile::tempdir().unwrap();
    let (worker, started) = silent_worker(dir.path());
    let workload = crate::core::tests::chain::workload();
    let module = dir.path().join("module");
    std::fs::write(&module, b"module").unwrap();
    let run = |cancel: &Cancel| {
        let job = BackendJob {
            files: workload
                .blobs()
                .into_iter()
                .map(|blob| (blob, module.clone()))
                .collect(),
            workload: workload.clone(),
            tasks: vec![TaskIndex(0)],
            state: TaskState::default(),
            task_wall: Duration::from_secs(30),
        };
        worker.run(job, cancel, &mut |_, _| Ok(()))
    };
    let cancel = Cancel::default();
    let end = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&cancel));
        while !started.exists() && !running.is_finished() {
            std::thread::yield_now();
        }
        cancel.cancel();
        running.join().unwrap()
    });
    assert_eq!(
        end,
        Err(NoResult::Cancelled),
        "long before its time is over"
    );
    assert_eq!(run(&cancel), Err(NoResult::Cancelled), "cancelled before");
}

#[test]
fn in_doubt_an_error_says_nothing_of_the_tasks() {
    let killed = |signal| NoResult::Crashed(ProcessEnd::Killed(signal));
    let step = HostStep::Run;
    let message = || "SIGSEGV".to_owned();
    for reason in [
        killed(11),
        killed(6),
        NoResult::TimedOut { milliseconds: 1 },
        NoResult::Engine {
            step,
            message: message(),
        },
        NoResult::Workload(WorkloadFlaw::TooManyTasks { found: 2_000 }),
    ] {
        let error = RunnerError::from(reason);
        assert_eq!(error.cause(), Cause::Tasks, "{error}");
    }
    for reason in [
        killed(9),
        killed(15),
        NoResult::Crashed(ProcessEnd::Exited(1)),
        NoResult::Start {
            program: message(),
            message: message(),
        },
        NoResult::HostMemory {
            step,
            message: message(),
        },
        NoResult::Input {
            blob: BlobId::of(b""),
            problem: InputProblem::NotNamed,
        },
    ] {
        let error = RunnerError::from(reason);
        assert_eq!(error.cause(), Cause::Machine, "{error}");
    }
    let full = RunnerError::from(blobs::BlobStoreError::Absent(BlobId::of(b"")));
    assert_eq!(full.cause(), Cause::Machine, "{full}");
}

#[test]
fn only_the_tasks_that_were_asked_for_are_committed_to() {
    let dir = tempfile::tempdir().unwrap();
    let endpoints = Endpoints::new(&["http://127.0.0.1:1".to_owned()], None).unwrap();
    let runner = JobRunner::open(
        dir.path(),
        endpoints,
        Box::new(Liar),
        1 << 20,
        &BTreeSet::new(),
    )
    .unwrap();
    let workload = crate::core::tests::chain::workload();
    runner.inputs().put_bytes(b"module").unwrap();
    let execution = |tasks: &[u32]| TaskExecution {
        assignment: Assignment {
            job: types::hash::JobId(Hash32([1; 32])),
            attempt: types::number::Attempt(0),
            role: AssignmentRole::Verifier,
        },
        workload: workload.clone(),
        tasks: tasks.iter().map(|task| TaskIndex(*task)).collect(),
        states: None,
        task_wall_ms: 1_000,
    };
    let error = runner.run(execution(&[0]), &Cancel::default()).unwrap_err();
    assert!(
        matches!(
            error,
            RunnerError::OtherTasks {
                expected: 1,
                found: 1
            }
        ),
        "{error}"
    );
}
