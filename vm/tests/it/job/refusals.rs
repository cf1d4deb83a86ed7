//! Actions that a stage does not allow, or not from this sender: each is refused by its own rule.

use types::codec::encode;
use types::hash::{BlobId, Hash32, JobId};
use types::job::{Announcing, JobRecord, SortitionBeacon, Stage, Verifier};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::{Attempt, TaskIndex};
use types::state_key::StateKey;
use types::transaction::{Action, JobAction, JobStep};

use crate::fixture::{square, vrf_key};
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, certain, demanding, parties, spec};

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
fn announcements_need_the_own_proof_over_this_sortition() {
    let mut world = proven();
    let job = world.submit(&certain());
    let record = world.run_to(&job, "announcing");
    let primary = parties(&record.stage).0.unwrap();
    let (n, m) = (
        other_than(primary),
        (0..PARTNERS).find(|m| *m != primary && *m > 1).unwrap(),
    );
    let good = world.announcement(n, &record).unwrap();
    assert_eq!(
        refused(
            &world,
            primary,
            world.announcement(primary, &record).unwrap()
        ),
        "own_work"
    );
    assert_eq!(refused(&world, m, good.clone()), "bad_proof");
    assert_eq!(refused(&world, CUSTOMER, good.clone()), "not_in_snapshot");
    let Action::Job(JobAction {
        step: JobStep::Announce { proof },
        ..
    }) = &good
    else {
        panic!()
    };
    let mut changed = *proof;
    changed.0[3] ^= 1;
    let bad = JobStep::Announce { proof: changed }.of(job, record.attempt);
    assert_eq!(refused(&world, n, bad), "bad_proof");
    let elsewhere = vrf_key(n).prove(&Hash32([3; 32]));
    let bad = JobStep::Announce { proof: elsewhere }.of(job, record.attempt);
    assert_eq!(refused(&world, n, bad), "bad_proof");
    let before = world.partner(n).free();
    assert_eq!(world.act(n, good.clone()), None);
    assert_eq!(
        before.0 - world.partner(n).free().0,
        record.policy.verifier_bond.0
    );
    assert_eq!(refused(&world, n, good), "already_verifier");
}

#[test]
fn an_output_above_the_threshold_draws_nobody() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "announcing");
    let primary = parties(&record.stage).0.unwrap();
    let mut refusals = 0;
    for n in (0..PARTNERS).filter(|n| *n != primary) {
        let input = world.sortition_input(n, &record).unwrap();
        let drawn = world.announcement(n, &record).is_some();
        let action = JobStep::Announce {
            proof: vrf_key(n).prove(&input),
        }
        .of(job, record.attempt);
        let result = world.clone().act(n, action);
        assert_eq!(result, (!drawn).then(|| "not_drawn".to_owned()));
        refusals += u32::from(!drawn);
    }
    assert!(refusals > 0, "at x = 0.1 not all of five are drawn");
}

#[test]
fn who_cannot_lock_the_bond_cannot_announce() {
    let mut world = proven();
    let job = world.submit(&certain());
    let record = world.run_to(&job, "announcing");
    let n = other_than(parties(&record.stage).0.unwrap());
    let free = world.partner(n).free();
    let keep = types::number::Amount(record.policy.verifier_bond.0 - 1);
    assert_eq!(
        world.act(
            n,
            Action::Unbond {
                amount: free.checked_sub(keep).unwrap()
            }
        ),
        None
    );
    let announcement = world.announcement(n, &world.record(&job)).unwrap();
    assert_eq!(refused(&world, n, announcement), "bond_locked");
}

#[test]
fn sortition_runs_over_a_beacon_that_nobody_knew_when_the_commitment_was_included() {
    let mut world = proven();
    let job = world.submit(&certain());
    let beacon = |world: &World| vm::Beacon::read(&world.chain.state).unwrap();
    while world.record(&job).stage.name() != "announcing" {
        world.step(&[job], 500);
    }
    let committed = beacon(&world);
    let draw = committed
        .step
        .saturating_add(world.chain.genesis.params.beacon_lag);
    loop {
        let record = world.record(&job);
        let Stage::Announcing(announcing) = &record.stage else {
            panic!()
        };
        assert!(announcing.parties.verifiers.is_empty());
        let n = other_than(parties(&record.stage).0.unwrap());
        let over = |value: Hash32| {
            let mut known = record.clone();
            let beacon = SortitionBeacon::Known { value };
            known.stage = Stage::Announcing(Announcing {
                beacon,
                ..announcing.clone()
            });
            let input = world.sortition_input(n, &known).unwrap();
            let proof = vrf_key(n).prove(&input);
            JobStep::Announce { proof }.of(job, record.attempt)
        };
        let Some(drawn) = announcing.beacon.known() else {
            assert_eq!(record.stage.draw(), Some(draw), "as every draw");
            assert_eq!(record.deadline, None, "the window is not open yet");
            assert!(beacon(&world).step < draw);
            assert_eq!(
                refused(&world, n, over(committed.value)),
                "sortition_not_open"
            );
            world.step(&[], 500);
            continue;
        };
        assert_eq!((beacon(&world).step, beacon(&world).value), (draw, *drawn));
        let now = vm::ChainRecord::read(&world.chain.state)
            .unwrap()
            .chain_time;
        let window = world.chain.genesis.params.compute.announce_window_ms;
        assert_eq!(
            record.deadline,
            Some(now.saturating_add(window)),
            "the window opens with the beacon"
        );
        assert_eq!(refused(&world, n, over(committed.value)), "bad_proof");
        assert_eq!(world.clone().act(n, over(*drawn)), None);
        return;
    }
}

