//! Jobs that settle, and what their receipts say.

use types::attestation::result_root_of;
use types::hash::JobId;
use types::job::{JobReceipt, Parties, Stage, TaskSet};
use types::number::{Amount, Fuel, SQUARE};
use types::transaction::{Action, JobStep};
use vm::compute::fixed::ONE;
use vm::query;

use crate::fixture::{address, square};
use crate::job::rent::rent_of;
use crate::job::world::{
    CUSTOMER, Conduct, PARTNERS, World, all_tasks, certain, demanding, number, parties, spec,
};

fn receipt(world: &World, job: &JobId) -> JobReceipt {
    query::receipt(&world.chain.state, job).unwrap().unwrap()
}

/// A world in which no bond is on probation: only sortition and the customer's minimum bring verifiers.
fn proven() -> World {
    World::with(|params| params.compute.probation_multiple = 0)
}

#[test]
fn a_job_settles_and_everybody_is_paid() {
    let mut world = World::new();
    let job = world.submit(&demanding(2));
    let mut primary = None;
    while !world.record(&job).stage.is_final() {
        world.step(&[job], 500);
        primary = primary.or(parties(&world.record(&job).stage).0);
    }
    let record = world.record(&job);
    assert_eq!(record.stage, Stage::Settled);
    let stages: Vec<_> = record
        .history
        .iter()
        .map(|entry| entry.stage.as_str())
        .collect();
    let last = ["revealing", "storing", "settled"];
    assert_eq!(
        stages[..4],
        ["pending", "pending", "assigned", "announcing"]
    );
    assert_eq!(stages[stages.len() - 3..], last);
    let receipt = receipt(&world, &job);
    let primary = primary.unwrap();
    assert_eq!(receipt.primary, address(primary));
    assert_eq!(
        receipt.price,
        Amount(SQUARE.0 / 2),
        "the ask for the fuel that the limits allow"
    );
    assert!(receipt.verifiers.len() >= 2);
    assert_eq!(
        receipt.tasks_rerun,
        4 * u32::try_from(receipt.verifiers.len()).unwrap()
    );
    let count = u128::try_from(receipt.verifiers.len()).unwrap();
    assert_eq!(
        receipt.verification_paid,
        record.policy.verifier_fee.checked_mul(count).unwrap()
    );
    // Each party's transactions are paid back, so a balance changes by what the party earned.
    assert_eq!(
        world.chain.account(primary).balance,
        square(10_000).checked_add(receipt.price).unwrap()
    );
    for verifier in &receipt.verifiers {
        let earned = square(10_000)
            .checked_add(record.policy.verifier_fee)
            .unwrap();
        assert_eq!(
            world.chain.account(number(&verifier.partner)).balance,
            earned
        );
    }
    let cost = record.locked.checked_sub(record.refunded).unwrap();
    let paid = [receipt.price, receipt.verification_paid, receipt.burned];
    assert_eq!(Amount::sum(paid), Some(cost), "what did not come back");
    // The customer paid them, what was burned, and its own transaction's fee.
    let fee = world.chain.charged(CUSTOMER);
    let cost = Amount::sum([
        receipt.price,
        receipt.verification_paid,
        receipt.burned,
        fee,
    ])
    .unwrap();
    assert_eq!(
        world.chain.account(CUSTOMER).balance,
        square(10_000).checked_sub(cost).unwrap()
    );
    assert_eq!(
        world.partner(primary).verified_fees,
        receipt.verification_paid
    );
}

#[test]
fn the_receipt_holds_what_reproduces_the_root() {
    let mut world = World::new();
    let job = world.submit(&demanding(1));
    let revealed = world.run_to(&job, "revealing");
    let primary = parties(&revealed.stage).0.unwrap();
    world.run(&job);
    let receipt = receipt(&world, &job);
    let leaves = world.leaves(primary, &revealed, &all_tasks(&revealed));
    assert_eq!(receipt.result_root, result_root_of(&receipt.salt, &leaves));
    assert_eq!(receipt.workload, revealed.terms.workload);
    assert_eq!(receipt.input_root, revealed.terms.input_root);
    assert_eq!(
        (receipt.job, receipt.customer, receipt.tasks),
        (job, address(CUSTOMER), TaskSet::all(4))
    );
    assert_eq!(
        (receipt.value_at_risk, receipt.task_value_at_risk),
        (square(1), square(1))
    );
    assert_eq!(receipt.policy, revealed.policy);
    assert!(receipt.outcomes.length > 0);
    let entry = world.record(&job).history.last().cloned().unwrap();
    assert_eq!((receipt.height, receipt.time), (entry.height, entry.time));
}

