//! Actions that a stage does not allow, or not from this sender: each is refused by its own rule.

use types::attestation::{Contradiction, Divergence, RefereeFinding};
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
    let outcomes = BlobId::of(b"");
    let opening = types::attestation::Opening::new(Hash32::ZERO, &[], &[], outcomes).unwrap();
    let leaf = [(TaskIndex(0), Hash32::ZERO)];
    let divergence = Divergence::new(Hash32::ZERO, &leaf, TaskIndex(0)).unwrap();
    let shown = Contradiction::new(Hash32::ZERO, leaf[0], &Hash32::ZERO, &leaf).unwrap();
    let contradiction = Box::new(shown);
    let renew = JobStep::Renew { number: 0 };
    let contradict = JobStep::Contradict { contradiction };
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
        (vec!["assigned", "verifying"], renew.of(job, attempt)),
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
        (
            vec!["revealing", "disputed"],
            JobStep::Agree { salt: Hash32::ZERO }.of(job, attempt),
        ),
        (
            vec!["disputed"],
            JobStep::Vote {
                ballot: 0,
                commitment: Hash32::ZERO,
            }
            .of(job, attempt),
        ),
        (
            vec!["disputed"],
            JobStep::OpenVote {
                ballot: 0,
                found: RefereeFinding {
                    leaf: Hash32::ZERO,
                    witness: Hash32::ZERO,
                },
                salt: Hash32::ZERO,
            }
            .of(job, attempt),
        ),
        (vec!["challenged"], contradict.of(job, attempt)),
        (
            vec!["revealing", "disputed"],
            JobStep::Differ {
                divergence: Box::new(divergence),
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
    for length in [0, u64::try_from(MAX_OUTCOMES_BYTES).unwrap() + 1] {
        let mut sized = good.clone();
        sized.outcomes = BlobId {
            hash: Hash32::ZERO,
            length,
        };
        assert_eq!(refused(&world, primary, reveal(sized)), "bad_outcomes");
    }
    for other in [verifier, CUSTOMER] {
        assert_eq!(refused(&world, other, reveal(good.clone())), "not_primary");
    }
    assert_eq!(world.act(primary, reveal(good.clone())), None);
    assert_eq!(refused(&world, primary, reveal(good)), "already_revealed");
}

#[test]
fn a_verifier_agrees_with_its_salt_alone_once_the_primary_has_revealed() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "revealing");
    let (primary, verifiers) = parties(&record.stage);
    let (primary, verifier) = (primary.unwrap(), verifiers[0]);
    let salt = World::salt(verifier, &record);
    let agree = |salt| JobStep::Agree { salt }.of(job, record.attempt);
    let early = refused(&world, verifier, agree(salt));
    assert_eq!(early, "primary_not_revealed");
    assert_eq!(
        world.act(primary, world.duty(primary, &record).unwrap()),
        None
    );
    let copied = refused(&world, verifiers[1], agree(salt));
    assert_eq!(copied, "wrong_commitment", "a copied salt is worth nothing");
    assert_eq!(
        refused(&world, verifier, agree(Hash32::ZERO)),
        "wrong_commitment"
    );
    for other in [primary, CUSTOMER] {
        assert_eq!(refused(&world, other, agree(salt)), "not_verifier");
    }
    assert_eq!(world.act(verifier, agree(salt)), None);
    assert_eq!(refused(&world, verifier, agree(salt)), "already_revealed");
}

#[test]
fn who_found_the_same_cannot_show_that_it_differs() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "revealing");
    let (primary, verifiers) = parties(&record.stage);
    let (primary, verifier) = (primary.unwrap(), verifiers[0]);
    let (all, task) = (crate::job::world::all_tasks(&record), TaskIndex(1));
    assert_eq!(
        world.act(primary, world.duty(primary, &record).unwrap()),
        None
    );
    let same = world.divergence(verifier, &record, &all, task);
    let differ = |step: JobStep| step.of(job, record.attempt);
    assert_eq!(
        refused(&world, verifier, differ(same.clone())),
        "no_divergence"
    );
    let JobStep::Differ { divergence } = same else {
        panic!()
    };
    let mut lied = divergence.clone();
    lied.leaf.0[0] ^= 1;
    let lied = JobStep::Differ { divergence: lied };
    assert_eq!(
        refused(&world, verifier, differ(lied)),
        "inconsistent_opening"
    );
    let mut rooted = divergence.clone();
    rooted.root.0[0] ^= 1;
    let rooted = JobStep::Differ { divergence: rooted };
    assert_eq!(
        refused(&world, verifier, differ(rooted)),
        "wrong_commitment"
    );
    let copied = JobStep::Differ { divergence };
    let copied = refused(&world, verifiers[1], differ(copied));
    assert_eq!(copied, "wrong_commitment");
}
