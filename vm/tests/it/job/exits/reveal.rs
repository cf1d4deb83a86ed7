//! Ways out after the commitments: openings that never come, results that are not stored.

use types::hash::JobId;
use types::job::{Failed, FailureReason, Stage};
use types::number::{Amount, Attempt};
use types::stored::{Holding, StoredSubject};

use super::{assert_refunded, everybody, fee, lost_bond, now, proven, spent};
use crate::fixture::square;
use crate::job::world::{Conduct, QUORUM, World, demanding, parties, said, spec};

fn revealed(world: &mut World, minimum: u16) -> (JobId, u8, Vec<u8>) {
    let job = world.submit(&demanding(minimum));
    let record = world.run_to(&job, "revealing");
    let (primary, verifiers) = parties(&record.stage);
    (job, primary.unwrap(), verifiers)
}

/// The primary opens first, so that its silence makes nothing public: no customer and no later primary learns a leaf.
#[test]
fn a_primary_that_does_not_reveal_loses_its_bond_pays_the_verifiers_and_another_attempt_follows() {
    let mut world = proven();
    let (job, primary, verifiers) = revealed(&mut world, 2);
    world.depart(primary, Conduct::NeverOpens);
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], 1_000);
    }
    let record = world.record(&job);
    assert!(matches!(record.stage, Stage::Pending(_)));
    assert_eq!(lost_bond(&world.partner(primary)), record.policy.bond);
    assert_eq!(world.chain.account(primary).balance, square(10_000));
    for n in &verifiers {
        let earned = square(10_000)
            .checked_add(record.policy.verifier_fee)
            .unwrap();
        assert_eq!(world.chain.account(*n).balance, earned);
        assert_eq!(lost_bond(&world.partner(*n)), Amount::ZERO);
    }
    // It was the primary's money, not the customer's.
    let record = world.run(&job);
    assert_eq!(
        (&record.stage, record.attempt),
        (&Stage::Settled, Attempt(1))
    );
    let receipt = vm::query::receipt(&world.chain.state, &job)
        .unwrap()
        .unwrap();
    let paid = receipt.price.0 + receipt.verification_paid.0;
    assert_eq!(
        spent(&world),
        Amount(record.burned.0 + fee(&world).0 + paid)
    );
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
fn a_verifier_that_does_not_open_loses_its_bond_and_the_job_is_unverified() {
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
fn results_of_another_attempt_are_not_taken() {
    let mut world = proven();
    let (job, _, _) = revealed(&mut world, 1);
    let record = world.run_to(&job, "storing");
    let refused = |attempt, holding, copies| {
        let subject = StoredSubject {
            job,
            attempt,
            holding,
        };
        let certificate = world.certificate(said(&record, subject), &QUORUM).unwrap();
        let block = world
            .chain
            .block_with(100, vec![certificate; copies], Vec::new());
        world.chain.try_execute(&block).is_err()
    };
    assert!(refused(Attempt(record.attempt.0 + 1), Holding::Results, 1));
    assert!(refused(Attempt(0), Holding::Inputs, 1));
    assert!(refused(record.attempt, Holding::Results, 2));
    assert!(!refused(record.attempt, Holding::Results, 1));
}
