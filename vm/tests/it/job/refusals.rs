//! Actions that a stage does not allow, or not from this sender: each is refused by its own rule.

use types::codec::encode;
use types::hash::{BlobId, Hash32, JobId};
use types::job::{JobRecord, Stage, Verifier};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::{Attempt, TaskIndex};
use types::state_key::StateKey;
use types::transaction::Action;

use crate::fixture::{address, square, vrf_key};
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

/// One action of each kind, without sense.
pub fn all_actions(record: &JobRecord) -> Vec<(&'static str, Action)> {
    let (job, attempt) = (record.id, record.attempt);
    let opening = types::attestation::Opening::new(Hash32::ZERO, &[], &[], None).unwrap();
    let proof = vrf_key(0).prove(&Hash32::ZERO);
    vec![
        ("assigned", Action::Acknowledge { job, attempt }),
        (
            "assigned",
            Action::Decline {
                job,
                attempt,
                unrunnable: false,
            },
        ),
        (
            "assigned",
            Action::Commit {
                job,
                attempt,
                commitment: Hash32::ZERO,
            },
        ),
        (
            "committed",
            Action::Announce {
                job,
                attempt,
                proof,
            },
        ),
        (
            "verifying",
            Action::Claim {
                job,
                attempt,
                commitment: Hash32::ZERO,
            },
        ),
        (
            "revealed",
            Action::Reveal {
                job,
                attempt,
                opening: Box::new(opening),
            },
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
                .filter(|(stage, _)| *stage != record.stage.name())
            {
                assert_eq!(
                    refused(&world, 0, action),
                    "wrong_stage",
                    "{stage} in {}",
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
        "open",
        "assigned",
        "committed",
        "verifying",
        "revealed",
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
        .filter(|(stage, _)| *stage == "assigned")
    {
        for n in [other_than(primary), CUSTOMER] {
            assert_eq!(refused(&world, n, action.clone()), "not_primary");
        }
    }
    let attempt = record.attempt;
    let commit = Action::Commit {
        job,
        attempt,
        commitment: Hash32::ZERO,
    };
    assert_eq!(refused(&world, primary, commit), "not_acknowledged");
    assert_eq!(
        world.act(primary, Action::Acknowledge { job, attempt }),
        None
    );
    assert_eq!(
        refused(&world, primary, Action::Acknowledge { job, attempt }),
        "already_acknowledged"
    );
}

#[test]
fn announcements_need_the_own_proof_over_this_sortition() {
    let mut world = proven();
    let job = world.submit(&certain());
    let record = world.run_to(&job, "committed");
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
    let Action::Announce { proof, .. } = &good else {
        panic!()
    };
    let mut changed = *proof;
    changed.0[3] ^= 1;
    let bad = Action::Announce {
        job,
        attempt: record.attempt,
        proof: changed,
    };
    assert_eq!(refused(&world, n, bad), "bad_proof");
    let elsewhere = vrf_key(n).prove(&Hash32([3; 32]));
    let bad = Action::Announce {
        job,
        attempt: record.attempt,
        proof: elsewhere,
    };
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
    let record = world.run_to(&job, "committed");
    let Stage::Announcing {
        committed, primary, ..
    } = &record.stage
    else {
        panic!()
    };
    let rules = &world.chain.rules;
    let (seal, beacon) = (committed.commitment, committed.beacon.unwrap());
    let mut refusals = 0;
    for n in (0..PARTNERS).filter(|n| address(*n) != primary.partner) {
        let input = types::attestation::sortition_input(
            rules.chain_id,
            job,
            Attempt(0),
            &address(n),
            &seal,
            &beacon,
        );
        let drawn = world.announcement(n, &record).is_some();
        let action = Action::Announce {
            job,
            attempt: record.attempt,
            proof: vrf_key(n).prove(&input),
        };
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
    let record = world.run_to(&job, "committed");
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
fn sortition_runs_over_a_beacon_that_nobody_knew_when_the_seal_was_included() {
    let mut world = proven();
    let job = world.submit(&certain());
    let beacon = |world: &World| vm::Beacon::read(&world.chain.state).unwrap();
    while world.record(&job).stage.name() != "committed" {
        world.step(&[job], 500);
    }
    let sealed = beacon(&world);
    let lag = world.chain.genesis.params.beacon_lag;
    loop {
        let record = world.record(&job);
        let Stage::Announcing {
            committed,
            primary,
            deadline,
            verifiers,
        } = &record.stage
        else {
            panic!()
        };
        assert_eq!(
            committed.draw,
            sealed.step.saturating_add(lag),
            "as every draw"
        );
        assert!(verifiers.is_empty());
        let n = other_than(parties(&record.stage).0.unwrap());
        assert_ne!(address(n), primary.partner);
        let over = |beacon: &Hash32| {
            let input = types::attestation::sortition_input(
                world.chain.rules.chain_id,
                job,
                record.attempt,
                &address(n),
                &committed.commitment,
                beacon,
            );
            Action::Announce {
                job,
                attempt: record.attempt,
                proof: vrf_key(n).prove(&input),
            }
        };
        let Some(drawn) = committed.beacon else {
            assert!(beacon(&world).step < committed.draw);
            assert_eq!(
                refused(&world, n, over(&sealed.value)),
                "sortition_not_open"
            );
            world.step(&[], 500);
            continue;
        };
        assert_eq!(
            (beacon(&world).step, beacon(&world).value),
            (committed.draw, drawn)
        );
        let now = vm::ChainRecord::read(&world.chain.state)
            .unwrap()
            .chain_time;
        let window = world.chain.genesis.params.compute.announce_window_ms;
        assert_eq!(
            *deadline,
            now.saturating_add(window),
            "the window opens with the beacon"
        );
        assert_eq!(refused(&world, n, over(&sealed.value)), "bad_proof");
        assert_eq!(world.clone().act(n, over(&drawn)), None);
        return;
    }
}

#[test]
fn a_key_registered_after_the_seal_does_not_count() {
    let mut world = World::with(|params| {
        params.compute.probation_multiple = 0;
        params.compute.announce_window_ms = 30_000;
        params.epoch_length = 3;
    });
    let job = world.submit(&certain());
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::NeverAnnounces));
    let record = world.run_to(&job, "committed");
    let n = other_than(parties(&record.stage).0.unwrap());
    let mut profile = world.partner(n).profile;
    let fresh = vrf_key(11);
    profile.vrf_key = fresh.public();
    assert_eq!(world.act(n, Action::RegisterPartner { profile }), None);
    for _ in 0..10 {
        world.step(&[], 100);
    }
    let Stage::Announcing { committed, .. } = &record.stage else {
        panic!()
    };
    assert!(
        world.chain.rules.epoch(world.chain.tip.height) > world.chain.rules.epoch(committed.height)
    );
    let rules = &world.chain.rules;
    let (seal, beacon) = (committed.commitment, committed.beacon.unwrap());
    let input = types::attestation::sortition_input(
        rules.chain_id,
        job,
        Attempt(0),
        &address(n),
        &seal,
        &beacon,
    );
    let new = Action::Announce {
        job,
        attempt: Attempt(0),
        proof: fresh.prove(&input),
    };
    assert_eq!(refused(&world, n, new), "bad_proof");
    let old = Action::Announce {
        job,
        attempt: Attempt(0),
        proof: vrf_key(n).prove(&input),
    };
    assert_eq!(world.act(n, old), None);
}

#[test]
fn only_verifiers_seal_and_only_once() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "verifying");
    let (primary, verifiers) = parties(&record.stage);
    let claim = Action::Claim {
        job,
        attempt: record.attempt,
        commitment: Hash32([4; 32]),
    };
    assert_eq!(
        refused(&world, primary.unwrap(), claim.clone()),
        "not_verifier"
    );
    assert_eq!(refused(&world, CUSTOMER, claim.clone()), "not_verifier");
    assert_eq!(world.act(verifiers[0], claim.clone()), None);
    assert_eq!(refused(&world, verifiers[0], claim), "already_committed");
}

#[test]
fn an_opening_shows_every_drawn_task_or_is_none() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    let record = world.run_to(&job, "revealed");
    let (primary, verifiers) = parties(&record.stage);
    let (primary, verifier) = (primary.unwrap(), verifiers[0]);
    let all: Vec<_> = (0..4).map(TaskIndex).collect();
    let reveal = |opening| Action::Reveal {
        job,
        attempt: record.attempt,
        opening: Box::new(opening),
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
        "a copied claim is worth nothing"
    );

    assert_eq!(world.act(verifier, reveal(mine.clone())), None);
    assert_eq!(refused(&world, verifier, reveal(mine)), "already_opened");
    assert_eq!(world.act(primary, reveal(good.clone())), None);
    assert_eq!(refused(&world, primary, reveal(good)), "already_opened");
}

#[test]
fn no_more_verifiers_are_bound_than_there_are_seats() {
    let mut world = proven();
    let job = world.submit(&certain());
    let record = world.run_to(&job, "committed");
    let n = other_than(parties(&record.stage).0.unwrap());
    let announcement = world.announcement(n, &record).unwrap();
    let seats = vm::compute::price::seats(&record.policy);
    for taken in [seats - 1, seats] {
        let mut crowded = record.clone();
        let Stage::Announcing { verifiers, .. } = &mut crowded.stage else {
            panic!()
        };
        verifiers.extend((0..taken).map(|at| Verifier {
            partner: types::hash::Address([u8::try_from(at).unwrap(); 20]),
            appointed: false,
            tasks: Vec::new(),
            bond: types::number::Amount::ZERO,
            commitment: None,
            opened: None,
        }));
        let mut trial = world.chain.clone();
        trial
            .state
            .insert(StateKey::Job(job), Some(encode(&crowded)));
        let code = trial.act(n, announcement.clone());
        assert_eq!(code, (taken == seats).then(|| "no_seat".to_owned()));
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
        world.act(
            primary,
            Action::Acknowledge {
                job,
                attempt: Attempt(0)
            }
        ),
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
            .act(
                n,
                Action::Acknowledge {
                    job,
                    attempt: record.attempt
                }
            )
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
    let mut rich = world.chain.unsigned(
        primary,
        Action::Acknowledge {
            job,
            attempt: record.attempt,
        },
    );
    rich.fee = square(5);
    let before = world.chain.account(primary).balance;
    world
        .chain
        .next(vec![rich.sign(&crate::fixture::key(primary))]);
    world.check();
    let lost = before.0 - world.chain.account(primary).balance.0;
    assert_eq!(lost, square(5).0 - world.chain.genesis.params.min_fee.0);
}
