//! Two openings that differ never lead to Settled over a wrong result, wherever they differ and whoever is wrong; who is wrong
//! loses its bond, and an honest party loses nothing.

use types::hash::JobId;
use types::job::{JobRecord, Stage, TaskSet};
use types::number::{Amount, Attempt, Fuel};
use vm::query;

use crate::fixture::square;
use crate::job::world::{Conduct, PARTNERS, World, certain, demanding, number, parties};

fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

/// Asserts that the wrong ones lost what they locked and nobody else lost anything.
fn assert_wrong_ones_lose(world: &World, wrong: &[(u8, Amount)]) {
    for n in 0..PARTNERS {
        let lost = wrong.iter().find(|(loser, _)| *loser == n);
        let lost = lost.map_or(Amount::ZERO, |(_, bond)| *bond);
        let bond = square(500).saturating_sub(lost);
        assert_eq!(world.partner(n).bond, bond, "partner {n}");
        assert!(
            world.chain.account(n).balance >= square(10_000),
            "partner {n}"
        );
    }
}

/// Runs the job to its end, which settles it with the right results.
fn settle(world: &mut World, job: &JobId) -> JobRecord {
    let record = world.run(job);
    assert_eq!(record.stage, Stage::Settled);
    let receipt = query::receipt(&world.chain.state, job).unwrap().unwrap();
    assert!(
        !world.is_wrong(number(&receipt.primary)),
        "a wrong result stands"
    );
    record
}

#[test]
fn a_verifier_with_a_wrong_leaf_of_any_task_loses_its_bond_and_the_job_settles() {
    let mut start = proven();
    let job = start.submit(&certain());
    let record = start.run_to(&job, "verifying");
    let (primary, verifiers) = parties(&record.stage);
    assert_eq!(verifiers.len(), 5);
    for verifier in verifiers {
        for task in 0..4 {
            let mut world = start.clone();
            world.depart(verifier, Conduct::Wrong(task));
            let record = settle(&mut world, &job);
            assert_eq!(record.attempt, Attempt(0));
            assert_wrong_ones_lose(&world, &[(verifier, record.policy.verifier_bond)]);
            let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
            assert_eq!(number(&receipt.primary), primary.unwrap());
            assert_eq!(receipt.verifiers.len(), 4, "the wrong one is no verifier");
        }
    }
}

#[test]
fn a_primary_with_a_wrong_leaf_of_any_task_loses_its_bond_and_another_runs_the_job() {
    let mut start = proven();
    let job = start.submit(&certain());
    let primary = parties(&start.run_to(&job, "assigned").stage).0.unwrap();
    for task in 0..4 {
        let mut world = start.after_wrong_task(&job, primary, task);
        let record = settle(&mut world, &job);
        assert_eq!(record.attempt, Attempt(1));
        let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
        assert_ne!(number(&receipt.primary), primary);
        assert_wrong_ones_lose(&world, &[(primary, record.policy.bond)]);
    }
}

#[test]
fn one_honest_verifier_among_colluders_is_enough() {
    let mut start = proven();
    let job = start.submit(&certain());
    let record = start.run_to(&job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    for honest in (0..PARTNERS).filter(|n| *n != primary) {
        let mut world = start.clone();
        (0..PARTNERS)
            .filter(|n| *n != honest)
            .for_each(|n| world.depart(n, Conduct::Wrong(2)));
        while world.record(&job).attempt.0 == 0 {
            world.step(&[job], 500);
        }
        let policy = world.record(&job).policy;
        let wrong: Vec<_> = (0..PARTNERS)
            .filter(|n| *n != honest)
            .map(|n| {
                if n == primary {
                    (n, policy.bond)
                } else {
                    (n, policy.verifier_bond)
                }
            })
            .collect();
        assert_wrong_ones_lose(&world, &wrong);
    }
    // Where all agree on the wrong result nobody can tell.
    let mut world = start.clone();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::Wrong(2)));
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn a_wrong_task_that_nobody_drew_is_not_seen_and_one_that_somebody_drew_is() {
    let mut some = demanding(2);
    some.workload.tasks = TaskSet::all(16);
    some.workload.limits.fuel = Fuel(25_000_000);
    some.verification.tasks_per_verifier = Some(4);
    let mut start = proven();
    let job = start.submit(&some);
    let assigned = start.run_to(&job, "assigned");
    let primary = parties(&assigned.stage).0.unwrap();
    let mut seen = 0;
    for task in 0..16 {
        let mut world = start.clone();
        world.depart(primary, Conduct::Wrong(task));
        let record = world.run_to(&job, "revealing");
        let drawn = record
            .stage
            .verifiers()
            .iter()
            .any(|v| v.tasks.iter().any(|t| t.0 == task));
        seen += u32::from(drawn);
        assert_eq!(world.run(&job).stage, Stage::Settled);
        let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
        let stands = number(&receipt.primary) == primary;
        assert_eq!(stands, !drawn, "task {task}");
    }
    assert!(seen > 0 && seen < 16, "{seen} of 16 tasks were drawn");
}
