//! Every way out of every stage but the good one: deadlines, penalties, refunds, redraws.

use types::account::Partner;
use types::hash::JobId;
use types::job::{Failed, FailureReason, JobRecord, Pending, Revealing, Stage};
use types::number::{Amount, Attempt, ChainTime};
use types::transaction::{Action, Holding, JobStep};
use vm::compute::penalty::{Breach, penalty};
use vm::{ChainRecord, query};

use crate::fixture::{address, square};
use crate::job::world::{
    CUSTOMER, Conduct, PARTNERS, World, certain, demanding, number, parties, spec,
};

fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

fn now(world: &World) -> ChainTime {
    ChainRecord::read(&world.chain.state).unwrap().chain_time
}

fn deadline(world: &World, job: &JobId) -> ChainTime {
    world.record(job).deadline.unwrap()
}

fn cost(world: &World, breach: Breach, locked: Amount) -> Amount {
    penalty(&world.chain.genesis.params.compute, breach, locked)
}

/// What the customer lost so far.
fn spent(world: &World) -> Amount {
    square(10_000)
        .checked_sub(world.chain.account(CUSTOMER).balance)
        .unwrap()
}

fn lost_bond(partner: &Partner) -> Amount {
    square(500).checked_sub(partner.bond).unwrap()
}

fn fee(world: &World) -> Amount {
    world.chain.genesis.params.min_fee
}

fn everybody(world: &mut World, conduct: Conduct) {
    (0..PARTNERS).for_each(|n| world.depart(n, conduct));
}

/// Asserts that a job that never had a result cost its customer what was burned for it and no more.
fn assert_refunded(world: &World, record: &JobRecord) {
    assert_eq!(spent(world), record.burned.checked_add(fee(world)).unwrap());
}

#[test]
fn without_inputs_the_job_fails_at_its_deadline_and_not_before() {
    let mut world = World::new();
    world.holders = vec![0, 1];
    let job = world.submit(&spec());
    let deadline = deadline(&world, &job);
    while now(&world) < deadline {
        assert!(matches!(
            world.record(&job).stage,
            Stage::Pending(Pending { draw: None, .. })
        ));
        world.step(&[job], 1_000);
    }
    assert_eq!(
        world.record(&job).stage,
        Stage::Failed(Failed {
            reason: FailureReason::NoInputs
        })
    );
    assert_refunded(&world, &world.record(&job));
    assert_eq!(
        world.record(&job).burned,
        world.chain.genesis.params.compute.storage_fee_per_mib,
        "for opening it"
    );
}