#[test]
fn storage_and_the_parties_fees_are_burned_at_the_customers_expense() {
    let mut world = World::new();
    let mut large = demanding(1);
    large.workload.limits.output_bytes = 256 << 20;
    let job = world.submit(&large);
    let (fee, unit) = (
        world.chain.genesis.params.min_fee,
        world.chain.genesis.params.compute.storage_fee_per_mib,
    );
    // Inputs of a few bytes count as one MiB, burned at once, and four tasks may write 256 MiB each, with their list.
    assert_eq!(world.record(&job).burned, unit);
    assert_eq!(world.record(&job).escrow.storage, Amount(1_025 * unit.0));
    world.step(&[job], 500);
    assert_eq!(world.record(&job).burned, unit);
    let mut actions = 0;
    while !world.record(&job).stage.is_final() {
        actions += u128::try_from(world.step(&[job], 500).len()).unwrap();
    }
    assert_eq!(world.record(&job).stage, Stage::Settled);
    let rent = rent_of(&world.record(&job));
    assert_eq!(
        receipt(&world, &job).burned,
        Amount((1 + 3) * unit.0 + actions * fee.0 + rent),
        "by the 3 MiB that are stored"
    );
}

#[test]
fn a_job_that_nobody_checks_settles_on_its_primary_alone() {
    let mut world = proven();
    // With x = 0.1 most jobs are not checked: try until one is not.
    for _ in 0..20 {
        let before: Vec<_> = (0..PARTNERS)
            .map(|n| world.partner(n).verified_fees)
            .collect();
        let job = world.submit(&spec());
        world.run(&job);
        assert_eq!(world.record(&job).stage, Stage::Settled);
        let receipt = receipt(&world, &job);
        if receipt.verifiers.is_empty() {
            assert_eq!(
                (receipt.tasks_rerun, receipt.verification_paid),
                (0, Amount::ZERO)
            );
            let names: Vec<_> = world
                .record(&job)
                .history
                .iter()
                .map(|entry| entry.stage.clone())
                .collect();
            assert_eq!(
                names,
                [
                    "pending",
                    "pending",
                    "assigned",
                    "announcing",
                    "revealing",
                    "storing",
                    "settled"
                ]
            );
            let primary = number(&receipt.primary);
            assert_eq!(
                world.partner(primary).verified_fees,
                before[usize::from(primary)],
                "nobody verified anything"
            );
            return;
        }
    }
    panic!("every one of 20 jobs was checked at x = 0.1");
}

#[test]
fn sortition_draws_everybody_where_checks_are_certain_and_never_the_primary() {
    let mut world = proven();
    let job = world.submit(&certain());
    let record = world.run_to(&job, "announcing");
    assert!(
        record.policy.expected_verifiers.0 > 6 * ONE,
        "{}",
        record.policy.expected_verifiers.0 / ONE
    );
    world.run_to(&job, "verifying");
    let Stage::Verifying(verifying) = world.record(&job).stage else {
        panic!()
    };
    let Parties {
        primary, verifiers, ..
    } = verifying.parties;
    assert_eq!((verifiers.len(), verifying.needed), (5, 5));
    assert!(
        verifiers
            .iter()
            .all(|v| !v.appointed && v.partner != primary.partner && v.tasks.len() == 4)
    );
    world.run(&job);
    assert_eq!(receipt(&world, &job).verifiers.len(), 5);
}

