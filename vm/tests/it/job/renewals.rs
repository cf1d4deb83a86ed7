//! Duties that last: who works says so, and a machine that died is replaced long before the slowest one would be done.

use types::hash::JobId;
use types::job::{JobRecord, Stage};
use types::number::{Amount, Attempt};
use types::transaction::JobStep;
use vm::compute::penalty::{Breach, penalty};

use crate::fixture::{address, square};
use crate::job::world::{Conduct, PARTNERS, World, demanding, number, parties};

/// Milliseconds between renewals here.
const INTERVAL: u64 = 5_000;

fn now(world: &World) -> u64 {
    vm::chain_record(&world.chain.state).unwrap().chain_time.0
}

fn cost(world: &World, breach: Breach, locked: Amount) -> u128 {
    penalty(&world.chain.genesis.params.compute, breach, locked).0
}

/// A job whose primary has acknowledged it.
fn acknowledged(world: &mut World, conduct: Conduct) -> (JobId, u8, JobRecord) {
    let job = world.submit(&demanding(1));
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    world.depart(primary, conduct);
    world.step(&[job], 500);
    (job, primary, world.record(&job))
}

#[test]
fn a_primary_that_dies_holds_its_job_for_two_intervals() {
    let mut world = World::new();
    let (job, primary, record) = acknowledged(&mut world, Conduct::Dies);
    let (since, until) = (now(&world), record.stage.duties().unwrap().until.0);
    assert!(until - since > 7 * INTERVAL, "its time would be long");
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], 500);
    }
    let held = now(&world) - since;
    assert!(
        (2 * INTERVAL..2 * INTERVAL + 1_000).contains(&held),
        "{held} ms"
    );
    let lost = square(500).0 - world.partner(primary).bond.0;
    assert_eq!(lost, cost(&world, Breach::Uncommitted, record.policy.bond));
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn a_primary_that_works_keeps_its_job_to_the_end_of_its_time_and_no_longer() {
    let mut world = World::new();
    let (job, _, record) = acknowledged(&mut world, Conduct::NeverCommits);
    let until = record.stage.duties().unwrap().until.0;
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], 500);
    }
    assert!((until..until + 1_000).contains(&now(&world)));
}

#[test]
fn a_renewal_has_its_number_and_its_time() {
    let mut world = World::new();
    let (job, primary, _) = acknowledged(&mut world, Conduct::Dies);
    let renew = |number| JobStep::Renew { number }.of(job, Attempt(0));
    let refused = |world: &World, n, number| world.clone().act(n, renew(number));
    let code = |code: &str| Some(code.to_owned());
    assert_eq!(refused(&world, primary, 0), code("renewed_too_soon"));
    world.pass(INTERVAL / 2);
    assert_eq!(refused(&world, primary, 1), code("wrong_renewal"));
    assert_eq!(
        refused(&world, u8::from(primary == 0), 0),
        code("not_primary")
    );
    assert_eq!(world.act(primary, renew(0)), None);
    assert_eq!(refused(&world, primary, 1), code("renewed_too_soon"));
    world.pass(INTERVAL / 2);
    // Nobody can send an old one again for it.
    assert_eq!(refused(&world, primary, 0), code("wrong_renewal"));
    assert_eq!(world.act(primary, renew(1)), None);
    let duties = world.record(&job).stage.duties().cloned().unwrap();
    assert_eq!(duties.renewals[&address(primary)].number, 2);
}

#[test]
fn a_verifier_that_dies_is_replaced_while_the_others_go_on() {
    let mut world = World::new();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "verifying");
    let verifiers = parties(&record.stage).1;
    let (dead, slow) = (verifiers[0], verifiers[1]);
    world.depart(dead, Conduct::Dies);
    world.depart(slow, Conduct::NeverChecks);
    let since = now(&world);
    while world.record(&job).stage.name() == "verifying" {
        world.step(&[job], 500);
    }
    assert!(now(&world) - since < 2 * INTERVAL + 1_000);
    let lost = |world: &World, n| square(500).0 - world.partner(n).bond.0;
    let silent = cost(&world, Breach::VerifierSilent, record.policy.verifier_bond);
    assert_eq!((lost(&world, dead), lost(&world, slow)), (silent, 0));
    let record = world.run_to(&job, "verifying");
    let bound = parties(&record.stage).1;
    assert!(bound.contains(&slow) && !bound.contains(&dead));
    assert!(bound.len() > verifiers.len(), "two for the one that died");
    world.conduct.clear();
    assert_eq!(world.run(&job).stage, Stage::Settled);
    assert_eq!(lost(&world, slow), 0);
}

#[test]
fn who_dies_in_the_second_round_ends_nobody_elses_work() {
    let mut world = World::new();
    let job = world.submit(&demanding(2));
    let first = parties(&world.run_to(&job, "verifying").stage).1;
    for n in &first {
        world.depart(*n, Conduct::Dies);
    }
    while world.record(&job).stage.name() == "verifying" {
        world.step(&[job], 500);
    }
    let record = world.run_to(&job, "verifying");
    let second = parties(&record.stage).1;
    assert!(second.len() > 1);
    world.depart(second[0], Conduct::Dies);
    for n in &second[1..] {
        world.depart(*n, Conduct::NeverChecks);
    }
    for _ in 0..30 {
        world.step(&[job], 500);
    }
    let record = world.record(&job);
    assert_eq!(record.stage.name(), "verifying");
    assert_eq!(parties(&record.stage).1, second[1..]);
    world.conduct.clear();
    world.run(&job);
    let whole = (0..PARTNERS).filter(|n| world.partner(*n).bond == square(500));
    assert_eq!(whole.count(), usize::from(PARTNERS) - first.len() - 1);
    let record = world.record(&job);
    let spared = record.excluded.iter().map(number);
    assert!(
        spared
            .into_iter()
            .all(|n| n == second[0] || first.contains(&n))
    );
}
