//! Announcements that are refused: not drawn, not proven, not covered by a bond, too early or too many.

use types::codec::encode;
use types::hash::Hash32;
use types::job::{Announcing, SortitionBeacon, Stage, Verifier};
use types::number::Attempt;
use types::state_key::StateKey;
use types::transaction::{Action, JobAction, JobStep};

use super::{other_than, proven, refused};
use crate::fixture::vrf_key;
use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, certain, parties, spec};

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
        let now = vm::chain_record(&world.chain.state).unwrap().chain_time;
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
