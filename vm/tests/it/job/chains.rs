//! Chains: states are held before anybody checks, one wrong task costs its author its bond and nobody else, and nobody is held to
//! states of another primary.

use types::account::LockReason;
use types::hash::{BlobId, JobId};
use types::job::{FailureReason, JobRecord, Stage};
use types::limits::MAX_STATES_BYTES;
use types::number::Attempt;
use types::stored::Holding;
use types::transaction::{Action, JobStep};
use vm::query;

use crate::fixture::square;
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, chain, demanding, parties};

fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

/// A chain whose primary has acknowledged and sends nothing by itself.
fn acknowledged(world: &mut World, job: &JobId) -> (JobRecord, u8) {
    let primary = parties(&world.run_to(job, "assigned").stage).0.unwrap();
    world.depart(primary, Conduct::NeverCommits);
    while world.record(job).stage.duties().is_none() {
        world.step(&[*job], 500);
    }
    (world.record(job), primary)
}

fn hand_on(record: &JobRecord, states: BlobId) -> Action {
    JobStep::HandOn { states }.of(record.id, record.attempt)
}

fn commit(record: &JobRecord) -> Action {
    let commitment = types::hash::Hash32([1; 32]);
    JobStep::Commit { commitment }.of(record.id, record.attempt)
}

/// The code with which a step is refused.
fn refused(world: &mut World, n: u8, action: Action) -> String {
    world.act(n, action).unwrap()
}

#[test]
fn a_chain_settles_with_states_that_a_quorum_holds() {
    let mut world = proven();
    let job = world.submit(&chain(2, 2));
    let verifying = world.run_to(&job, "verifying");
    let states = verifying.states.unwrap();
    assert!(states.held);
    for verifier in verifying.stage.verifiers() {
        let tasks: Vec<_> = verifier.tasks.iter().map(|task| task.0).collect();
        let is_row = matches!(tasks[..], [a, b] if b == a + 1 || (a, b) == (0, 3));
        assert!(is_row, "{tasks:?}");
    }
    let record = world.run(&job);
    assert_eq!(
        (&record.stage, record.attempt),
        (&Stage::Settled, Attempt(0))
    );
    assert_eq!(record.states, Some(states), "a challenge needs them");
    let receipt = query::receipt(&world.chain.state, &job).unwrap().unwrap();
    assert_eq!(receipt.state, record.terms.state);
    assert!(receipt.state.is_chain());
}

#[test]
fn nobody_commits_before_a_quorum_holds_the_states() {
    let mut world = proven();
    let job = world.submit(&chain(1, 2));
    let (record, primary) = acknowledged(&mut world, &job);
    world.holders.truncate(2);
    let list = world.states(primary, &record);
    let other = (0..PARTNERS).find(|n| *n != primary).unwrap();
    assert_eq!(
        refused(&mut world, primary, commit(&record)),
        "states_awaited"
    );
    assert_eq!(
        refused(&mut world, other, hand_on(&record, list)),
        "not_primary"
    );
    for length in [0, u64::try_from(MAX_STATES_BYTES).unwrap() + 1] {
        let bad = hand_on(&record, BlobId { length, ..list });
        assert_eq!(refused(&mut world, primary, bad), "bad_states");
    }
    assert_eq!(world.record(&job).awaited_data(), None);
    assert_eq!(world.act(primary, hand_on(&record, list)), None);
    let awaited = world.record(&job).awaited_data().unwrap();
    assert_eq!(
        (awaited.holding, awaited.attempt),
        (Holding::States, record.attempt)
    );
    let again = hand_on(&record, BlobId::of(b"others"));
    assert_eq!(refused(&mut world, primary, again), "already_handed_on");
    world.step(&[job], 500);
    assert_eq!(
        refused(&mut world, primary, commit(&record)),
        "states_awaited"
    );
    world.holders = vec![0, 1, 2, 3];
    world.step(&[job], 500);
    let record = world.record(&job);
    assert!(record.states.unwrap().held);
    assert_eq!(record.awaited_data(), None);
    assert_eq!(world.act(primary, commit(&record)), None);
}

#[test]
fn an_array_hands_nothing_on() {
    let mut world = proven();
    let job = world.submit(&demanding(1));
    let (record, primary) = acknowledged(&mut world, &job);
    let states = hand_on(&record, BlobId::of(b"states"));
    assert_eq!(refused(&mut world, primary, states), "no_state");
}

