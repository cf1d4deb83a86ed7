//! Chains: a task begins with what the one before it left, in this process and in a worker, from the start or in between.

use std::time::Duration;

use gridproof_executor::worker::{WorkerHandle, WorkerJob, WorkerLimits};
use gridproof_executor::{InputProblem, NoResult, TaskRun, WorkloadFlaw, run_task};
use types::attestation::Exit;
use types::codec::Bounded;
use types::hash::BlobId;
use types::job::{StateOutputs, TaskSet, TaskState};
use types::number::TaskIndex;

use crate::support::{Job, program, text};
use crate::workers::{on_disk, worker};

const TASKS: u32 = 3;

fn orbit() -> Job {
    let job = Job::new(&program("orbit")).argument("100");
    let job = job.output("log", "/out/log").output("orbit", "/out/orbit");
    job.with(|workload| {
        workload.tasks = TaskSet::all(TASKS);
        workload.state = StateOutputs(Bounded::new(vec![1]).unwrap());
    })
}

/// Runs a task in this process.
fn run_here(job: &Job, index: u32, state: &TaskState) -> Result<TaskRun, NoResult> {
    let read = |blob: BlobId| job.blobs.get(&blob).cloned().ok_or(InputProblem::NotNamed);
    let inputs = job.inputs().after_state(&job.workload, state, read)?;
    run_task(&job.program(), &job.workload, TaskIndex(index), &inputs)
}

/// Runs all tasks, each in turn, and keeps the states among the job's blobs: the runs, and the state before each.
fn run_all_here(job: &mut Job) -> (Vec<TaskRun>, Vec<TaskState>) {
    let (mut runs, mut states) = (Vec::new(), vec![TaskState::default()]);
    for index in 0..TASKS {
        let run = run_here(job, index, states.last().unwrap()).unwrap();
        states.push(run.outcome.state(&job.workload.state));
        for bytes in run.outputs.iter().flatten() {
            job.blobs.insert(BlobId::of(bytes), bytes.clone());
        }
        runs.push(run);
    }
    (runs, states)
}

/// Runs tasks in a worker.
fn run_there(job: &Job, tasks: &[u32], state: &TaskState) -> Result<Vec<TaskRun>, NoResult> {
    let folder = tempfile::tempdir().unwrap();
    let asked = WorkerJob {
        tasks: tasks.iter().copied().map(TaskIndex).collect(),
        state: state.clone(),
        ..on_disk(job, 0, folder.path())
    };
    let limits = WorkerLimits::of(&job.workload, Duration::from_mins(1));
    let handle = WorkerHandle::spawn(&worker(), &["worker"], limits).unwrap();
    let mut runs = Vec::new();
    handle.run_job(&asked, |_, run| {
        runs.push(run);
        Ok(())
    })?;
    Ok(runs)
}

#[test]
fn each_task_goes_on_where_the_one_before_it_ended() {
    let mut job = orbit();
    let (runs, states) = run_all_here(&mut job);
    for (index, run) in runs.iter().enumerate() {
        assert_eq!(run.outcome.exit, Exit::Code { code: 0 });
        let steps = format!("task {index}: {} steps", (index + 1) * 100);
        assert!(
            text(&run.stdout).starts_with(&steps),
            "{}",
            text(&run.stdout)
        );
    }
    assert_eq!(run_there(&job, &[0, 1, 2], &states[0]).unwrap(), runs);
    let one_alone = run_there(&job, &[1], &states[1]).unwrap();
    assert_eq!(one_alone, runs[1..2]);
    assert_eq!(run_there(&job, &[1, 2], &states[1]).unwrap(), runs[1..]);
    let from_elsewhere = run_there(&job, &[2], &states[1]).unwrap();
    assert_ne!(from_elsewhere[0].outcome, runs[2].outcome);
}

#[test]
fn a_state_is_paid_for_as_an_input_is() {
    let mut job = orbit();
    let (runs, states) = run_all_here(&mut job);
    let none: TaskState = Bounded::new(vec![None]).unwrap();
    let without = run_here(&job, 1, &none).unwrap();
    assert_eq!(
        without.outcome.exit,
        Exit::Code { code: 3 },
        "it misses its state"
    );
    let state = states[1][0].unwrap();
    job.workload.limits.fuel = runs[1].outcome.fuel;
    let enough = run_here(&job, 1, &states[1]).unwrap();
    assert_eq!(enough.outcome, runs[1].outcome);
    let long = vec![b' '; 1 << 20];
    job.blobs.insert(BlobId::of(&long), long.clone());
    let long: TaskState = Bounded::new(vec![Some(BlobId::of(&long))]).unwrap();
    job.workload.limits.fuel.0 += (1 << 19) - state.length;
    let too_long = run_here(&job, 1, &long).unwrap();
    assert_eq!(too_long.outcome.exit, Exit::OutOfFuel);
    assert_eq!(too_long.outcome.fuel, job.workload.limits.fuel);
}

#[test]
fn tasks_without_their_state_have_no_result() {
    let mut job = orbit();
    let (_, states) = run_all_here(&mut job);
    let gap = run_there(&job, &[0, 2], &states[0]).unwrap_err();
    let flaw = WorkloadFlaw::NotInARow(TaskIndex(2));
    assert_eq!(gap, NoResult::Workload(flaw));
    for (first, state, expected) in [(1, &states[0], 1), (0, &states[1], 0)] {
        let refused = run_there(&job, &[first], state).unwrap_err();
        let flaw = WorkloadFlaw::OtherState {
            task: TaskIndex(first),
            found: 1 - expected,
            expected,
        };
        assert_eq!(refused, NoResult::Workload(flaw));
    }
    let blob = BlobId::of(b"elsewhere");
    let elsewhere: TaskState = Bounded::new(vec![Some(blob)]).unwrap();
    let problem = InputProblem::NotNamed;
    let refused = run_there(&job, &[1], &elsewhere).unwrap_err();
    assert_eq!(refused, NoResult::Input { blob, problem });
}
