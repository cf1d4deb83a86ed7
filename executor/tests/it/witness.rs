//! Witnesses: the same by the code of each compiler and in a worker, others at other points, and other ones for programs
//! that compute something else, though they leave the same.

use std::collections::BTreeSet;
use std::time::Duration;

use gridproof_executor::worker::WorkerJob;
use gridproof_executor::{TaskRun, WorkerHandle, WorkerLimits, run_task, run_witness};
use types::hash::Hash32;
use types::number::{Fuel, TaskIndex};

use crate::support::{Job, numbers, program};
use crate::workers::{on_disk, worker};

fn histogram() -> Job {
    Job::new(&program("histogram"))
        .input("/in/data", &numbers())
        .output("hist", "/out/hist.csv")
}

fn draws() -> impl Iterator<Item = Hash32> {
    (0..16u8).map(|n| Hash32([n.wrapping_mul(37).wrapping_add(n); 32]))
}

/// The witness of a job's task, found in this process by each compiler's code.
fn witness(job: &Job, used: Fuel, draw: &Hash32) -> Hash32 {
    let inputs = job.inputs();
    let found = job.programs().map(|program| {
        let at = (used, draw);
        run_witness(&program, &job.workload, TaskIndex(0), &inputs, at).unwrap()
    });
    assert_eq!(found[0], found[1], "the compilers differ at {draw}");
    found[0]
}

#[test]
fn a_witness_is_one_on_every_machine_and_another_at_every_point() {
    let job = histogram();
    let used = job.run().outcome.fuel;
    let witnesses: BTreeSet<_> = draws().map(|draw| witness(&job, used, &draw)).collect();
    assert_eq!(witnesses.len(), draws().count());
    let again: BTreeSet<_> = draws().map(|draw| witness(&job, used, &draw)).collect();
    assert_eq!(witnesses, again);
}

/// Whoever runs the task over other bytes has another witness, though histograms do not tell in which order numbers came.
#[test]
fn what_a_program_held_shows_though_it_left_the_same() {
    let text = String::from_utf8(numbers()).unwrap();
    let backwards: Vec<_> = text.lines().rev().map(|line| format!("{line}\n")).collect();
    let over = |bytes: &[u8]| {
        let job = Job::new(&program("histogram"));
        job.input("/in/data", bytes).output("hist", "/out/hist.csv")
    };
    let (job, other) = (over(&numbers()), over(backwards.concat().as_bytes()));
    let (run, others) = (job.run(), other.run());
    assert_eq!(run.outputs, others.outputs);
    let (used, used_there) = (run.outcome.fuel, others.outcome.fuel);
    let differs = |draw: &Hash32| witness(&job, used, draw) != witness(&other, used_there, draw);
    let different = draws().filter(differs).count();
    assert!(different > draws().count() / 2, "{different} differ");
}

#[test]
fn a_worker_finds_the_witness_beside_the_outcome() {
    let job = histogram();
    let (folder, draw) = (tempfile::tempdir().unwrap(), Hash32([9; 32]));
    let mut asked = on_disk(&job, 1, folder.path());
    let run = |asked: &WorkerJob| {
        let limits = WorkerLimits::of(&job.workload, Duration::from_mins(1));
        let handle = WorkerHandle::spawn(&worker(), &["worker"], limits).unwrap();
        let mut runs: Vec<TaskRun> = Vec::new();
        let ended = handle.run_job(asked, |_, run| {
            runs.push(run);
            Ok(())
        });
        ended.unwrap();
        runs.remove(0)
    };
    assert_eq!(run(&asked).witness, None, "nobody asked");
    asked.witness_draw = Some(draw);
    let ran = run(&asked);
    assert_eq!(ran.witness, Some(witness(&job, ran.outcome.fuel, &draw)));
    assert_eq!(ran.outcome, job.run().outcome);
}

/// A task that the fuel limit ends, one whose program is refused, and one whose charge passes the limit.
#[test]
fn tasks_that_come_to_nothing_have_witnesses() {
    let draw = Hash32([3; 32]);
    let whole = histogram().run().outcome.fuel.0;
    let short = histogram().with(|workload| workload.limits.fuel = Fuel(whole - 100));
    let poor = histogram().with(|workload| workload.limits.fuel = Fuel(100));
    let broken = Job::new(b"no module");
    for job in [short, poor, broken] {
        let inputs = job.inputs();
        let run = run_task(&job.program(), &job.workload, TaskIndex(0), &inputs).unwrap();
        witness(&job, run.outcome.fuel, &draw);
    }
}
