//! Disputes: how referees come to a verdict, when it takes effect, and what becomes of the bonds.

use types::attestation::RefereeFinding;
use types::hash::{Hash32, JobId, ValidatorId};
use types::job::{
    Ballot, BallotPhase, Disputed, FailureReason, JobRecord, JobVerdict, Share, Stage, VoteContext,
    vote_commitment,
};
use types::limits::MAX_BALLOTS;
use types::number::{Amount, Attempt};
use types::state_key::StateKey;
use types::transaction::JobStep;

use crate::fixture::{REFEREES, address, square};
use crate::job::world::{CUSTOMER, Conduct, World, certain, demanding, parties};

fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

fn disputed(record: &JobRecord) -> &Disputed {
    match &record.stage {
        Stage::Disputed(disputed) => disputed,
        other => panic!("{other:?}"),
    }
}

fn ballot(record: &JobRecord) -> &Ballot {
    &disputed(record).ballot
}

fn verdict(world: &World, job: &JobId, number: u16) -> JobVerdict {
    let key = StateKey::Verdict(*job, number);
    state::read_as(&world.chain.state, &key).unwrap().unwrap()
}

/// A world in which the primary of a job is wrong at a task, and the job is in dispute.
fn wrong_primary() -> (World, JobId, u8) {
    let mut world = proven();
    let job = world.submit(&certain());
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    world.depart(primary, Conduct::Wrong(1));
    world.run_to(&job, "disputed");
    (world, job, primary)
}

#[test]
fn a_dispute_begins_in_the_block_of_the_divergence_and_others_still_open() {
    let mut world = proven();
    let job = world.submit(&certain());
    let (_, verifiers) = parties(&world.run_to(&job, "verifying").stage);
    world.depart(verifiers[0], Conduct::Wrong(1));
    let late = verifiers[1];
    world.depart(late, Conduct::NeverOpens);
    let record = world.run_to(&job, "disputed");
    assert_eq!(ballot(&record).task.0, 1);
    assert!(matches!(&ballot(&record).phase, BallotPhase::Voting { .. }));
    // There is a verdict soon, but the late one has its whole window.
    while !matches!(
        &ballot(&world.record(&job)).phase,
        BallotPhase::Decided { .. }
    ) {
        world.step(&[job], 500);
    }
    world.conduct.remove(&late);
    let record = world.run(&job);
    assert_eq!(record.stage, Stage::Settled);
    assert_eq!(world.partner(late).bond, square(500));
    let receipt = vm::query::receipt(&world.chain.state, &job)
        .unwrap()
        .unwrap();
    assert!(receipt.verifiers.iter().any(|v| v.partner == address(late)));
}

#[test]
fn nobody_escapes_a_verdict_by_silence() {
    let mut world = proven();
    let job = world.submit(&certain());
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    let accomplice = (primary + 1) % 6;
    world.depart(primary, Conduct::Wrong(2));
    world.depart(accomplice, Conduct::Wrong(2));
    world.depart(accomplice, Conduct::NeverOpens);
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], 500);
    }
    let policy = world.record(&job).policy;
    let lost = |n: u8| square(500).saturating_sub(world.partner(n).bond);
    assert_eq!(lost(primary), policy.bond);
    assert_eq!(lost(accomplice), policy.verifier_bond);
}

#[test]
fn forfeited_bonds_are_held_and_then_divided() {
    let (mut world, job, primary) = wrong_primary();
    while world.record(&job).attempt == Attempt(0) {
        world.step(&[job], 500);
    }
    let record = world.record(&job);
    let verdict = verdict(&world, &job, 0);
    let bond = record.policy.bond;
    assert_eq!(record.verdicts, 1);
    assert!(!verdict.paid);
    let of_primary = Share {
        account: address(primary),
        amount: bond,
    };
    assert_eq!(verdict.forfeits, [of_primary]);
    assert_eq!(
        world.partner(primary).bond,
        square(500).saturating_sub(bond)
    );
    let share = |who| {
        let found = verdict.shares.iter().find(|share| share.account == who);
        found.map_or(Amount::ZERO, |share| share.amount)
    };
    let fee = record.policy.verifier_fee;
    let fees = 5 * fee.0 + 3 * fee.0.div_ceil(4);
    let each = (bond.0 - fees) / 100 * 50 / 5 + fee.0;
    for n in (0..6).filter(|n| *n != primary) {
        assert_eq!(share(address(n)), Amount(each), "verifier {n}");
        assert_eq!(world.chain.account(n).balance, square(10_000), "not yet");
    }
    let price = square(1).0 / 2;
    assert_eq!(share(address(CUSTOMER)), Amount(price + record.burned.0));
    assert_eq!(share(address(REFEREES)), Amount(fee.0.div_ceil(4)));
    let before = world.chain.account(REFEREES).balance;
    world.pass(world.chain.genesis.params.compute.appeal_window_ms);
    for n in (0..6).filter(|n| *n != primary) {
        assert_eq!(world.chain.account(n).balance.0, square(10_000).0 + each);
    }
    let earned = world.chain.account(REFEREES).balance.0 - before.0;
    assert_eq!(earned, fee.0.div_ceil(4));
}

