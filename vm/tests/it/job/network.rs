//! The ways of a job that cost somebody a bond, on a network that is no devnet.

use types::hash::JobId;
use types::job::{Failed, FailureReason, JobVerdict, Stage};
use types::number::{Amount, Attempt};
use types::params::Params;
use types::state_key::StateKey;
use vm::compute::penalty::{Breach, penalty};
use vm::query;

use crate::fixture::{REFEREES, address, square};
use crate::job::world::{Conduct, PARTNERS, World, certain, demanding, number, parties};

/// What a network chooses whose windows people outlive: no devnet.
pub fn network(params: &mut Params) {
    params.devnet = false;
    params.min_fee = Amount(square(1).0 / 100);
    (params.idle_target_ms, params.pace_ms, params.beacon_lag) = (10_000, 10_000, 8);
    let compute = &mut params.compute;
    compute.probation_multiple = 2;
    for window in [
        &mut compute.acknowledge_window_ms,
        &mut compute.announce_window_ms,
        &mut compute.execute_window_ms,
        &mut compute.reveal_window_ms,
        &mut compute.store_window_ms,
    ] {
        *window = 300_000;
    }
    compute.open_window_ms = 600_000;
    compute.renewal_interval_ms = 40_000;
    compute.classes[0].min_fuel_per_ms = 1_000_000;
    (compute.audit_window_ms, compute.appeal_window_ms) = (600_000, 300_000);
    compute.unbonding_ms = 1_000_000;
}

/// A chain of honest partners with those parameters.
fn world() -> World {
    let mut world = World::with(network);
    world.step_ms = 5_000;
    let params = &world.chain.genesis.params;
    assert!(!params.devnet);
    assert_eq!(params.check(), Ok(()));
    world
}

fn lost(world: &World, n: u8) -> Amount {
    square(500).saturating_sub(world.partner(n).bond)
}

fn gained(world: &World, n: u8) -> Amount {
    let balance = world.chain.account(n).balance;
    balance.saturating_sub(square(10_000))
}

fn verdict(world: &World, job: &JobId) -> JobVerdict {
    let key = StateKey::Verdict(*job, 0);
    state::read_as(&world.chain.state, &key).unwrap().unwrap()
}

fn share(verdict: &JobVerdict, n: u8) -> Amount {
    let all = verdict.shares.iter();
    let own = all.filter(|share| share.account == address(n));
    Amount::sum(own.map(|share| share.amount)).unwrap()
}

#[test]
fn a_wrong_primary_loses_its_bond_by_a_verdict_and_another_attempt_settles() {
    let mut world = world();
    let job = world.submit(&certain());
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    world.depart(primary, Conduct::Wrong(1));
    let verifiers = parties(&world.run_to(&job, "disputed").stage).1;
    assert!(!verifiers.is_empty());
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], world.step_ms);
    }
    world.conduct.clear();
    let record = world.record(&job);
    assert_eq!(lost(&world, primary), record.policy.bond);
    let verdict = verdict(&world, &job);
    assert_eq!(verdict.forfeits.len(), 1);
    assert!(!verdict.paid && share(&verdict, REFEREES) > Amount::ZERO);
    let before: Vec<_> = verifiers.iter().map(|n| gained(&world, *n)).collect();
    world.pass(world.chain.genesis.params.compute.appeal_window_ms);
    for (n, before) in verifiers.iter().zip(before) {
        let paid = share(&verdict, *n);
        assert!(
            paid > record.policy.verifier_fee,
            "its fee and a part of the bond"
        );
        assert_eq!(gained(&world, *n).saturating_sub(before), paid);
    }
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn a_wrong_result_that_settled_is_revoked_within_the_audit_window_and_costs_its_primary_the_bond() {
    let mut world = world();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::Wrong(1)));
    let job = world.submit(&demanding(1));
    let record = world.run(&job);
    assert_eq!(record.stage, Stage::Settled);
    let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
    let primary = number(&receipt.primary);
    let honest = (primary + 1) % PARTNERS;
    world.conduct.remove(&honest);
    // All but the last moments of the window.
    let window_ms = world.chain.genesis.params.compute.audit_window_ms;
    world.pass(window_ms - window_ms / 8);
    assert_eq!(world.act(honest, world.challenge(honest, &job)), None);
    let before = world.chain.account(honest).balance;
    let reason = FailureReason::Revoked;
    assert_eq!(world.run(&job).stage, Stage::Failed(Failed { reason }));
    assert_eq!(lost(&world, primary), record.policy.bond);
    assert_eq!(lost(&world, honest), Amount::ZERO);
    let paid = share(&verdict(&world, &job), honest);
    assert!(paid > record.policy.verifier_fee);
    world.pass(world.chain.genesis.params.compute.appeal_window_ms);
    let balance = world.chain.account(honest).balance;
    assert_eq!(balance.saturating_sub(before), paid);
}

#[test]
fn where_nobody_finds_a_result_the_primary_is_not_paid_and_verifiers_have_their_penalties_back() {
    let mut world = world();
    let job = world.submit(&demanding(2));
    let primary = parties(&world.run_to(&job, "announcing").stage).0.unwrap();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::FindsNoResult));
    let record = world.run(&job);
    let reason = FailureReason::Unrunnable;
    assert_eq!(record.stage, Stage::Failed(Failed { reason }));
    assert_eq!(lost(&world, primary), Amount::ZERO);
    assert_eq!(gained(&world, primary), Amount::ZERO);
    let compute = &world.chain.genesis.params.compute;
    let cost = penalty(compute, Breach::NoResult, record.policy.verifier_bond);
    let reported: Vec<_> = (0..PARTNERS)
        .filter(|n| lost(&world, *n) > Amount::ZERO)
        .collect();
    assert!(reported.len() >= 4, "two rounds: {reported:?}");
    for n in reported {
        assert_eq!((lost(&world, n), gained(&world, n)), (cost, cost), "{n}");
    }
}
