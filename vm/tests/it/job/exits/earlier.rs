//! Verifiers of an attempt whose primary committed and did not reveal: they open in the next attempt.

use types::account::LockReason;
use types::hash::JobId;
use types::job::{FailureReason, JobRecord, JobVerdict, Stage};
use types::number::{Amount, Attempt};
use types::state_key::StateKey;
use types::transaction::Action;
use vm::query;

use super::{lost_bond, proven};
use crate::fixture::{address, square};
use crate::job::world::{CUSTOMER, Conduct, World, demanding, parties};

/// What partner `n` locks for a job, as a verifier of an attempt before.
fn locked(world: &World, n: u8, job: JobId) -> Option<Amount> {
    let reason = LockReason::EarlierVerifier(job);
    let partner = world.partner(n);
    partner.locks.get(&reason.id()).map(|lock| lock.amount)
}

/// A job in its second attempt, whose first primary did not reveal; with that primary and the verifiers of then.
fn silenced(world: &mut World) -> (JobId, u8, Vec<u8>) {
    let job = world.submit(&demanding(2));
    let (primary, verifiers) = parties(&world.run_to(&job, "revealing").stage);
    let primary = primary.unwrap();
    world.depart(primary, Conduct::NeverOpens);
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], 1_000);
    }
    let record = world.record(&job);
    assert_eq!(record.earlier.attempt, Attempt(0));
    for n in &verifiers {
        assert_eq!(locked(world, *n, job), Some(record.policy.verifier_bond));
    }
    (job, primary, verifiers)
}

/// The stage in which the next primary has revealed and nobody else has opened.
fn revealed(world: &mut World, job: JobId) -> JobRecord {
    world.run_to(&job, "revealing");
    loop {
        let record = world.record(&job);
        if record.stage.revealed().is_some() {
            return record;
        }
        world.step(&[job], 500);
    }
}

fn lost(world: &World, n: u8) -> Amount {
    lost_bond(&world.partner(n))
}

#[test]
fn they_agree_with_the_next_primary_and_are_no_part_of_its_receipt() {
    let mut world = proven();
    let (job, _, verifiers) = silenced(&mut world);
    let record = revealed(&mut world, job);
    let opening = record.stage.revealed().unwrap();
    for verifier in &record.earlier.verifiers {
        assert!(opening.leaves_of(&verifier.tasks).is_some());
    }
    let mut opened = 0;
    while !world.record(&job).stage.is_final() {
        let sent = world.step(&[job], 500);
        opened += sent
            .iter()
            .filter(|(_, action)| match action {
                Action::Job(action) => action.attempt == Attempt(0),
                _ => false,
            })
            .count();
    }
    let waiting = record.earlier.verifiers.len();
    assert!(waiting > 0 && opened == waiting, "{opened} of {waiting}");
    assert_eq!(world.record(&job).stage, Stage::Settled);
    let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
    let (_, now) = parties(&record.stage);
    let named: Vec<_> = receipt.verifiers.iter().map(|v| v.partner).collect();
    assert_eq!(named, now.iter().map(|n| address(*n)).collect::<Vec<_>>());
    for n in verifiers {
        assert_eq!(
            (locked(&world, n, job), lost(&world, n)),
            (None, Amount::ZERO)
        );
    }
}

#[test]
fn one_that_stays_silent_loses_its_lock_and_the_job_settles() {
    let mut world = proven();
    let (job, _, _) = silenced(&mut world);
    let record = revealed(&mut world, job);
    let (primary, now) = parties(&record.stage);
    let silent = record.earlier.verifiers[0].partner;
    let silent = crate::job::world::number(&silent);
    world.depart(silent, Conduct::NeverOpens);
    // As a verifier of this attempt too it would lose twice, and the job would be unverified.
    let both = now.contains(&silent);
    assert_ne!(Some(silent), primary);
    let record = world.run(&job);
    assert_eq!(record.stage == Stage::Settled, !both);
    let bonds = if both { 2 } else { 1 };
    let expected = Amount(bonds * record.policy.verifier_bond.0);
    assert_eq!(lost(&world, silent), expected);
}

/// Whoever runs the job again is wrong, and so is whoever checks it then: the bribe comes too late for those before.
#[test]
fn one_that_differs_brings_the_next_primary_into_dispute_which_loses_its_bond() {
    let mut start = proven();
    let (job, _, verifiers) = silenced(&mut start);
    // One of them that is not the next primary itself.
    let mut tried = verifiers.iter().map(|honest| {
        let mut world = start.clone();
        for n in (0..crate::job::world::PARTNERS).filter(|n| n != honest) {
            world.depart(n, Conduct::Wrong(1));
        }
        world.depart(*honest, Conduct::NeverAnnounces);
        let record = revealed(&mut world, job);
        (world, *honest, record)
    });
    let is_bound = |(_, honest, record): &(World, u8, JobRecord)| {
        let primary = parties(&record.stage).0;
        primary != Some(*honest) && record.earlier.unopened(&address(*honest)).is_some()
    };
    let (mut world, honest, record) = tried.find(is_bound).unwrap();
    let primary = parties(&record.stage).0.unwrap();
    while world.record(&job).verdicts == 0 {
        world.step(&[job], 500);
    }
    assert_eq!(lost(&world, primary), record.policy.bond);
    assert_eq!(lost(&world, honest), Amount::ZERO);
    let key = StateKey::Verdict(job, 0);
    let verdict: JobVerdict = state::read_as(&world.chain.state, &key).unwrap().unwrap();
    let share = verdict
        .shares
        .iter()
        .find(|share| share.account == address(honest));
    assert!(share.unwrap().amount > record.policy.verifier_fee);
    assert_eq!(locked(&world, honest, job), None);
}

#[test]
fn they_are_free_when_the_job_ends_without_another_result() {
    let mut world = proven();
    let (job, _, verifiers) = silenced(&mut world);
    assert_eq!(world.act(CUSTOMER, Action::CancelJob { job }), None);
    let record = world.record(&job);
    assert!(matches!(
        record.stage,
        Stage::Failed(failed) if failed.reason == FailureReason::Cancelled
    ));
    for n in verifiers {
        assert_eq!(
            (locked(&world, n, job), lost(&world, n)),
            (None, Amount::ZERO)
        );
    }
    assert!(world.chain.account(CUSTOMER).balance <= square(10_000));
}
