//! Challenges of settled jobs: who may, what they cost, what a verdict means for the receipt and for bonds.

use types::account::LockReason;
use types::hash::{Hash32, JobId};
use types::job::{Failed, FailureReason, JobVerdict, Revocation, Stage};
use types::limits::MAX_CHALLENGES;
use types::number::{Amount, TaskIndex};
use types::state_key::StateKey;
use types::transaction::{Action, JobStep};
use vm::query;

use crate::fixture::{REFEREES, address, square};
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, demanding, number};

/// A job of which all partners found a wrong result of task 1, its primary, and a partner that has come to its senses.
fn wrongly_settled() -> (World, JobId, u8, u8) {
    wrongly_settled_in(World::new())
}

fn wrongly_settled_in(mut world: World) -> (World, JobId, u8, u8) {
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::Wrong(1)));
    let job = world.submit(&demanding(1));
    assert_eq!(world.run(&job).stage, Stage::Settled);
    let primary = primary_of(&world, &job);
    let honest = (primary + 1) % PARTNERS;
    world.conduct.remove(&honest);
    (world, job, primary, honest)
}

fn primary_of(world: &World, job: &JobId) -> u8 {
    let receipt = query::receipt(&world.chain.state, job).unwrap();
    number(&receipt.unwrap().primary)
}

fn revocation(world: &World, job: &JobId) -> Option<Revocation> {
    query::revocation(&world.chain.state, job).unwrap()
}

fn locked(world: &World, n: u8, reason: LockReason) -> Amount {
    let locks = world.partner(n).locks;
    let lock = locks.get(&reason.id());
    lock.map_or(Amount::ZERO, |lock| lock.amount)
}

#[test]
fn a_wrong_result_that_settled_is_revoked_and_costs_its_primary_the_bond() {
    let (mut world, job, primary, honest) = wrongly_settled();
    let record = world.record(&job);
    let (policy, until) = (record.policy, record.settlement.unwrap().until);
    let paid = query::receipt(&world.chain.state, &job).unwrap().unwrap();
    assert_eq!(world.act(honest, world.challenge(honest, &job)), None);
    let height = world.chain.tip.height;
    let challenger = address(honest);
    assert_eq!(
        revocation(&world, &job),
        Some(Revocation::Challenged { challenger, height })
    );
    assert_eq!(
        locked(&world, primary, LockReason::Audit(until)),
        Amount::ZERO
    );
    assert_eq!(
        locked(&world, primary, LockReason::Contested(job)),
        policy.bond
    );
    assert_eq!(
        locked(&world, honest, LockReason::Challenger(job)),
        policy.verifier_bond
    );
    assert_eq!(world.partner(primary).running(), 0, "its place is free");
    let before = world.chain.account(honest).balance;
    let revoked = Stage::Failed(Failed {
        reason: FailureReason::Revoked,
    });
    assert_eq!(world.run(&job).stage, revoked);
    let key = StateKey::Verdict(job, 0);
    let verdict: JobVerdict = state::read_as(&world.chain.state, &key).unwrap().unwrap();
    assert_eq!(verdict.task, TaskIndex(1));
    assert_eq!(
        revocation(&world, &job),
        Some(Revocation::Refuted {
            verdict: 0,
            height: verdict.height
        })
    );
    assert!(query::receipt(&world.chain.state, &job).unwrap().is_some());
    assert_eq!(
        world.partner(primary).bond,
        square(500).saturating_sub(policy.bond)
    );
    assert_eq!(world.partner(honest).bond, square(500));
    assert!(world.partner(honest).locks.is_empty());
    world.pass(world.chain.genesis.params.compute.appeal_window_ms);
    // Its fee for running the task, and half of what three referees leave of the bond.
    let fee = policy.verifier_fee.0;
    let left = policy.bond.0 - 3 * fee.div_ceil(policy.tasks_per_verifier.into()) - fee;
    let earned = world.chain.account(honest).balance.0 - before.0;
    assert_eq!(earned, fee + left / 100 * 50);
    let customer = verdict
        .shares
        .iter()
        .find(|share| share.account == address(CUSTOMER));
    let most = (paid.price.0 + paid.burned.0).min(policy.bond.0 / 100 * 20);
    assert_eq!(customer.unwrap().amount, Amount(most));
}

