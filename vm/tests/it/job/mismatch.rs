//! Two openings that differ never lead to Settled, wherever they differ and whoever is wrong.

use types::job::{FailureReason, Stage};
use types::number::{Amount, Fuel};
use vm::query;

use crate::fixture::square;
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, certain, demanding, parties};

fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

/// Asserts that nobody was paid or slashed and the customer has all back but what was burned.
fn assert_nobody_gains(world: &World, burned: Amount) {
    for n in 0..PARTNERS {
        assert_eq!(
            world.chain.account(n).balance,
            square(10_000),
            "partner {n}"
        );
        assert_eq!(world.partner(n).bond, square(500));
        assert!(world.partner(n).locks.is_empty());
    }
    let fee = world.chain.genesis.params.min_fee;
    assert_eq!(
        world.chain.account(CUSTOMER).balance,
        Amount(square(10_000).0 - burned.0 - fee.0)
    );
}

#[test]
fn a_wrong_leaf_of_any_task_by_any_verifier_fails_the_job() {
    let mut start = proven();
    let job = start.submit(&certain());
    let record = start.run_to(&job, "verifying");
    let (_, verifiers) = parties(&record.stage);
    assert_eq!(verifiers.len(), 5);
    for verifier in verifiers {
        for task in 0..4 {
            let mut world = start.clone();
            world.depart(verifier, Conduct::Wrong(task));
            let record = world.run_to_failure(&job, FailureReason::Unresolved);
            assert_nobody_gains(&world, record.burned);
            assert_eq!(query::receipt(&world.chain.state, &job).unwrap(), None);
        }
    }
}

#[test]
fn a_wrong_leaf_of_any_task_by_the_primary_fails_the_job() {
    let mut start = proven();
    let job = start.submit(&certain());
    let primary = parties(&start.run_to(&job, "assigned").stage).0.unwrap();
    for task in 0..4 {
        let mut world = start.clone();
        world.depart(primary, Conduct::Wrong(task));
        let record = world.run_to_failure(&job, FailureReason::Unresolved);
        assert_nobody_gains(&world, record.burned);
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
        world.run_to_failure(&job, FailureReason::Unresolved);
    }
    // Where all agree on the wrong result nobody can tell.
    let mut world = start.clone();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::Wrong(2)));
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn a_wrong_task_that_nobody_drew_is_not_seen_and_one_that_somebody_drew_is() {
    let mut some = demanding(2);
    some.workload.tasks = 16;
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
        let settled = world.run(&job).stage == Stage::Settled;
        assert_eq!(settled, !drawn, "task {task}");
    }
    assert!(seen > 0 && seen < 16, "{seen} of 16 tasks were drawn");
}

#[test]
fn a_mismatch_ends_the_job_in_its_block_whoever_has_still_to_open() {
    let mut world = proven();
    let job = world.submit(&demanding(3));
    let (_, verifiers) = parties(&world.run_to(&job, "verifying").stage);
    world.depart(verifiers[0], Conduct::Wrong(1));
    world.depart(verifiers[1], Conduct::NeverOpens);
    let record = world.run_to_failure(&job, FailureReason::Unresolved);
    assert_nobody_gains(&world, record.burned);
}
