//! Actions that a stage does not allow, or not from this sender: each is refused by its own rule.

use types::hash::{BlobId, Hash32, JobId};
use types::job::JobRecord;
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::{Attempt, TaskIndex};
use types::transaction::{Action, JobStep};

use crate::fixture::vrf_key;
use crate::job::world::{CUSTOMER, World, demanding, parties, spec};

mod announcements;
mod fees;

fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

fn other_than(primary: u8) -> u8 {
    u8::from(primary == 0)
}

fn refused(world: &World, n: u8, action: Action) -> String {
    let mut trial = world.clone();
    trial.act(n, action).expect("this action must be refused")
}

/// One step of each kind, without sense, with the stages that allow it.
pub fn all_actions(record: &JobRecord) -> Vec<(Vec<&'static str>, Action)> {
    let (job, attempt) = (record.id, record.attempt);
    let opening = types::attestation::Opening::new(Hash32::ZERO, &[], &[], None).unwrap();
    let proof = vrf_key(0).prove(&Hash32::ZERO);
    vec![
        (vec!["assigned"], JobStep::Acknowledge.of(job, attempt)),
        (
            vec!["assigned"],
            JobStep::Decline { unrunnable: false }.of(job, attempt),
        ),
        (
            vec!["assigned", "verifying"],
            JobStep::Commit {
                commitment: Hash32::ZERO,
            }
            .of(job, attempt),
        ),
        (vec!["verifying"], JobStep::NoResult.of(job, attempt)),
        (
            vec!["announcing"],
            JobStep::Announce { proof }.of(job, attempt),
        ),
        (
            vec!["revealing"],
            JobStep::Reveal {
                opening: Box::new(opening),
            }
            .of(job, attempt),
        ),
    ]
}

#[test]
fn every_action_is_refused_in_every_stage_but_its_own() {
    let mut world = proven();
    let job = world.submit(&demanding(1));
    let mut stages = Vec::new();
    loop {
        let record = world.record(&job);
        if stages.last() != Some(&record.stage.name()) {
            stages.push(record.stage.name());
            for (stage, action) in all_actions(&record)
                .into_iter()
                .filter(|(stages, _)| !stages.contains(&record.stage.name()))
            {
                assert_eq!(
                    refused(&world, 0, action),
                    "wrong_stage",
                    "{stage:?} in {}",
                    record.stage.name()
                );
            }
        }
        if record.stage.is_final() {
            break;
        }
        world.step(&[job], 500);
    }
    for stage in [
        "pending",
        "assigned",
        "announcing",
        "verifying",
        "revealing",
        "settled",
    ] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
}

#[test]
fn actions_for_another_attempt_or_job_are_refused() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "assigned");
    let mut other = record.clone();
    other.attempt = Attempt(1);
    for (_, action) in all_actions(&other) {
        assert_eq!(refused(&world, 0, action), "wrong_attempt");
    }
    other.id = JobId(Hash32([9; 32]));
    for (_, action) in all_actions(&other) {
        assert_eq!(refused(&world, 0, action), "unknown_job");
    }
}

#[test]
fn only_the_primary_acknowledges_declines_and_commits() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    for (_, action) in all_actions(&record)
        .into_iter()
        .filter(|(stages, _)| stages[0] == "assigned")
    {
        for n in [other_than(primary), CUSTOMER] {
            assert_eq!(refused(&world, n, action.clone()), "not_primary");
        }
    }
    let attempt = record.attempt;
    let commit = JobStep::Commit {
        commitment: Hash32::ZERO,
    }
    .of(job, attempt);
    assert_eq!(refused(&world, primary, commit), "not_acknowledged");
    assert_eq!(
        world.act(primary, JobStep::Acknowledge.of(job, attempt)),
        None
    );
    assert_eq!(
        refused(&world, primary, JobStep::Acknowledge.of(job, attempt)),
        "already_acknowledged"
    );
}

#[test]
fn only_verifiers_commit_and_only_once() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "verifying");
    let (primary, verifiers) = parties(&record.stage);
    let commit = JobStep::Commit {
        commitment: Hash32([4; 32]),
    }
    .of(job, record.attempt);
    assert_eq!(
        refused(&world, primary.unwrap(), commit.clone()),
        "not_verifier"
    );
    assert_eq!(refused(&world, CUSTOMER, commit.clone()), "not_verifier");
    assert_eq!(world.act(verifiers[0], commit.clone()), None);
    assert_eq!(refused(&world, verifiers[0], commit), "already_committed");
}

#[test]
fn an_opening_must_show_every_drawn_task() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "revealing");
    let (primary, verifiers) = parties(&record.stage);
    let (primary, verifier) = (primary.unwrap(), verifiers[0]);
    let all: Vec<_> = (0..4).map(TaskIndex).collect();
    let reveal = |opening| {
        JobStep::Reveal {
            opening: Box::new(opening),
        }
        .of(job, record.attempt)
    };

    let good = world.primary_opening(primary, &record);
    let mut salted = good.clone();
    salted.salt.0[0] ^= 1;
    assert_eq!(refused(&world, primary, reveal(salted)), "wrong_commitment");
    let mut rooted = good.clone();
    rooted.root.0[0] ^= 1;
    assert_eq!(refused(&world, primary, reveal(rooted)), "wrong_commitment");
    let leaves = world.leaves(primary, &record, &all);
    let fewer =
        types::attestation::Opening::new(good.salt, &leaves, &all[..3], good.outcomes).unwrap();
    assert_eq!(
        refused(&world, primary, reveal(fewer)),
        "inconsistent_opening"
    );
    let mut unnamed = good.clone();
    unnamed.outcomes = None;
    assert_eq!(refused(&world, primary, reveal(unnamed)), "bad_outcomes");
    for length in [0, u64::try_from(MAX_OUTCOMES_BYTES).unwrap() + 1] {
        let mut sized = good.clone();
        sized.outcomes = Some(BlobId {
            hash: Hash32::ZERO,
            length,
        });
        assert_eq!(refused(&world, primary, reveal(sized)), "bad_outcomes");
    }
    assert_eq!(
        refused(&world, verifier, reveal(good.clone())),
        "wrong_commitment"
    );
    assert_eq!(
        refused(&world, CUSTOMER, reveal(good.clone())),
        "not_verifier"
    );

    let mine = world.verifier_opening(verifier, &record, &all);
    let mut named = mine.clone();
    named.outcomes = good.outcomes;
    assert_eq!(refused(&world, verifier, reveal(named)), "bad_outcomes");
    let mut lied = mine.clone();
    lied.leaves.as_mut_slice()[1].1.0[0] ^= 1;
    assert_eq!(
        refused(&world, verifier, reveal(lied)),
        "inconsistent_opening"
    );
    assert_eq!(
        refused(&world, verifiers[1], reveal(mine.clone())),
        "wrong_commitment",
        "a copied opening is worth nothing"
    );

    assert_eq!(world.act(verifier, reveal(mine.clone())), None);
    assert_eq!(refused(&world, verifier, reveal(mine)), "already_revealed");
    assert_eq!(world.act(primary, reveal(good.clone())), None);
    assert_eq!(refused(&world, primary, reveal(good)), "already_revealed");
}