/// The leaf can be copied from whoever claimed it, the witness from nobody.
#[test]
fn a_referee_that_has_not_run_the_task_makes_no_verdict() {
    let (start, job, _) = wrong_primary();
    let mut world = start.clone();
    world.depart(REFEREES, Conduct::Copies);
    while world.record(&job).verdicts == 0 {
        world.step(&[job], 500);
    }
    let verdict = verdict(&world, &job, 0);
    let is_paid = |n: u8| verdict.shares.iter().any(|one| one.account == address(n));
    let paid: Vec<_> = (REFEREES..REFEREES + 4).map(is_paid).collect();
    assert_eq!(paid, [false, true, true, true]);
    // Without a quorum that ran it there is none.
    let mut world = start;
    world.depart(REFEREES, Conduct::Copies);
    world.depart(REFEREES + 1, Conduct::Copies);
    world.run_to_failure(&job, FailureReason::NonCanonical);
}

#[test]
fn each_ballot_draws_a_witness_of_its_own() {
    let (mut world, job, _) = wrong_primary();
    let first = ballot(&world.record(&job)).witness_draw;
    world.depart(REFEREES + 2, Conduct::NeverChecks);
    world.depart(REFEREES + 3, Conduct::NeverChecks);
    while !ballot(&world.record(&job)).is_second {
        world.step(&[job], 1_000);
    }
    let second = ballot(&world.record(&job)).witness_draw;
    assert!(![first, Hash32::ZERO].contains(&second) && first != Hash32::ZERO);
}

#[test]
fn a_verdict_that_matches_nobody_burns_every_claim() {
    let mut world = proven();
    let job = world.submit(&certain());
    let (_, verifiers) = parties(&world.run_to(&job, "verifying").stage);
    world.depart(verifiers[0], Conduct::Wrong(2));
    world.run_to(&job, "disputed");
    // The world has changed since the others ran the task.
    for n in 0..4 {
        world.depart(REFEREES + n, Conduct::Third(2));
    }
    while world.record(&job).verdicts == 0 {
        world.step(&[job], 500);
    }
    let verdict = verdict(&world, &job, 0);
    assert_eq!(verdict.forfeits.len(), 6);
    let shares: Vec<_> = verdict.shares.iter().map(|share| share.account).collect();
    let others = (0..6).map(address).filter(|one| shares.contains(one));
    assert_eq!(others.count(), 0, "{shares:?}");
    assert_eq!(world.record(&job).attempt, Attempt(1));
}

#[test]
fn without_a_quorum_twice_nobody_loses_and_the_program_is_banned() {
    let mut world = proven();
    let job = world.submit(&certain());
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    world.depart(primary, Conduct::Wrong(1));
    for n in 0..4 {
        world.depart(REFEREES + n, Conduct::Alone(1));
    }
    let before: Vec<_> = (REFEREES..REFEREES + 4)
        .map(|n| world.chain.account(n).balance)
        .collect();
    let held = world.record(&job).escrow.referees;
    let record = world.run_to_failure(&job, FailureReason::NonCanonical);
    let price = square(1).0 / 2;
    let fee = record.policy.verifier_fee.0.div_ceil(4);
    assert_eq!(held, Amount(4 * fee));
    for n in REFEREES..REFEREES + 4 {
        let earned = world.chain.account(n).balance.0 - before[usize::from(n - REFEREES)].0;
        assert_eq!(earned, fee, "referee {n}");
    }
    for n in 0..6 {
        assert_eq!(world.partner(n).bond, square(500), "partner {n}");
        let fee = record.policy.verifier_fee.0;
        let paid = if n == primary { price } else { fee };
        let balance = world.chain.account(n).balance.0;
        assert_eq!(balance, square(10_000).0 + paid, "partner {n}");
    }
    assert_eq!(
        world.try_submit(&certain()),
        Err("program_banned".to_owned())
    );
    let mut other = certain();
    other.workload.module = types::hash::BlobId::of(b"another module");
    assert!(world.try_submit(&other).is_ok());
}

