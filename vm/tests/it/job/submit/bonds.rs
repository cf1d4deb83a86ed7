//! Specs that too few partners can stand behind: a bond that nobody or too few can lock, one that no amount can hold,
//! more verifiers than partners.

use types::job::{JobSpec, JobTerms, TaskSet};
use types::number::{Amount, Fuel};
use types::transaction::Action;
use vm::compute::JobError;
use vm::compute::market::choose_policy;

use super::{code, estimated};
use crate::fixture::square;
use crate::job::world::{PARTNERS, World, certain, demanding, spec};

/// Goes on to the next epoch, whose snapshot knows the bonds of this one.
fn until_bonds_count(world: &mut World) {
    while world.chain.rules.epoch(world.chain.tip.height.next()).0 < 2 {
        world.step(&[], 500);
    }
}

#[test]
fn a_bond_that_too_few_others_can_match_is_refused() {
    // One partner could lock a bond for it, and nobody else could stand behind a result against it.
    let mut world = World::new();
    let amount = square(9_000);
    assert_eq!(world.act(0, Action::Bond { amount }), None);
    until_bonds_count(&mut world);
    let mut large = spec();
    large.verification.value_at_risk = square(900);
    large.verification.task_value_at_risk = square(900);
    assert_eq!(world.try_submit(&large), Err("too_few_can_verify".into()));
    let Some(JobError::TooFewCanVerify { bond }) = estimated(&world.chain, &large).refusal else {
        panic!()
    };
    assert!(bond > square(250), "half of the bond of each of the others");
    // Where each of several verifiers locks a part, the others can.
    large.verification.min_verifiers = 4;
    let policy = estimated(&world.chain, &large).policy.unwrap();
    assert!(policy.verifier_bond <= square(250) && policy.bond > square(250));
}

#[test]
fn a_value_beyond_every_bond_is_refused_with_the_bond_that_would_do() {
    let beyond = |s: &mut JobSpec| {
        s.verification.value_at_risk = square(1_000);
        s.verification.task_value_at_risk = square(1_000);
    };
    assert_eq!(code(beyond), "bond_too_small");
    let mut spec = spec();
    beyond(&mut spec);
    let world = World::new();
    let Some(JobError::BondTooSmall { needed, best }) = estimated(&world.chain, &spec).refusal
    else {
        panic!()
    };
    assert_eq!(best, square(125), "half of the bond over two places");
    // With the bond that would do, it does: for who runs it and for who checks it.
    let mut richer = World::new();
    let bond = Amount(needed.0 * 4 - square(500).0);
    for n in 0..PARTNERS {
        assert!(richer.act(n, Action::Bond { amount: bond }).is_none());
    }
    until_bonds_count(&mut richer);
    let seen = estimated(&richer.chain, &spec);
    assert_eq!(
        (seen.refusal.clone(), seen.eligible.len()),
        (None, usize::from(PARTNERS))
    );
    assert_eq!(seen.policy.unwrap().bond, needed);
}

#[test]
fn whoever_loses_a_dispute_can_pay_all_referees_however_many_there_are() {
    let (world, mut spec) = (World::new(), demanding(5));
    spec.verification.value_at_risk = Amount::ZERO;
    spec.verification.task_value_at_risk = Amount::ZERO;
    let params = &world.chain.genesis.params.compute;
    let terms = JobTerms::of(&spec);
    let epoch = world.chain.rules.epoch(world.chain.tip.height.next());
    let snapshot = vm::query::snapshot(&world.chain.state, epoch);
    let snapshot = snapshot.unwrap().unwrap();
    let choose = |referees| choose_policy(params, &spec, &terms, &snapshot, referees, 1 << 64);
    for referees in [4, 30, 100] {
        let policy = choose(referees).unwrap();
        let each = policy.verifier_fee.0 / u128::from(policy.tasks_per_verifier);
        let fees = each * u128::try_from(referees).unwrap();
        assert!(policy.verifier_bond.0 >= fees, "{referees}: {policy:?}");
        assert!(policy.bond.0 >= 4 * fees, "{referees}: {policy:?}");
    }
    let Err(JobError::BondTooSmall { needed, best }) = choose(256) else {
        panic!()
    };
    assert_eq!((needed, best), (square(128), square(125)));
}

#[test]
fn one_rich_partner_does_not_set_the_bond_that_others_cannot_lock() {
    let mut world = World::new();
    let amount = square(9_000);
    assert_eq!(world.act(0, Action::Bond { amount }), None);
    until_bonds_count(&mut world);
    let seen = estimated(&world.chain, &certain());
    assert_eq!(seen.policy.unwrap().bond, square(125));
    assert_eq!(seen.eligible.len(), usize::from(PARTNERS));
}

#[test]
fn more_verifiers_than_partners_are_refused() {
    // Who is alone cannot be checked, whoever demands it.
    for (probation, alone) in [(10, "not_enough_verifiers"), (0, "too_few_can_verify")] {
        let mut world = World::with(|params| params.compute.probation_multiple = probation);
        for n in 1..PARTNERS {
            assert_eq!(
                world.act(
                    n,
                    Action::Unbond {
                        amount: square(500)
                    }
                ),
                None
            );
        }
        while world.chain.rules.epoch(world.chain.tip.height.next()).0 < 2 {
            world.step(&[], 500);
        }
        assert_eq!(world.try_submit(&spec()), Err(alone.to_owned()));
    }
    assert_eq!(
        code(|s| s.verification.min_verifiers = 6),
        "not_enough_verifiers"
    );
    World::new().submit(&demanding(5));
}

#[test]
fn amounts_that_overflow_are_refused() {
    let huge = |s: &mut JobSpec| {
        s.price_cap = Amount(u128::MAX);
        s.verification.value_at_risk = Amount::ZERO;
        s.verification.task_value_at_risk = Amount::ZERO;
    };
    assert_eq!(code(huge), "bond_too_small");
    let boundless = |s: &mut JobSpec| {
        huge(s);
        s.verification.value_at_risk = Amount(u128::MAX);
        s.verification.task_value_at_risk = Amount(u128::MAX);
        // So few of the tasks for each verifier that a wrong one is hardly ever found.
        s.verification.tasks_per_verifier = Some(2);
        s.workload.tasks = TaskSet::all(64);
        s.workload.limits.fuel = Fuel(1_000);
    };
    assert_eq!(code(boundless), "bond_boundless");
}