#[test]
fn who_contradicts_a_right_result_loses_its_bond_and_the_receipt_stands() {
    let mut world = World::new();
    let job = world.submit(&demanding(1));
    let record = world.run(&job);
    let (policy, until) = (record.policy, record.settlement.unwrap().until);
    let primary = primary_of(&world, &job);
    let liar = (primary + 1) % PARTNERS;
    world.depart(liar, Conduct::Wrong(2));
    assert_eq!(world.act(liar, world.challenge(liar, &job)), None);
    let record = world.run(&job);
    assert_eq!(record.stage, Stage::Settled);
    assert_eq!(record.settlement.unwrap().until, until);
    assert_eq!(revocation(&world, &job), None);
    assert_eq!(world.partner(primary).bond, square(500));
    assert_eq!(
        locked(&world, primary, LockReason::Audit(until)),
        policy.bond
    );
    let left = square(500).saturating_sub(policy.verifier_bond);
    assert_eq!(world.partner(liar).bond, left);
    // What it locked ends with the audit window, as if nothing had been.
    world.pass(world.chain.genesis.params.compute.audit_window_ms * 17 / 16 + 1_000);
    assert!((0..PARTNERS).all(|n| world.partner(n).locks.is_empty()));
}

#[test]
fn a_challenger_that_shows_nothing_loses_its_bond_and_others_may_challenge() {
    let (mut world, job, primary, honest) = wrongly_settled();
    let policy = world.record(&job).policy;
    let accomplice = (honest + 1) % PARTNERS;
    let accomplice = if accomplice == primary {
        (accomplice + 1) % PARTNERS
    } else {
        accomplice
    };
    world.depart(accomplice, Conduct::NeverOpens);
    assert_eq!(
        world.act(accomplice, world.challenge(accomplice, &job)),
        None
    );
    let in_between = world.act(honest, world.challenge(honest, &job));
    assert_eq!(in_between, Some("wrong_stage".to_owned()));
    assert_eq!(world.run(&job).stage, Stage::Settled);
    let left = square(500).saturating_sub(policy.verifier_bond);
    assert_eq!(world.partner(accomplice).bond, left);
    assert_eq!(revocation(&world, &job), None);
    assert_eq!(world.act(honest, world.challenge(honest, &job)), None);
    assert_eq!(world.run(&job).settlement.unwrap().challenges, 2);
    assert!(matches!(
        revocation(&world, &job),
        Some(Revocation::Refuted { .. })
    ));
}

#[test]
fn a_third_leaf_burns_both_claims() {
    let (mut world, job, primary, honest) = wrongly_settled();
    let policy = world.record(&job).policy;
    world.depart(honest, Conduct::Third(1));
    assert_eq!(world.act(honest, world.challenge(honest, &job)), None);
    world.run(&job);
    assert!(matches!(
        revocation(&world, &job),
        Some(Revocation::Refuted { .. })
    ));
    let lost = |n: u8| square(500).saturating_sub(world.partner(n).bond);
    assert_eq!(
        (lost(primary), lost(honest)),
        (policy.bond, policy.verifier_bond)
    );
}

#[test]
fn without_a_verdict_nobody_loses_bond_and_the_receipt_is_revoked() {
    let (mut world, job, primary, honest) = wrongly_settled();
    (0..4).for_each(|n| world.depart(REFEREES + n, Conduct::Alone(1)));
    assert_eq!(world.act(honest, world.challenge(honest, &job)), None);
    let reason = FailureReason::NonCanonical;
    assert_eq!(world.run(&job).stage, Stage::Failed(Failed { reason }));
    assert!(matches!(
        revocation(&world, &job),
        Some(Revocation::NonCanonical { .. })
    ));
    for n in [primary, honest] {
        assert_eq!(world.partner(n).bond, square(500));
        assert!(world.partner(n).locks.is_empty());
    }
    let banned = world.try_submit(&demanding(1));
    assert_eq!(banned, Err("program_banned".to_owned()));
}

#[test]
fn each_wrong_challenge_is_refused_with_its_reason() {
    let (mut world, job, primary, honest) = wrongly_settled();
    let refused = |world: &World, n: u8, action: Action| world.clone().act(n, action).unwrap();
    let challenge = world.challenge(honest, &job);
    assert_eq!(
        refused(&world, primary, world.challenge(primary, &job)),
        "own_result"
    );
    assert_eq!(
        refused(&world, CUSTOMER, challenge.clone()),
        "not_registered"
    );
    let commitment = Hash32([1; 32]);
    let unknown = JobId(Hash32([1; 32]));
    let of_nothing = Action::ChallengeJob {
        job: unknown,
        commitment,
    };
    assert_eq!(refused(&world, honest, of_nothing), "unknown_job");
    let mut poor = world.clone();
    let amount = poor.partner(honest).free();
    assert_eq!(poor.act(honest, Action::Unbond { amount }), None);
    assert_eq!(refused(&poor, honest, challenge.clone()), "bond_locked");
    let mut late = world.clone();
    let until = late.record(&job).settlement.unwrap().until;
    let now = |world: &World| vm::chain_record(&world.chain.state).unwrap().chain_time;
    late.pass(until.0 - now(&late).0 - 2_500);
    assert_eq!(late.clone().act(honest, challenge.clone()), None);
    late.pass(2_500);
    assert_eq!(refused(&late, honest, challenge.clone()), "audit_over");
    let live = world.submit(&demanding(2));
    let of_live = Action::ChallengeJob {
        job: live,
        commitment,
    };
    assert_eq!(refused(&world, honest, of_live), "wrong_stage");
}

