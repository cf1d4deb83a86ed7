//! A customer that does not want its job any more: who has worked is paid, and nothing stays locked.

use types::account::LockReason;
use types::hash::JobId;
use types::job::{Failed, FailureReason, JobRecord, Stage};
use types::number::Amount;
use types::transaction::Action;

use crate::fixture::square;
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, demanding, number, parties};

fn cancel(world: &mut World, job: JobId) -> Option<String> {
    world.act(CUSTOMER, Action::CancelJob { job })
}

fn balance(world: &World, n: u8) -> u128 {
    world.chain.account(n).balance.0
}

/// Asserts that the job ended as its customer wished, that no bond is locked for it, and that the customer paid what others
/// earned, what was burned, and its own two transactions.
fn assert_over(world: &World, job: &JobId) -> JobRecord {
    let record = world.record(job);
    let reason = FailureReason::Cancelled;
    assert_eq!(record.stage, Stage::Failed(Failed { reason }));
    let mut earned = 0;
    for n in 0..PARTNERS {
        let partner = world.partner(n);
        let own = [LockReason::Primary(*job), LockReason::Verifier(*job)];
        assert!(
            own.iter()
                .all(|lock| !partner.locks.contains_key(&lock.id()))
        );
        assert_eq!(partner.bond, square(500), "nobody loses bond by it");
        earned += balance(world, n) - square(10_000).0;
    }
    let fees = world.chain.charged(CUSTOMER).0;
    let spent = square(10_000).0 - balance(world, CUSTOMER);
    assert_eq!(spent, earned + record.burned.0 + fees);
    record
}

#[test]
fn a_job_that_waits_costs_what_it_held() {
    let mut world = World::new();
    world.holders.clear();
    let job = world.submit(&demanding(1));
    world.step(&[job], 500);
    assert_eq!(cancel(&mut world, job), None);
    assert_over(&world, &job);
    assert!((0..PARTNERS).all(|n| balance(&world, n) == square(10_000).0));
    // Its place is free at once.
    assert_eq!(vm::chain_record(&world.chain.state).unwrap().live_jobs, 0);
}

#[test]
fn a_primary_is_paid_for_the_time_that_it_had() {
    let mut world = World::new();
    let job = world.submit(&demanding(1));
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    let price = world.record(&job).stage.primary().unwrap().price.0;
    let mut before_it = world.clone();
    assert_eq!(cancel(&mut before_it, job), None);
    assert_over(&before_it, &job);
    assert_eq!(
        balance(&before_it, primary),
        square(10_000).0,
        "it did not take the job"
    );

    world.depart(primary, Conduct::NeverCommits);
    world.step(&[job], 500);
    let until = world.record(&job).stage.duties().unwrap().until;
    let mut last = 0;
    for ms in [0, 4_000, 12_000, 30_000] {
        let mut world = world.clone();
        (0..ms / 1_000).for_each(|_| drop(world.step(&[job], 1_000)));
        assert_eq!(cancel(&mut world, job), None);
        assert_over(&world, &job);
        let paid = balance(&world, primary) - square(10_000).0;
        assert!(paid > last || paid == price, "{paid} after {ms} ms");
        last = paid;
        assert!(until > vm::chain_record(&world.chain.state).unwrap().chain_time);
    }
    assert_eq!(
        last, price,
        "the slowest partner of the class would be done"
    );
}

#[test]
fn who_committed_and_who_checks_have_their_pay() {
    for stage in ["announcing", "verifying", "revealing"] {
        let mut world = World::new();
        let job = world.submit(&demanding(2));
        let record = world.run_to(&job, stage);
        let price = record.stage.primary().unwrap().price;
        let fee = record.policy.verifier_fee;
        let (primary, verifiers) = parties(&record.stage);
        assert_eq!(cancel(&mut world, job), None, "{stage}");
        assert_over(&world, &job);
        let earned = |n| Amount(balance(&world, n) - square(10_000).0);
        assert_eq!(earned(primary.unwrap()), price, "{stage}");
        for n in verifiers {
            assert_eq!(earned(n), fee, "{stage}");
        }
    }
}

#[test]
fn once_the_primary_has_revealed_it_is_too_late() {
    let mut world = World::new();
    let job = world.submit(&demanding(2));
    let verifier = world.run_to(&job, "revealing").stage.verifiers()[0].partner;
    world.depart(number(&verifier), Conduct::NeverOpens);
    world.step(&[job], 500);
    assert!(world.record(&job).stage.revealed().is_some());
    let late = Some("too_late_to_cancel".to_owned());
    assert_eq!(cancel(&mut world, job), late);
    world.conduct.clear();
    world.run_to(&job, "storing");
    assert_eq!(cancel(&mut world, job), late);
    assert_eq!(world.run(&job).stage, Stage::Settled);
    assert_eq!(cancel(&mut world, job), late);
}

#[test]
fn nobody_but_its_customer_cancels_a_job() {
    let mut world = World::new();
    let job = world.submit(&demanding(1));
    world.run_to(&job, "assigned");
    for n in 0..PARTNERS {
        let refused = world.act(n, Action::CancelJob { job });
        assert_eq!(refused.as_deref(), Some("not_customer"));
    }
    let job = JobId(types::hash::Hash32([9; 32]));
    assert_eq!(cancel(&mut world, job).as_deref(), Some("unknown_job"));
}
