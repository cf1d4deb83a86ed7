//! Jobs wait for a place as long as they say, or are refused at once.

use std::collections::{BTreeMap, BTreeSet};

use types::hash::JobId;
use types::job::{JobSpec, Stage};
use types::snapshot::EpochPartner;
use types::transaction::Action;
use vm::query;

use crate::fixture::{address_in, put_pages};
use crate::job::world::{CUSTOMER, World, spec};

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

/// Chain time now, in milliseconds.
fn now(world: &World) -> u64 {
    vm::chain_record(&world.chain.state).unwrap().chain_time.0
}

/// The least and the longest time between two draws of the same job, in milliseconds, while so many jobs wait for partners of whom the
/// chain has no record.
fn between_draws(jobs: u16) -> (u64, u64) {
    let mut world = World::new();
    let known = query::active_partners(&world.chain.state).unwrap();
    let unknown = known.into_iter().zip(0..).map(|(one, n)| EpochPartner {
        address: address_in(0, n),
        ..one
    });
    put_pages(&mut world.chain.state, unknown);
    let jobs: Vec<_> = (0..jobs).map(|_| world.submit(&patient())).collect();
    let mut last = BTreeMap::new();
    let mut gaps = Vec::new();
    let mut was_queued = BTreeSet::new();
    while gaps.len() < 2 * jobs.len() {
        world.step(&jobs, 500);
        let queued = |job: &&JobId| world.record(job).queued.is_some();
        let is_queued: BTreeSet<_> = jobs.iter().filter(queued).copied().collect();
        for job in was_queued.difference(&is_queued) {
            if let Some(before) = last.insert(*job, now(&world)) {
                gaps.push(now(&world) - before);
            }
        }
        was_queued = is_queued;
    }
    (*gaps.iter().min().unwrap(), *gaps.iter().max().unwrap())
}

#[test]
fn the_more_jobs_are_live_the_rarer_each_of_the_queue_draws_by_itself() {
    // An eighth of the open window, and what the steps of the beacon and blocks of half a second add.
    let (least, most) = between_draws(20);
    assert!(
        (7_500..11_000).contains(&least) && most < 11_000,
        "{least} to {most}"
    );
    let (least, most) = between_draws(250);
    assert!(
        (16_000..20_000).contains(&least) && most < 20_000,
        "{least} to {most}"
    );
}

#[test]
fn a_place_is_offered_also_to_jobs_that_were_queued_while_many_more_were_live() {
    let mut world = quick();
    let jobs: Vec<_> = (0..250).map(|_| world.submit(&patient())).collect();
    let queued = |world: &World, of: &[JobId]| {
        let is_queued = |job: &&JobId| world.record(job).queued.is_some();
        of.iter().filter(is_queued).copied().collect::<Vec<_>>()
    };
    while queued(&world, &jobs).len() < 238 {
        world.step(&jobs, 10);
    }
    // The last of the queue is left of it.
    let mut waiting = queued(&world, &jobs);
    waiting.sort_unstable_by_key(|job| world.record(job).queued);
    let last = waiting.pop().unwrap();
    for job in waiting {
        let cancels = world.chain.sign(CUSTOMER, Action::CancelJob { job });
        let output = world.chain.output();
        let block = world.chain.block_with(1, vec![output], vec![cancels]);
        let receipts = world.chain.push(&block).receipts;
        assert_eq!(receipts[0].failure, None);
    }
    let at = world.record(&last).queued.unwrap().0;
    let runs = |world: &World| vm::chain_record(&world.chain.state).unwrap().running_jobs;
    let before = runs(&world);
    while runs(&world) == before {
        assert_eq!(queued(&world, &[last]), [last]);
        world.step(&jobs, 10);
    }
    let waits_ms = at - now(&world);
    assert!(waits_ms > 7_500, "it would draw by itself in {waits_ms} ms");
    assert_eq!(queued(&world, &[last]), []);
}