#[test]
fn states_that_nobody_holds_end_the_attempt_as_silence_does() {
    let mut world = proven();
    let job = world.submit(&chain(1, 2));
    let record = world.run_to(&job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    let holders = std::mem::take(&mut world.holders);
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], 1_000);
    }
    assert_eq!(
        world.record(&job).states,
        None,
        "another primary has its own"
    );
    let lost = square(500).saturating_sub(world.partner(primary).bond);
    let one_percent = record.policy.bond.0.div_ceil(100);
    let least = 2 * world.chain.rules.params.compute.decline_penalty.0;
    assert_eq!(lost.0, one_percent.max(least));
    world.holders = holders;
    let record = world.run(&job);
    assert_eq!(record.stage, Stage::Settled);
    assert_ne!(parties(&record.stage).0, Some(primary));
}

#[test]
fn one_wrong_task_of_a_chain_costs_its_primary_alone() {
    let mut start = proven();
    let job = start.submit(&chain(3, 4));
    let primary = parties(&start.run_to(&job, "assigned").stage).0.unwrap();
    for task in 0..4 {
        let mut world = start.after_wrong_task(&job, primary, task);
        let record = world.run(&job);
        assert_eq!(
            (&record.stage, record.attempt),
            (&Stage::Settled, Attempt(1))
        );
        for n in 0..PARTNERS {
            let bond = if n == primary {
                square(500).saturating_sub(record.policy.bond)
            } else {
                square(500)
            };
            assert_eq!(world.partner(n).bond, bond, "partner {n}, task {task}");
        }
    }
}

/// Each leaf is right for what the primary says that its task began with, so that nobody differs.
#[test]
fn a_broken_link_settles_nothing_and_costs_its_primary_its_work() {
    let mut world = proven();
    let job = world.submit(&chain(2, 2));
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    world.depart(primary, Conduct::BreaksLink);
    let verifiers = parties(&world.run_to(&job, "storing").stage).1;
    let record = world.run_to_failure(&job, FailureReason::NotStored);
    for n in 0..PARTNERS {
        let paid = world.chain.account(n).balance.0 - square(10_000).0;
        let fee = record.policy.verifier_fee.0;
        assert_eq!(paid, if verifiers.contains(&n) { fee } else { 0 }, "{n}");
        assert_eq!(world.partner(n).bond, square(500));
    }
}

#[test]
fn verifiers_of_a_silent_primary_are_paid_and_let_go() {
    let mut world = proven();
    let job = world.submit(&chain(2, 4));
    let (primary, verifiers) = parties(&world.run_to(&job, "revealing").stage);
    world.depart(primary.unwrap(), Conduct::NeverOpens);
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], 1_000);
    }
    let record = world.record(&job);
    assert!(record.earlier.verifiers.is_empty());
    for n in verifiers {
        let partner = world.partner(n);
        assert_eq!((partner.bond, partner.locks.len()), (square(500), 0));
        let paid = world.chain.account(n).balance.0 - square(10_000).0;
        assert_eq!(paid, record.policy.verifier_fee.0);
    }
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn who_cancels_a_chain_whose_states_are_held_pays_its_price() {
    let mut world = proven();
    let job = world.submit(&chain(1, 2));
    let (record, primary) = acknowledged(&mut world, &job);
    let price = record.stage.primary().unwrap().price.0;
    let list = world.states(primary, &record);
    assert_eq!(world.act(primary, hand_on(&record, list)), None);
    let paid = |mut world: World| {
        assert_eq!(world.act(CUSTOMER, Action::CancelJob { job }), None);
        world.chain.account(primary).balance.0 - square(10_000).0
    };
    assert!(paid(world.clone()) < price, "nobody can read them yet");
    world.step(&[job], 500);
    assert!(world.record(&job).states.unwrap().held);
    assert_eq!(paid(world), price);
}

#[test]
fn a_settled_chain_is_challenged_at_one_task() {
    let mut world = proven();
    let job = world.submit(&chain(1, 1));
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::Wrong(2)));
    assert_eq!(world.run(&job).stage, Stage::Settled, "all of them agree");
    let challenger = (0..PARTNERS).find(|n| *n != primary).unwrap();
    world.conduct.remove(&challenger);
    let challenge = world.challenge(challenger, &job);
    assert_eq!(world.act(challenger, challenge), None);
    let record = world.run(&job);
    assert!(
        matches!(record.stage, Stage::Failed(_)),
        "{:?}",
        record.stage
    );
    let lock = LockReason::Challenger(job).id();
    assert!(!world.partner(challenger).locks.contains_key(&lock));
    assert_eq!(world.partner(challenger).bond, square(500));
    assert!(world.partner(primary).bond < square(500));
}