#[test]
fn the_announce_window_ends_only_at_its_deadline() {
    let mut world = proven();
    let job = world.submit(&certain());
    world.run_to(&job, "announcing");
    let deadline = world.record(&job).deadline.unwrap();
    loop {
        world.step(&[job], 500);
        let now = query_time(&world);
        let stage = world.record(&job).stage;
        match stage {
            Stage::Announcing(_) => assert!(now < deadline.0),
            Stage::Verifying(_) => {
                assert!(now >= deadline.0);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

fn query_time(world: &World) -> u64 {
    vm::chain_record(&world.chain.state).unwrap().chain_time.0
}

#[test]
fn a_bond_on_probation_is_always_checked_until_others_earned_enough_by_it() {
    let mut world = World::with(|params| params.compute.probation_multiple = 1);
    let mut appointed = 0;
    for _ in 0..6 {
        let job = world.submit(&spec());
        let assigned = world.run_to(&job, "assigned");
        let primary = parties(&assigned.stage).0.unwrap();
        let before = world.partner(primary).verified_fees;
        world.run(&job);
        let receipt = receipt(&world, &job);
        assert!(before >= receipt.policy.bond || !receipt.verifiers.is_empty());
        appointed += receipt
            .verifiers
            .iter()
            .filter(|verifier| verifier.appointed)
            .count();
    }
    assert!(appointed > 0);
}

#[test]
fn a_value_at_risk_that_a_customer_invents_ends_no_probation() {
    let mut world = World::with(|params| params.compute.probation_multiple = 1);
    let job = world.submit(&certain());
    let record = world.run(&job);
    assert!(record.terms.value_at_risk > record.policy.bond);
    let receipt = receipt(&world, &job);
    let primary = world.partner(number(&receipt.primary));
    assert_eq!(primary.verified_fees, receipt.verification_paid);
    assert!(
        primary.verified_fees < record.policy.bond,
        "it is on probation still"
    );
}

#[test]
fn who_breaks_a_rule_or_unbonds_is_on_probation_again() {
    let mut world = World::new();
    let job = world.submit(&demanding(2));
    world.run(&job);
    let receipt = receipt(&world, &job);
    let primary = number(&receipt.primary);
    let fees = |world: &World| world.partner(primary).verified_fees;
    assert!(fees(&world) > Amount::ZERO);
    let mut other = world.clone();
    assert_eq!(
        other.act(primary, Action::Unbond { amount: Amount(1) }),
        None
    );
    assert_eq!(fees(&other), Amount::ZERO);
    // It must be drawn again to break one.
    (0..PARTNERS).for_each(|n| world.depart(n, Conduct::Dies));
    while world.partner(primary).bond == square(500) {
        let job = world.submit(&demanding(1));
        world.run(&job);
    }
    assert_eq!(fees(&world), Amount::ZERO);
}

#[test]
fn appointed_verifiers_complete_the_minimum_beside_selected_ones() {
    let mut world = proven();
    let job = world.submit(&demanding(4));
    world.run(&job);
    let receipt = receipt(&world, &job);
    assert_eq!(receipt.verifiers.len(), 4);
    assert!(receipt.verifiers.iter().any(|verifier| verifier.appointed));
}

#[test]
fn verifiers_of_some_tasks_check_just_these() {
    let mut world = proven();
    let mut some = demanding(3);
    some.workload.tasks = TaskSet::all(16);
    some.workload.limits.fuel = Fuel(25_000_000);
    some.verification.tasks_per_verifier = Some(5);
    let job = world.submit(&some);
    let record = world.run_to(&job, "revealing");
    let verifiers = record.stage.verifiers();
    assert!(verifiers.iter().all(|verifier| verifier.tasks.len() == 5));
    assert!(
        verifiers
            .windows(2)
            .any(|pair| pair[0].tasks != pair[1].tasks)
    );
    world.run(&job);
    assert_eq!(receipt(&world, &job).tasks_rerun, 15);
    assert_eq!(
        receipt(&world, &job).verification_paid.0,
        record.policy.verifier_fee.0 * 3
    );
    // Five of sixteen tasks at what all partners ask.
    assert_eq!(
        record.policy.verifier_fee.0,
        (SQUARE.0 / 2 * 5).div_ceil(16)
    );
}

#[test]
fn stages_end_early_when_all_they_wait_for_is_there() {
    let mut world = proven();
    let job = world.submit(&demanding(2));
    world.run_to(&job, "verifying");
    let deadline = world.record(&job).deadline.unwrap();
    world.run(&job);
    assert!(
        query_time(&world) < deadline.0,
        "verified, revealed, stored and settled before the first deadline"
    );
}

/// The bond that a partner locks as a party in a stage.
fn bond_in(stage: &Stage, n: u8) -> Amount {
    let primary = stage.primary().filter(|party| number(&party.partner) == n);
    let verifiers = stage.verifiers().iter();
    let verifiers = verifiers.filter(|party| number(&party.partner) == n);
    let bonds = verifiers
        .map(|party| party.bond)
        .chain(primary.map(|party| party.bond));
    Amount::sum(bonds).unwrap()
}

#[test]
fn jobs_at_once_share_partners_and_never_their_locks() {
    let mut world = World::new();
    let jobs = [
        world.submit(&demanding(1)),
        world.submit(&demanding(1)),
        world.submit(&spec()),
    ];
    let mut shared = 0;
    for _ in 0..200 {
        world.step(&jobs, 500);
        for n in 0..PARTNERS {
            let bonds = jobs.iter().map(|job| bond_in(&world.record(job).stage, n));
            let bonds: Vec<_> = bonds.filter(|bond| *bond > Amount::ZERO).collect();
            shared = shared.max(bonds.len());
            let partner = world.partner(n);
            let locks = partner.locks.values();
            let locks = locks.filter(|lock| lock.reason.job().is_some());
            let locked = Amount::sum(locks.map(|lock| lock.amount)).unwrap();
            assert_eq!(Amount::sum(bonds), Some(locked), "partner {n}");
        }
    }
    assert!(shared > 1, "nobody is a party to two jobs");
    for job in jobs {
        assert_eq!(world.record(&job).stage, Stage::Settled);
    }
}

#[test]
fn a_cheaper_partner_is_drawn_more_often_and_a_dearer_one_never() {
    let mut world = World::with(|params| params.compute.max_attempts = 1);
    // Partner 0 asks twice the cap, partner 1 all of it, the others half of it.
    for (n, ask) in [(0, 2), (1, 1)] {
        let mut profile = world.partner(n).profile;
        profile.ask = Amount(ask * SQUARE.0 / 400);
        assert_eq!(world.act(n, Action::RegisterPartner { profile }), None);
    }
    while world.chain.rules.epoch(world.chain.tip.height).0 < 3 {
        world.step(&[], 500);
    }
    let mut drawn = [0u32; 6];
    for _ in 0..180 {
        let job = world.submit(&spec());
        world.step(&[job], 500);
        while parties(&world.record(&job).stage).0.is_none() {
            world.step(&[], 500);
        }
        let primary = parties(&world.record(&job).stage).0.unwrap();
        drawn[usize::from(primary)] += 1;
        let attempt = world.record(&job).attempt;
        assert_eq!(
            world.act(
                primary,
                JobStep::Decline { unrunnable: false }.of(job, attempt)
            ),
            None
        );
        assert!(world.record(&job).stage.is_final());
    }
    assert_eq!(drawn[0], 0);
    // Of 180 draws a ninth is 20 for partner 1, and two ninths are 40 for each of the others; of equals each had 36, with a
    // standard deviation of 5.4.
    assert!(drawn[1] <= 26, "{drawn:?}");
    assert!(drawn[2..].iter().all(|count| *count > 26), "{drawn:?}");
}

#[test]
fn the_numbers_of_the_specifications_example_are_right() {
    let world = World::new();
    let params = &world.chain.genesis.params;
    let terms = types::job::JobTerms::of(&demanding(2));
    let profile = world.partner(0).profile;
    let half = Amount(SQUARE.0 / 2);
    assert_eq!(vm::compute::price::price(profile.ask, &terms), half);
    let offer = vm::compute::market::offer(square(500), profile.places);
    assert_eq!(offer, square(125));
    let fee = vm::compute::price::verifier_fee(&params.compute, &terms, 4, profile.ask);
    assert_eq!(fee, half);
    let window = vm::compute::price::execute_window_ms(&params.compute, &terms, 4);
    assert_eq!(window, 39_001);
}