#[test]
fn a_key_registered_after_the_commitment_is_not_seen() {
    let mut world = World::with(|params| {
        params.compute.probation_multiple = 0;
        params.compute.announce_window_ms = 30_000;
        params.epoch_length = 3;
    });
    let job = world.submit(&certain());
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::NeverAnnounces));
    let record = world.run_to(&job, "announcing");
    let n = other_than(parties(&record.stage).0.unwrap());
    let mut profile = world.partner(n).profile;
    let fresh = vrf_key(11);
    profile.vrf_key = fresh.public();
    assert_eq!(world.act(n, Action::RegisterPartner { profile }), None);
    for _ in 0..10 {
        world.step(&[], 100);
    }
    let Stage::Announcing(announcing) = &record.stage else {
        panic!()
    };
    assert!(world.chain.rules.epoch(world.chain.tip.height) > announcing.epoch);
    let input = world.sortition_input(n, &record).unwrap();
    let new = JobStep::Announce {
        proof: fresh.prove(&input),
    }
    .of(job, Attempt(0));
    assert_eq!(refused(&world, n, new), "bad_proof");
    let old = JobStep::Announce {
        proof: vrf_key(n).prove(&input),
    }
    .of(job, Attempt(0));
    assert_eq!(world.act(n, old), None);
}

#[test]
fn only_verifiers_commit_and_only_once() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "verifying");
    let (primary, verifiers) = parties(&record.stage);
    let claim = JobStep::Commit {
        commitment: Hash32([4; 32]),
    }
    .of(job, record.attempt);
    assert_eq!(
        refused(&world, primary.unwrap(), claim.clone()),
        "not_verifier"
    );
    assert_eq!(refused(&world, CUSTOMER, claim.clone()), "not_verifier");
    assert_eq!(world.act(verifiers[0], claim.clone()), None);
    assert_eq!(refused(&world, verifiers[0], claim), "already_committed");
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

#[test]
fn no_more_verifiers_are_bound_than_may_be() {
    let mut world = proven();
    let job = world.submit(&certain());
    let record = world.run_to(&job, "announcing");
    let n = other_than(parties(&record.stage).0.unwrap());
    let announcement = world.announcement(n, &record).unwrap();
    let max = vm::compute::price::max_verifiers(&record.policy);
    for taken in [max - 1, max] {
        let mut crowded = record.clone();
        let Stage::Announcing(announcing) = &mut crowded.stage else {
            panic!()
        };
        announcing
            .parties
            .verifiers
            .extend((0..taken).map(|at| Verifier {
                partner: types::hash::Address([u8::try_from(at).unwrap(); 20]),
                appointed: false,
                tasks: Vec::new(),
                bond: types::number::Amount::ZERO,
                commitment: None,
                opening: None,
            }));
        let mut trial = world.chain.clone();
        trial
            .state
            .insert(StateKey::Job(job), Some(encode(&crowded)));
        let code = trial.act(n, announcement.clone());
        assert_eq!(
            code,
            (taken == max).then(|| "too_many_verifiers".to_owned())
        );
    }
}

#[test]
fn when_the_fees_are_used_up_parties_pay_their_own() {
    let mut world = proven();
    let job = world.submit(&spec());
    let mut record = world.run_to(&job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    // The fees go back to the customer, but for half of one.
    let (fee, all) = (world.chain.genesis.params.min_fee.0, record.escrow.fees.0);
    record.escrow.fees.0 = fee / 2;
    let mut customer = world.chain.account(CUSTOMER);
    customer.balance.0 += all - fee / 2;
    let mut chain = vm::ChainRecord::read(&world.chain.state).unwrap();
    chain.liquid.0 += all - fee / 2;
    let state = &mut world.chain.state;
    state.insert(StateKey::Job(job), Some(encode(&record)));
    state.insert(
        StateKey::Account(crate::fixture::address(CUSTOMER)),
        Some(encode(&customer)),
    );
    state.insert(StateKey::Chain, Some(encode(&chain)));
    world.check();
    let before = world.chain.account(primary).balance.0;
    assert_eq!(
        world.act(primary, JobStep::Acknowledge.of(job, Attempt(0))),
        None
    );
    assert_eq!(
        before - world.chain.account(primary).balance.0,
        fee - fee / 2
    );
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn a_refused_action_is_not_paid_back() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "assigned");
    let n = other_than(parties(&record.stage).0.unwrap());
    let before = world.chain.account(n).balance;
    assert!(
        world
            .act(n, JobStep::Acknowledge.of(job, record.attempt))
            .is_some()
    );
    assert_eq!(
        before.0 - world.chain.account(n).balance.0,
        world.chain.genesis.params.min_fee.0
    );
    assert_eq!(world.record(&job).burned, record.burned);
}

#[test]
fn a_fee_above_the_least_is_paid_back_only_up_to_it() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    let mut rich = world
        .chain
        .unsigned(primary, JobStep::Acknowledge.of(job, record.attempt));
    rich.fee = square(5);
    let before = world.chain.account(primary).balance;
    world
        .chain
        .next(vec![rich.sign(&crate::fixture::key(primary))]);
    world.check();
    let lost = before.0 - world.chain.account(primary).balance.0;
    assert_eq!(lost, square(5).0 - world.chain.genesis.params.min_fee.0);
}
