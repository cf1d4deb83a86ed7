//! Ways out of an assignment: the primary ignores it, declines it, never commits, or reports that the job cannot run.

use types::job::{FailureReason, Pending, Stage};
use types::number::{Amount, Attempt};
use types::transaction::JobStep;
use vm::compute::penalty::Breach;
use vm::query;

use super::{assert_refunded, cost, everybody, lost_bond, now, proven};
use crate::fixture::{address, square};
use crate::job::world::{Conduct, PARTNERS, World, number, parties, spec};

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
        let until = world.record(&job).stage.duties().unwrap().until;
        // Three times four tasks of 10^8 at 50,000 per ms, a few bytes of inputs, and the window.
        assert_eq!(
            until.0 - now(&world).0,
            3 * 4 * 100_000_000 / 50_000 + 1 + 15_000
        );
        if gives_up {
            world.depart(first, Conduct::Declines);
            world.step(&[job], 500);
        } else {
            while now(&world) < until {
                world.step(&[job], 1_000);
            }
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

/// Three primaries of one owner ended any job like this at its customer's cost, and had their penalties back.
#[test]
fn three_reports_end_a_job_at_the_cost_of_those_who_made_them() {
    let mut world = proven();
    everybody(&mut world, Conduct::SaysUnrunnable);
    let job = world.submit(&spec());
    let record = world.run_to_failure(&job, FailureReason::Unrunnable);
    let reported = cost(&world, Breach::Unrunnable, record.policy.bond);
    assert_eq!(record.unrunnable_reports.len(), 3);
    for n in 0..PARTNERS {
        let mut reports = record.unrunnable_reports.iter();
        let lost = if reports.any(|report| report.partner == address(n)) {
            reported
        } else {
            Amount::ZERO
        };
        assert_eq!(lost_bond(&world.partner(n)), lost);
        assert_eq!(world.chain.account(n).balance, square(10_000));
    }
    assert_refunded(&world, &record);
}

#[test]
fn a_late_report_costs_what_giving_up_does_and_one_before_acknowledging_is_none() {
    let mut world = proven();
    let job = world.submit(&spec());
    let report = |attempt| JobStep::Decline { unrunnable: true }.of(job, Attempt(attempt));
    let first = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    assert_eq!(world.act(first, report(0)), None);
    assert_eq!(world.record(&job).unrunnable_reports, []);
    let bond = world.record(&job).policy.bond;
    let lost = |world: &World, n| lost_bond(&world.partner(n));
    assert_eq!(lost(&world, first), cost(&world, Breach::Declined, bond));

    let second = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    world.depart(second, Conduct::NeverCommits);
    for _ in 0..20 {
        world.step(&[job], 1_000);
    }
    assert_eq!(world.act(second, report(1)), None);
    assert_eq!(world.record(&job).unrunnable_reports.len(), 1);
    assert_eq!(
        lost(&world, second),
        cost(&world, Breach::Uncommitted, bond)
    );
}

#[test]
fn two_reports_do_not_end_a_job_and_cost_those_who_made_them() {
    let mut world = proven();
    let job = world.submit(&spec());
    for attempt in 0..2 {
        let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
        world.depart(primary, Conduct::SaysUnrunnable);
        world.step(&[job], 500);
        world.step(&[job], 500);
        assert_eq!(world.record(&job).attempt, Attempt(attempt + 1));
    }
    let record = world.run(&job);
    assert_eq!(record.stage, Stage::Settled);
    for report in &record.unrunnable_reports {
        let lost = lost_bond(&world.partner(number(&report.partner)));
        assert_eq!(lost, cost(&world, Breach::Unrunnable, record.policy.bond));
    }
}