#[test]
fn silent_referees_cost_time_and_no_quorum_of_them_costs_the_verdict() {
    // Of 4 + 3 + 3 + 3 a quorum is 9.
    let (start, job, _) = wrong_primary();
    let mut world = start.clone();
    world.depart(REFEREES + 3, Conduct::NeverChecks);
    while world.record(&job).verdicts == 0 {
        world.step(&[job], 500);
    }
    let mut world = start.clone();
    world.depart(REFEREES + 2, Conduct::NeverChecks);
    world.depart(REFEREES + 3, Conduct::NeverOpens);
    world.run_to_failure(&job, FailureReason::NonCanonical);
    // Once they come back within the second ballot there is a verdict.
    let mut world = start;
    world.depart(REFEREES + 2, Conduct::NeverChecks);
    world.depart(REFEREES + 3, Conduct::NeverChecks);
    while !ballot(&world.record(&job)).is_second {
        world.step(&[job], 1_000);
    }
    world.conduct.remove(&(REFEREES + 3));
    while world.record(&job).verdicts == 0 {
        world.step(&[job], 500);
    }
}

#[test]
fn no_more_disputes_run_than_may_and_each_has_its_turn() {
    let mut world = World::with(|params| {
        params.compute.probation_multiple = 0;
        params.compute.verifications_per_place = 64;
        params.compute.reveal_window_ms = 60_000;
    });
    let liar = 3;
    world.depart(liar, Conduct::Wrong(0));
    let jobs: Vec<_> = (0..10).map(|_| world.submit(&demanding(4))).collect();
    (0..4).for_each(|n| world.depart(REFEREES + n, Conduct::NeverChecks));
    let (mut queued, mut running) = (false, 0);
    for _ in 0..600 {
        world.step(&jobs, 400);
        let records: Vec<_> = jobs.iter().map(|job| world.record(job)).collect();
        let ballots = records.iter().filter_map(|record| match &record.stage {
            Stage::Disputed(disputed) => Some(&disputed.ballot),
            _ => None,
        });
        let ballots: Vec<_> = ballots.collect();
        queued |= ballots.iter().any(|one| one.phase == BallotPhase::Queued);
        let now = ballots.iter().filter(|ballot| ballot.is_running()).count();
        running = running.max(now);
        if queued {
            // They have been slow so far.
            (0..4).for_each(|n| drop(world.conduct.remove(&(REFEREES + n))));
        }
        if records.iter().all(|record| record.stage.is_final()) {
            break;
        }
    }
    assert!(queued, "one had to wait");
    assert_eq!(running, usize::try_from(MAX_BALLOTS).unwrap());
    for job in jobs {
        assert_eq!(world.record(&job).stage, Stage::Settled);
    }
}

#[test]
fn each_wrong_vote_is_refused_with_its_reason() {
    let (mut world, job, _) = wrong_primary();
    let record = world.record(&job);
    let (leaf, witness) = (Hash32([1; 32]), Hash32([3; 32]));
    let (found, salt) = (RefereeFinding { leaf, witness }, Hash32([2; 32]));
    let number = ballot(&record).number;
    let commitment = |referee: u8, ballot| {
        let context = VoteContext {
            chain: world.chain.rules.chain_id,
            job,
            attempt: record.attempt,
            ballot,
            referee: ValidatorId(address(referee)),
        };
        vote_commitment(&context, &found, &salt)
    };
    let (mine, others) = (
        commitment(REFEREES, number),
        commitment(REFEREES + 1, number),
    );
    let vote = |ballot, commitment| JobStep::Vote { ballot, commitment }.of(job, record.attempt);
    let open = |ballot| {
        JobStep::OpenVote {
            ballot,
            found,
            salt,
        }
        .of(job, record.attempt)
    };
    let refused = |world: &mut World, n, action| world.act(n, action).unwrap();
    assert_eq!(refused(&mut world, 0, vote(number, mine)), "not_referee");
    assert_eq!(
        refused(&mut world, REFEREES, vote(number + 1, mine)),
        "wrong_ballot"
    );
    assert_eq!(
        refused(&mut world, REFEREES, open(number)),
        "vote_not_awaited"
    );
    // It hides what another referee hides, which it cannot open.
    assert_eq!(world.act(REFEREES, vote(number, others)), None);
    assert_eq!(
        refused(&mut world, REFEREES, vote(number, mine)),
        "vote_not_awaited"
    );
    for n in 1..4 {
        assert_eq!(world.act(REFEREES + n, vote(number, mine)), None);
    }
    let record = world.record(&job);
    assert!(matches!(
        &ballot(&record).phase,
        BallotPhase::Opening { .. }
    ));
    assert_eq!(
        refused(&mut world, REFEREES, open(number)),
        "wrong_commitment"
    );
    assert_eq!(
        refused(&mut world, REFEREES, vote(number, mine)),
        "vote_not_awaited"
    );
}