#[test]
fn each_wrong_contradiction_is_refused_with_its_reason() {
    let (mut world, job, primary, honest) = wrongly_settled();
    assert_eq!(world.act(honest, world.challenge(honest, &job)), None);
    let record = world.record(&job);
    let right = world.contradict_at(honest, primary, &record, TaskIndex(1));
    let step = |contradiction| {
        let contradiction = Box::new(contradiction);
        JobStep::Contradict { contradiction }.of(job, record.attempt)
    };
    let refused = |world: &World, n: u8, action: Action| world.clone().act(n, action).unwrap();
    assert_eq!(
        refused(&world, primary, step(right.clone())),
        "not_challenger"
    );
    let other_task = world.contradict_at(honest, primary, &record, TaskIndex(2));
    assert_eq!(
        refused(&world, honest, step(other_task)),
        "wrong_commitment"
    );
    let mut not_the_primarys = right.clone();
    not_the_primarys.leaf = Hash32([1; 32]);
    assert_eq!(
        refused(&world, honest, step(not_the_primarys)),
        "inconsistent_opening"
    );
    assert_eq!(world.clone().act(honest, step(right)), None);
}

#[test]
fn who_commits_to_what_the_primary_found_has_nothing_to_show() {
    let (mut world, job, primary, honest) = wrongly_settled();
    let commitment = world.commitment(honest, &world.record(&job), &[TaskIndex(0)]);
    assert_eq!(
        world.act(honest, Action::ChallengeJob { job, commitment }),
        None
    );
    let same = world.contradict_at(honest, primary, &world.record(&job), TaskIndex(0));
    let shown = world.act(honest, step_of(&world, job, same));
    assert_eq!(shown, Some("no_divergence".to_owned()));
}

fn step_of(world: &World, job: JobId, shown: types::attestation::Contradiction) -> Action {
    let contradiction = Box::new(shown);
    JobStep::Contradict { contradiction }.of(job, world.record(&job).attempt)
}

#[test]
fn a_receipt_is_challenged_only_so_often() {
    let mut world = World::with(|params| {
        params.compute.reveal_window_ms = 1_000;
        params.compute.audit_window_ms = 3_000_000;
        params.compute.ended_jobs_kept_ms = 3_600_000;
    });
    let job = world.submit(&demanding(1));
    world.run(&job);
    let primary = primary_of(&world, &job);
    for n in 0..PARTNERS {
        let amount = square(5_000);
        assert_eq!(world.act(n, Action::Bond { amount }), None);
    }
    let mut challenges = 0;
    let refused = loop {
        let richest = (0..PARTNERS).filter(|n| *n != primary);
        let n = richest.max_by_key(|n| world.partner(*n).free()).unwrap();
        let challenge = world.challenge(n, &job);
        if let Some(code) = world.act(n, challenge) {
            break code;
        }
        challenges += 1;
        world.run(&job);
    };
    assert_eq!(
        (refused.as_str(), challenges),
        ("too_many_challenges", MAX_CHALLENGES)
    );
}

#[test]
fn what_a_challenge_left_is_forgotten_with_its_job() {
    let (world, _, _, _) = wrongly_settled();
    let kept = world.chain.genesis.params.compute.audit_window_ms * 2;
    let world = World::with(|params| params.compute.ended_jobs_kept_ms = kept);
    let (mut world, job, _, honest) = wrongly_settled_in(world);
    assert_eq!(world.act(honest, world.challenge(honest, &job)), None);
    world.run(&job);
    assert!(revocation(&world, &job).is_some());
    world.pass(kept - 2_000);
    assert!(
        revocation(&world, &job).is_some(),
        "it is kept from its last end on"
    );
    world.pass(4_000);
    assert_eq!(revocation(&world, &job), None);
    assert_eq!(query::job(&world.chain.state, &job).unwrap(), None);
}
