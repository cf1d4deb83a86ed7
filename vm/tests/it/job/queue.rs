//! Jobs wait for a place as long as they say, or are refused at once.

use types::hash::JobId;
use types::job::{JobSpec, Stage};

use crate::job::world::{World, spec};

/// Blocks with everything that everybody sends until no job is live.
fn run_all(world: &mut World, jobs: &[JobId]) {
    for _ in 0..4_000 {
        let live: Vec<_> = jobs
            .iter()
            .filter(|job| !world.record(job).stage.is_final())
            .copied()
            .collect();
        if live.is_empty() {
            return;
        }
        world.step(&live, 500);
    }
    panic!("some jobs are still live");
}

/// A world in which bonds come free with their jobs, so that places alone are scarce.
fn quick() -> World {
    World::with(|params| params.compute.audit_window_ms = 1_000)
}

/// A job that waits for an hour if it must.
pub fn patient() -> JobSpec {
    JobSpec {
        max_wait_ms: 3_600_000,
        ..spec()
    }
}

#[test]
fn more_jobs_than_places_run_one_after_the_other() {
    let mut world = quick();
    let jobs: Vec<_> = (0..100).map(|_| world.submit(&patient())).collect();
    run_all(&mut world, &jobs);
    let settled = |job: &&JobId| world.record(job).stage == Stage::Settled;
    assert_eq!(jobs.iter().filter(settled).count(), jobs.len());
}

#[test]
fn a_job_that_would_wait_longer_than_it_may_is_refused_at_once() {
    let mut world = quick();
    let all: Vec<_> = (0..80).map(|_| world.try_submit(&spec())).collect();
    let refused = Err("queue_too_long".to_owned());
    let first = all.iter().position(|one| *one == refused).unwrap();
    assert!(all[first..].iter().all(|one| *one == refused));
    let params = &world.chain.genesis.params.compute;
    // Twelve places, and nothing measured yet.
    let most = 12 + 12 * params.open_window_ms / params.execute_window_ms;
    assert_eq!(u64::try_from(first).unwrap(), most);
    let taken: Vec<_> = all.into_iter().flatten().collect();
    run_all(&mut world, &taken);
    let settled = |job: &&JobId| world.record(job).stage == Stage::Settled;
    assert_eq!(taken.iter().filter(settled).count(), taken.len());
    let chain = vm::chain_record(&world.chain.state).unwrap();
    assert!(
        chain.attempt_ms < params_execute(&world),
        "{}",
        chain.attempt_ms
    );
    assert_eq!(chain.running_jobs, 0);
}

fn params_execute(world: &World) -> u64 {
    world.chain.genesis.params.compute.execute_window_ms
}

#[test]
fn a_job_in_the_queue_asks_nothing_of_blocks_until_a_place_is_free() {
    let mut world = quick();
    let jobs: Vec<_> = (0..20).map(|_| world.submit(&patient())).collect();
    let queued = |world: &World| {
        let is_queued = |job: &&JobId| world.record(job).queued.is_some();
        jobs.iter().filter(is_queued).count()
    };
    while queued(&world) < 8 {
        world.step(&jobs, 100);
    }
    let draws = |world: &World| vm::chain_record(&world.chain.state).unwrap().draws;
    while draws(&world) > 0 {
        world.step(&jobs, 100);
    }
    assert_eq!(queued(&world), 8);
    let before = world.chain.executed.clone();
    assert!(before.is_some());
    run_all(&mut world, &jobs);
    assert_eq!(queued(&world), 0);
}
