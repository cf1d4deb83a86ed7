//! Ways out of verification: verifiers stay silent, replacements are appointed or are not there, and the most
//! verifiers that a job can have.

use types::job::{FailureReason, Revealing, Stage};
use types::number::Amount;
use types::transaction::Action;
use vm::compute::penalty::Breach;
use vm::query;

use super::{assert_refunded, cost, deadline, everybody, fee, lost_bond, now, proven, spent};
use crate::fixture::square;
use crate::job::world::{Conduct, PARTNERS, World, certain, demanding, number, parties};

#[test]
fn a_silent_verifier_is_replaced_by_two_of_which_one_must_commit() {
    let mut world = proven();
    let job = world.submit(&demanding(1));
    let record = world.run_to(&job, "verifying");
    let silent = parties(&record.stage).1;
    for n in &silent {
        world.depart(*n, Conduct::NeverChecks);
    }
    let record = world.run_to(&job, "appointing");
    let Stage::Appointing(appointing) = &record.stage else {
        panic!()
    };
    assert!(appointing.parties.verifiers.is_empty());
    assert_eq!(usize::from(appointing.missing), 2 * silent.len());
    assert_eq!(usize::from(appointing.needed), silent.len());
    assert_eq!(appointing.round, 1);
    for n in &silent {
        let lost = lost_bond(&world.partner(*n));
        assert_eq!(
            lost,
            cost(&world, Breach::VerifierSilent, record.policy.verifier_bond)
        );
    }
    let record = world.run_to(&job, "verifying");
    let replaced = parties(&record.stage).1;
    assert_eq!(replaced.len(), 2 * silent.len());
    assert!(replaced.iter().all(|n| !silent.contains(n)));
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn one_of_two_replacements_is_enough() {
    let mut world = proven();
    let job = world.submit(&demanding(1));
    let record = world.run_to(&job, "verifying");
    let silent = parties(&record.stage).1;
    assert_eq!(
        silent.len(),
        1,
        "this needs a job that sortition did not draw for"
    );
    world.depart(silent[0], Conduct::NeverChecks);
    world.run_to(&job, "appointing");
    let again = parties(&world.run_to(&job, "verifying").stage).1;
    world.depart(again[0], Conduct::NeverChecks);
    let record = world.run(&job);
    assert_eq!(record.stage, Stage::Settled);
    assert!(lost_bond(&world.partner(again[0])) > Amount::ZERO);
    let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
    assert_eq!(
        receipt
            .verifiers
            .iter()
            .map(|v| number(&v.partner))
            .collect::<Vec<_>>(),
        [again[1]]
    );
}

#[test]
fn after_two_silent_rounds_the_job_is_unverified_and_its_primary_paid() {
    let mut world = proven();
    everybody(&mut world, Conduct::NeverChecks);
    let job = world.submit(&demanding(1));
    let primary = parties(&world.run_to(&job, "announcing").stage).0.unwrap();
    let record = world.run_to_failure(&job, FailureReason::Unverified);
    assert_eq!(
        world.chain.account(primary).balance,
        Amount(square(10_000).0 + square(1).0 / 2)
    );
    assert_eq!(lost_bond(&world.partner(primary)), Amount::ZERO);
    // Three referees are a quorum on one of four tasks.
    let referees = 3 * record.policy.verifier_fee.0 / 4;
    let expected = Amount(record.burned.0 + fee(&world).0 + square(1).0 / 2 + referees);
    assert_eq!(spent(&world), expected);
    let silent = (0..PARTNERS)
        .filter(|n| lost_bond(&world.partner(*n)) > Amount::ZERO)
        .count();
    assert_eq!(silent, 3, "one of the first round and two of the second");
}

#[test]
fn without_anybody_to_appoint_the_job_is_unverified_at_its_deadline() {
    let mut world = proven();
    let job = world.submit(&demanding(1));
    let primary = parties(&world.run_to(&job, "announcing").stage).0.unwrap();
    let Stage::Announcing(_) = world.record(&job).stage else {
        panic!()
    };
    for n in (0..PARTNERS).filter(|n| *n != primary) {
        world.depart(n, Conduct::NeverAnnounces);
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
    world.run_to(&job, "appointing");
    let deadline = deadline(&world, &job);
    while now(&world) < deadline {
        assert_eq!(world.record(&job).stage.name(), "appointing");
        world.step(&[job], 1_000);
    }
    assert!(matches!(
        world.record(&job).stage,
        Stage::Revealing(Revealing {
            unverified: true,
            ..
        })
    ));
    assert_eq!(
        world.chain.account(primary).balance,
        square(10_000),
        "a commitment alone is worth nothing"
    );
    world.run_to_failure(&job, FailureReason::Unverified);
    assert_eq!(
        world.chain.account(primary).balance,
        Amount(square(10_000).0 + square(1).0 / 2)
    );
}

#[test]
fn a_commitment_that_is_never_revealed_is_not_paid_however_verification_ends() {
    for nobody_left in [false, true] {
        let mut world = World::with(|params| {
            params.compute.probation_multiple = 0;
            params.compute.max_attempts = 1;
        });
        everybody(&mut world, Conduct::NeverChecks);
        everybody(&mut world, Conduct::NeverOpens);
        everybody(&mut world, Conduct::NeverAnnounces);
        let job = world.submit(&demanding(1));
        let record = world.run_to(&job, "announcing");
        let primary = parties(&record.stage).0.unwrap();
        for n in (0..PARTNERS).filter(|n| nobody_left && *n != primary) {
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
        let record = world.run_to_failure(&job, FailureReason::Unopened);
        assert_eq!(
            world.chain.account(primary).balance,
            square(10_000),
            "nobody left: {nobody_left}"
        );
        assert_eq!(lost_bond(&world.partner(primary)), record.policy.bond);
        assert_refunded(&world, &record);
    }
}

#[test]
fn a_verifier_that_committed_and_revealed_is_paid_where_others_are_silent() {
    let mut world = proven();
    let job = world.submit(&demanding(3));
    let record = world.run_to(&job, "verifying");
    let (primary, verifiers) = (parties(&record.stage).0.unwrap(), parties(&record.stage).1);
    (0..PARTNERS)
        .filter(|n| *n != verifiers[0])
        .for_each(|n| world.depart(n, Conduct::NeverChecks));
    let record = world.run_to(&job, "revealing");
    assert!(matches!(
        record.stage,
        Stage::Revealing(Revealing {
            unverified: true,
            ..
        })
    ));
    assert_eq!(parties(&record.stage).1, [verifiers[0]]);
    world.run_to_failure(&job, FailureReason::Unverified);
    let earned = square(10_000)
        .checked_add(record.policy.verifier_fee)
        .unwrap();
    assert_eq!(world.chain.account(verifiers[0]).balance, earned);
    assert_eq!(
        world.chain.account(primary).balance,
        Amount(square(10_000).0 + square(1).0 / 2)
    );
}

#[test]
fn a_job_that_everybody_verifies_settles() {
    // That more are refused than a policy allows is shown in `refusals/announcements.rs`.
    let mut world = proven();
    let job = world.submit(&certain());
    let record = world.run_to(&job, "verifying");
    assert_eq!(parties(&record.stage).1.len(), usize::from(PARTNERS) - 1);
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

/// The price of this attack was 0.02 SQUARE a job, its damage a fifth of the lock of every honest verifier, twice.
#[test]
fn a_job_that_honest_machines_cannot_run_costs_honest_verifiers_nothing_and_pays_no_primary() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let primary = parties(&world.run_to(&job, "announcing").stage).0.unwrap();
    everybody(&mut world, Conduct::FindsNoResult);
    let record = world.run_to_failure(&job, FailureReason::Unrunnable);
    assert_eq!(world.chain.account(primary).balance, square(10_000));
    assert_eq!(lost_bond(&world.partner(primary)), Amount::ZERO);
    let reported = (0..PARTNERS).filter(|n| lost_bond(&world.partner(*n)) > Amount::ZERO);
    let reported: Vec<_> = reported.collect();
    assert!(reported.len() >= 4, "two rounds: {reported:?}");
    for n in &reported {
        let paid = cost(&world, Breach::NoResult, record.policy.verifier_bond);
        assert_eq!(lost_bond(&world.partner(*n)), paid);
        let has = world.chain.account(*n).balance;
        let balance = square(10_000).checked_add(paid).unwrap();
        assert_eq!(has, balance, "partner {n} is paid back");
    }
}

#[test]
fn who_finds_no_result_where_others_do_pays_a_flat_cost_and_the_job_goes_on() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "verifying");
    let verifiers = parties(&record.stage).1;
    world.depart(verifiers[0], Conduct::FindsNoResult);
    let record = world.run(&job);
    assert_eq!(record.stage, Stage::Settled);
    let lost = lost_bond(&world.partner(verifiers[0]));
    assert_eq!(
        lost,
        cost(&world, Breach::NoResult, record.policy.verifier_bond)
    );
    assert!(lost < cost(&world, Breach::VerifierSilent, record.policy.verifier_bond));
    let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
    assert!(
        receipt
            .verifiers
            .iter()
            .all(|v| number(&v.partner) != verifiers[0])
    );
}

#[test]
fn a_second_round_that_finds_a_result_is_enough() {
    let mut world = proven();
    let job = world.submit(&demanding(1));
    let first = parties(&world.run_to(&job, "verifying").stage).1;
    for n in &first {
        world.depart(*n, Conduct::FindsNoResult);
    }
    let record = world.run_to(&job, "appointing");
    let Stage::Appointing(appointing) = &record.stage else {
        panic!()
    };
    assert_eq!((appointing.round, appointing.needed), (1, 1));
    assert_eq!(usize::from(appointing.missing), first.len());
    let second = parties(&world.run_to(&job, "verifying").stage).1;
    assert!(second.iter().all(|n| !first.contains(n)));
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn who_is_silent_beside_those_without_a_result_is_punished_as_ever() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let verifiers = parties(&world.run_to(&job, "verifying").stage).1;
    everybody(&mut world, Conduct::FindsNoResult);
    world.conduct.remove(&verifiers[1]);
    world.depart(verifiers[1], Conduct::NeverChecks);
    let record = world.run_to_failure(&job, FailureReason::Unrunnable);
    let silent = cost(&world, Breach::VerifierSilent, record.policy.verifier_bond);
    assert_eq!(lost_bond(&world.partner(verifiers[1])), silent);
}

/// The price of this attack was a fifth of the locks of verifiers of its own, its gain the price of any job.
#[test]
fn a_primary_that_nobody_checked_is_paid_once_referees_found_what_it_did() {
    let mut world = World::new();
    let job = world.submit(&demanding(2));
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    everybody(&mut world, Conduct::NeverAnnounces);
    everybody(&mut world, Conduct::Dies);
    world.conduct.remove(&primary);
    let mut wrong = world.clone();
    (0..4).for_each(|task| wrong.depart(primary, Conduct::Wrong(task)));

    world.run_to(&job, "disputed");
    world.run_to_failure(&job, FailureReason::Unverified);
    let paid = Amount(square(10_000).0 + square(1).0 / 2);
    assert_eq!(world.chain.account(primary).balance, paid);
    assert_eq!(lost_bond(&world.partner(primary)), Amount::ZERO);

    let record = wrong.run_to(&job, "disputed");
    while wrong.record(&job).stage.name() == "disputed" {
        wrong.step(&[job], 500);
    }
    assert_eq!(wrong.record(&job).attempt.0, 1, "another one tries");
    assert_eq!(wrong.chain.account(primary).balance, square(10_000));
    assert_eq!(lost_bond(&wrong.partner(primary)), record.policy.bond);
}

#[test]
fn verifiers_that_commit_and_do_not_open_vouch_for_nobody() {
    let mut world = World::new();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "revealing");
    let primary = parties(&record.stage).0.unwrap();
    for n in parties(&record.stage).1 {
        world.depart(n, Conduct::NeverOpens);
    }
    world.run_to(&job, "disputed");
    world.run_to_failure(&job, FailureReason::Unverified);
    let paid = Amount(square(10_000).0 + square(1).0 / 2);
    assert_eq!(world.chain.account(primary).balance, paid);
}