#[test]
fn without_a_free_partner_the_draw_is_repeated_until_the_deadline() {
    let mut world = proven();
    let job = world.submit(&spec());
    // All bonds go before the draw: the epoch's snapshot keeps them, and none of it can be locked.
    for n in 0..PARTNERS {
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
    world.step(&[job], 500);
    let until = deadline(&world, &job);
    let mut draws = std::collections::BTreeSet::new();
    while let Stage::Pending(Pending {
        draw: Some(draw), ..
    }) = world.record(&job).stage
    {
        assert!(now(&world) < until && deadline(&world, &job) == until);
        draws.insert(draw);
        world.step(&[job], 1_000);
    }
    assert!(draws.len() > 5, "{} draws", draws.len());
    assert_eq!(
        world.record(&job).stage,
        Stage::Failed(Failed {
            reason: FailureReason::NoPartner
        })
    );
    assert_refunded(&world, &world.record(&job));
}

#[test]
fn a_partner_whose_bond_comes_free_is_drawn_later() {
    let mut world = proven();
    let job = world.submit(&spec());
    for n in 0..PARTNERS {
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
    for _ in 0..10 {
        world.step(&[job], 500);
    }
    assert!(matches!(
        world.record(&job).stage,
        Stage::Pending(Pending { draw: Some(_), .. })
    ));
    assert_eq!(
        world.act(
            3,
            Action::Bond {
                amount: square(500)
            }
        ),
        None
    );
    let record = world.run_to(&job, "assigned");
    assert_eq!(parties(&record.stage).0, Some(3));
}

#[test]
fn an_ignored_assignment_costs_a_fee_and_goes_to_another() {
    let mut world = proven();
    let job = world.submit(&spec());
    let first = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    world.depart(first, Conduct::NeverAcknowledges);
    let record = world.run(&job);
    assert_eq!((record.stage, record.attempt), (Stage::Settled, Attempt(1)));
    assert_eq!(record.excluded, [address(first)]);
    assert_eq!(
        lost_bond(&world.partner(first)),
        cost(&world, Breach::Ignored, record.policy.bond)
    );
    let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
    assert_ne!(receipt.primary, address(first));
    assert_eq!(receipt.attempt, Attempt(1));
}

#[test]
fn a_declined_assignment_goes_to_another_at_once() {
    let mut world = proven();
    let job = world.submit(&spec());
    let first = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    let before = now(&world);
    world.depart(first, Conduct::Declines);
    world.step(&[job], 100);
    let record = world.record(&job);
    assert!(matches!(
        record.stage,
        Stage::Pending(Pending { draw: Some(_), .. })
    ));
    assert!(now(&world).0 - before.0 <= 100);
    assert_eq!(
        lost_bond(&world.partner(first)),
        cost(&world, Breach::Declined, record.policy.bond)
    );
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn an_acknowledged_job_without_a_commitment_costs_more_and_goes_to_another() {
    for gives_up in [false, true] {
        let mut world = proven();
        let job = world.submit(&spec());
        let first = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
        world.depart(first, Conduct::NeverCommits);
        world.step(&[job], 500);
        let deadline = deadline(&world, &job);
        // Three times four tasks of 10^8 at 50,000 per ms, a few bytes of inputs, and the window.
        assert_eq!(
            deadline.0 - now(&world).0,
            3 * 4 * 100_000_000 / 50_000 + 1 + 15_000
        );
        if gives_up {
            world.depart(first, Conduct::Declines);
            world.step(&[job], 500);
        } else {
            world.pass(deadline.0 - now(&world).0);
        }
        let record = world.record(&job);
        assert_eq!(record.attempt, Attempt(1), "gives up: {gives_up}");
        let uncommitted = cost(&world, Breach::Uncommitted, record.policy.bond);
        assert!(uncommitted > cost(&world, Breach::Declined, record.policy.bond));
        assert_eq!(lost_bond(&world.partner(first)), uncommitted);
    }
}

#[test]
fn after_the_last_attempt_the_job_fails_without_a_commitment() {
    let mut world = proven();
    everybody(&mut world, Conduct::NeverAcknowledges);
    let job = world.submit(&spec());
    let record = world.run_to_failure(&job, FailureReason::NoCommitment);
    assert_eq!(
        record.attempt.0 + 1,
        world.chain.genesis.params.compute.max_attempts
    );
    assert_eq!(
        record.excluded.len(),
        3,
        "the last one is not drawn again anyway"
    );
    assert_refunded(&world, &record);
}

#[test]
fn three_reports_end_a_job_and_the_customer_pays_them_back() {
    let mut world = proven();
    everybody(&mut world, Conduct::SaysUnrunnable);
    let job = world.submit(&spec());
    let record = world.run_to_failure(&job, FailureReason::Unrunnable);
    let declined = cost(&world, Breach::Declined, record.policy.bond);
    assert_eq!(record.unrunnable_reports.len(), 3);
    for n in 0..PARTNERS {
        let reported = record
            .unrunnable_reports
            .iter()
            .any(|report| report.partner == address(n));
        let (lost, paid) = if reported {
            (declined, declined)
        } else {
            (Amount::ZERO, Amount::ZERO)
        };
        assert_eq!(lost_bond(&world.partner(n)), lost);
        let fees = if reported { fee(&world) } else { Amount::ZERO };
        let balance = square(10_000)
            .checked_add(paid)
            .unwrap()
            .checked_sub(fees)
            .unwrap();
        assert_eq!(world.chain.account(n).balance, balance);
    }
    let expected = Amount(record.burned.0 + fee(&world).0 + 3 * declined.0);
    assert_eq!(spent(&world), expected);
}

#[test]
fn a_report_after_acknowledging_costs_what_giving_up_does_and_is_paid_back_if_it_is_true() {
    let mut world = proven();
    let job = world.submit(&spec());
    let mut reporters = Vec::new();
    for attempt in 0..3 {
        let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
        let attempt = Attempt(attempt);
        assert_eq!(
            world.act(primary, JobStep::Acknowledge.of(job, attempt)),
            None
        );
        assert_eq!(
            world.act(
                primary,
                JobStep::Decline { unrunnable: true }.of(job, attempt)
            ),
            None
        );
        let lost = lost_bond(&world.partner(primary));
        assert_eq!(
            lost,
            cost(&world, Breach::Uncommitted, world.record(&job).policy.bond)
        );
        reporters.push((primary, lost));
    }
    let record = world.record(&job);
    assert_eq!(
        record.stage,
        Stage::Failed(Failed {
            reason: FailureReason::Unrunnable
        })
    );
    for (n, lost) in reporters {
        let fees = fee(&world);
        // Up to a third of the price cap each.
        let back = lost.0.min(square(1).0 / 3);
        let balance = Amount(square(10_000).0 + back - fees.0);
        assert_eq!(
            world.chain.account(n).balance,
            balance,
            "the fee of declining is its own, acknowledging is paid back"
        );
    }
}

#[test]
fn two_reports_do_not_end_a_job_and_cost_those_who_made_them() {
    let mut world = proven();
    let job = world.submit(&spec());
    for attempt in 0..2 {
        let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
        world.depart(primary, Conduct::SaysUnrunnable);
        world.step(&[job], 500);
        assert_eq!(world.record(&job).attempt, Attempt(attempt + 1));
    }
    let record = world.run(&job);
    assert_eq!(record.stage, Stage::Settled);
    for report in &record.unrunnable_reports {
        let lost = lost_bond(&world.partner(number(&report.partner)));
        assert_eq!(lost, cost(&world, Breach::Declined, record.policy.bond));
    }
}

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
    let expected = Amount(record.burned.0 + fee(&world).0 + square(1).0 / 2);
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

fn revealed(world: &mut World, minimum: u16) -> (JobId, u8, Vec<u8>) {
    let job = world.submit(&demanding(minimum));
    let record = world.run_to(&job, "revealing");
    let (primary, verifiers) = parties(&record.stage);
    (job, primary.unwrap(), verifiers)
}

#[test]
fn a_primary_that_does_not_reveal_loses_its_bond_and_verifiers_that_did_are_paid() {
    let mut world = proven();
    let (job, primary, verifiers) = revealed(&mut world, 2);
    world.depart(primary, Conduct::NeverOpens);
    let record = world.run_to_failure(&job, FailureReason::Unopened);
    assert_eq!(lost_bond(&world.partner(primary)), record.policy.bond);
    assert_eq!(world.chain.account(primary).balance, square(10_000));
    for n in &verifiers {
        let earned = square(10_000)
            .checked_add(record.policy.verifier_fee)
            .unwrap();
        assert_eq!(world.chain.account(*n).balance, earned);
        assert_eq!(lost_bond(&world.partner(*n)), Amount::ZERO);
    }
    let paid = record.policy.verifier_fee.0 * u128::try_from(verifiers.len()).unwrap();
    assert_eq!(
        spent(&world),
        Amount(record.burned.0 + fee(&world).0 + paid)
    );
}

#[test]
fn where_nobody_revealed_another_attempt_follows_a_silent_primary() {
    let mut world = proven();
    world.conduct.clear();
    for _ in 0..20 {
        let job = world.submit(&spec());
        let record = world.run_to(&job, "revealing");
        let (primary, verifiers) = parties(&record.stage);
        if !verifiers.is_empty() {
            world.run(&job);
            continue;
        }
        let primary = primary.unwrap();
        world.depart(primary, Conduct::NeverOpens);
        let record = world.run(&job);
        assert_eq!((record.stage, record.attempt), (Stage::Settled, Attempt(1)));
        assert_eq!(lost_bond(&world.partner(primary)), record.policy.bond);
        return;
    }
    panic!("every one of 20 jobs was checked at x = 0.1");
}

#[test]
fn the_last_attempt_of_silent_primaries_fails_unopened() {
    let mut world = World::with(|params| {
        params.compute.probation_multiple = 0;
        params.compute.max_attempts = 1;
    });
    everybody(&mut world, Conduct::NeverOpens);
    let job = world.submit(&spec());
    let record = world.run_to_failure(&job, FailureReason::Unopened);
    assert_refunded(&world, &record);
}

#[test]
fn a_verifier_that_does_not_reveal_loses_its_bond_and_the_job_is_unverified() {
    let mut world = proven();
    let (job, primary, verifiers) = revealed(&mut world, 2);
    world.depart(verifiers[0], Conduct::NeverOpens);
    let record = world.run_to_failure(&job, FailureReason::Unverified);
    assert_eq!(
        lost_bond(&world.partner(verifiers[0])),
        record.policy.verifier_bond
    );
    assert_eq!(world.chain.account(verifiers[0]).balance, square(10_000));
    assert_eq!(
        world.chain.account(primary).balance,
        Amount(square(10_000).0 + square(1).0 / 2)
    );
    let earned = square(10_000)
        .checked_add(record.policy.verifier_fee)
        .unwrap();
    assert_eq!(world.chain.account(verifiers[1]).balance, earned);
}

#[test]
fn results_that_are_not_stored_pay_the_verifiers_and_not_the_primary() {
    let mut world = proven();
    let (job, primary, verifiers) = revealed(&mut world, 1);
    world.holders = vec![1, 2, 3];
    let record = world.run_to(&job, "storing");
    world.holders = vec![1, 2];
    let deadline = record.deadline.unwrap();
    while now(&world) < deadline {
        assert_eq!(world.record(&job).stage.name(), "storing");
        world.step(&[job], 1_000);
    }
    let record = world.record(&job);
    assert_eq!(
        record.stage,
        Stage::Failed(Failed {
            reason: FailureReason::NotStored
        })
    );
    assert_eq!(world.chain.account(primary).balance, square(10_000));
    assert_eq!(lost_bond(&world.partner(primary)), Amount::ZERO);
    for n in verifiers {
        let earned = square(10_000)
            .checked_add(record.policy.verifier_fee)
            .unwrap();
        assert_eq!(world.chain.account(n).balance, earned);
    }
}

#[test]
fn no_window_closes_before_leaders_of_more_than_f_have_proposed() {
    let mut world = proven();
    world.holders = Vec::new();
    let job = world.submit(&spec());
    let deadline = deadline(&world, &job);
    // Only validator 1, with 3 of 13, proposes: F is 4.
    for _ in 0..deadline.0 / 1_000 + 5 {
        let mut block = world.chain.block_with(1_000, Vec::new(), Vec::new());
        block.header.proposer = crate::fixture::validator_id(1);
        world.chain.push(&block);
    }
    assert!(now(&world) > deadline);
    assert!(matches!(world.record(&job).stage, Stage::Pending(_)));
    let mut block = world.chain.block_with(1, Vec::new(), Vec::new());
    block.header.proposer = crate::fixture::validator_id(2);
    world.chain.push(&block);
    assert_eq!(
        world.record(&job).stage,
        Stage::Failed(Failed {
            reason: FailureReason::NoInputs
        })
    );
}

#[test]
fn the_number_of_verifiers_is_bounded_and_the_maximum_still_settles() {
    let mut world = proven();
    let job = world.submit(&certain());
    let record = world.run_to(&job, "verifying");
    assert!(parties(&record.stage).1.len() <= vm::compute::price::max_verifiers(&record.policy));
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn results_of_another_attempt_are_not_taken() {
    let mut world = proven();
    let (job, _, _) = revealed(&mut world, 1);
    let record = world.run_to(&job, "storing");
    let other = world.statement(job, Attempt(record.attempt.0 + 1), Holding::Results, 0);
    let block = world.chain.block_with(100, vec![other], Vec::new());
    assert!(world.chain.try_execute(&block).is_err());
    let inputs = world.statement(job, Attempt(0), Holding::Inputs, 0);
    assert!(
        world
            .chain
            .try_execute(&world.chain.block_with(100, vec![inputs], Vec::new()))
            .is_err()
    );
    let twice = vec![world.statement(job, record.attempt, Holding::Results, 1); 2];
    assert!(
        world
            .chain
            .try_execute(&world.chain.block_with(100, twice, Vec::new()))
            .is_err()
    );
}
