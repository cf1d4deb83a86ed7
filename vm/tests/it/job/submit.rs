//! What a customer is refused for, each with its own reason, and what an estimate says before.

use types::codec::Text;
use types::job::{JobSpec, TaskSet};
use types::number::{Amount, Fuel};
use types::transaction::Action;
use vm::compute::{JobError, JobEstimate, estimate};

use crate::fixture::{Chain, address, square};
use crate::job::world::{CUSTOMER, PARTNERS, World, certain, demanding, parties, spec};

mod bonds;
mod classes;
mod form;

fn code(change: impl FnOnce(&mut JobSpec)) -> String {
    let mut world = World::new();
    let mut spec = spec();
    change(&mut spec);
    let before = world.chain.account(CUSTOMER).balance;
    let code = world
        .try_submit(&spec)
        .expect_err("this spec must be refused");
    let fee = world.chain.charged(CUSTOMER);
    assert_eq!(
        world.chain.account(CUSTOMER).balance,
        before.checked_sub(fee).unwrap(),
        "nothing is locked"
    );
    let foreseen = estimated(&world.chain, &spec);
    if code != "insufficient_balance" {
        assert_eq!(
            foreseen.refusal.map(|refusal| refusal.code().to_owned()),
            Some(code.clone())
        );
    }
    code
}

fn estimated(chain: &Chain, spec: &JobSpec) -> JobEstimate {
    estimate(&chain.rules, &chain.state, chain.tip.height, spec).unwrap()
}

#[test]
fn constraints_that_nobody_meets_are_refused_and_those_that_one_meets_bind() {
    let swiss = |s: &mut JobSpec| {
        s.constraints
            .attributes
            .insert(Text::new("jurisdiction").unwrap(), Text::new("CH").unwrap());
    };
    assert_eq!(code(swiss), "constraints_unmet");
    let mut world = World::new();
    let mut profile = world.partner(4).profile;
    profile
        .attributes
        .insert(Text::new("jurisdiction").unwrap(), Text::new("CH").unwrap());
    assert_eq!(world.act(4, Action::RegisterPartner { profile }), None);
    let mut constrained = spec();
    swiss(&mut constrained);
    assert_eq!(
        world.try_submit(&constrained),
        Err("constraints_unmet".into()),
        "it counts from the next epoch on"
    );
    while world.chain.rules.epoch(world.chain.tip.height.next()).0 < 2 {
        world.step(&[], 500);
    }
    let seen = estimated(&world.chain, &constrained);
    assert_eq!(seen.eligible, [address(4)]);
    assert_eq!(
        seen.exclusions.values().sum::<u32>(),
        u32::from(PARTNERS) - 1
    );
    let job = world.submit(&constrained);
    assert_eq!(parties(&world.run_to(&job, "assigned").stage).0, Some(4));
}

#[test]
fn a_price_below_every_ask_is_refused_with_the_lowest() {
    assert_eq!(
        code(|s| s.price_cap = Amount(square(1).0 / 2 - 1)),
        "price_too_low"
    );
    let mut exact = spec();
    exact.price_cap = Amount(square(1).0 / 2);
    let world = World::new();
    let seen = estimated(&world.chain, &exact);
    assert_eq!(
        (seen.lowest_price, seen.eligible.len()),
        (Some(exact.price_cap), 6)
    );
    exact.price_cap = Amount(1);
    let lowest = Amount(square(1).0 / 2);
    let refusal = estimated(&world.chain, &exact).refusal;
    assert_eq!(
        refusal,
        Some(JobError::PriceTooLow {
            cap: Amount(1),
            lowest
        })
    );
}

#[test]
fn a_price_below_what_the_fuel_is_worth_is_refused_however_little_partners_ask() {
    let mut world = World::new();
    for n in 0..PARTNERS {
        let mut profile = world.partner(n).profile;
        profile.ask = Amount::ZERO;
        assert_eq!(world.act(n, Action::RegisterPartner { profile }), None);
    }
    while world.chain.rules.epoch(world.chain.tip.height.next()).0 < 2 {
        world.step(&[], 500);
    }
    // Four tasks of 10^8: 400 times the floor for a million.
    let floor = Amount(400 * world.chain.genesis.params.compute.classes[0].min_ask.0);
    let mut cheap = spec();
    cheap.price_cap = floor;
    let policy = estimated(&world.chain, &cheap).policy.unwrap();
    assert_eq!(
        policy.verifier_fee, floor,
        "a verifier of all tasks is paid the floor, where partners ask nothing"
    );
    world.submit(&cheap);
    cheap.price_cap = Amount(floor.0 - 1);
    let refusal = estimated(&world.chain, &cheap).refusal;
    assert_eq!(
        refusal,
        Some(JobError::PriceBelowFloor {
            cap: cheap.price_cap,
            floor
        })
    );
    assert_eq!(world.try_submit(&cheap), Err("price_below_floor".into()));
}

#[test]
fn a_verifiers_fee_follows_its_work_and_not_the_price_cap() {
    let world = World::new();
    let fee = |cap: Amount| {
        let mut spec = demanding(2);
        spec.price_cap = cap;
        let policy = estimated(&world.chain, &spec).policy.unwrap();
        assert_eq!(policy.tasks_per_verifier, 4);
        policy.verifier_fee
    };
    // All partners ask half a SQUARE for the fuel of the four tasks.
    for cap in [square(1).0 / 2, square(1).0, square(40).0] {
        assert_eq!(fee(Amount(cap)), Amount(square(1).0 / 2));
    }
}

#[test]
fn a_confidence_is_kept_or_refused() {
    let world = World::new();
    let mut asked = spec();
    asked.verification.confidence_ppm = 990_000;
    let policy = estimated(&world.chain, &asked).policy.unwrap();
    assert!(policy.detection.0 >= (1 << 64) / 100 * 99, "{policy:?}");
    let unasked = estimated(&world.chain, &spec()).policy.unwrap();
    assert!(unasked.detection < policy.detection);
    assert_eq!(
        code(|s| s.verification.confidence_ppm = 999_999),
        "confidence_too_high"
    );
}

#[test]
fn too_few_tasks_per_verifier_are_refused_with_the_least() {
    let few = |s: &mut JobSpec| {
        s.workload.tasks = TaskSet::all(1_000);
        s.workload.limits.fuel = Fuel(1_000);
        s.verification.tasks_per_verifier = Some(1);
    };
    assert_eq!(code(few), "too_few_tasks_per_verifier");
}

#[test]
fn a_balance_below_the_escrow_is_refused() {
    let dear = |s: &mut JobSpec| {
        s.price_cap = square(9_000);
        s.verification.value_at_risk = Amount(1);
        s.verification.task_value_at_risk = Amount(1);
    };
    let mut spec = spec();
    dear(&mut spec);
    // A cap this high calls for more bond than there is; the price is below it anyway.
    assert_eq!(code(dear), "bond_too_small");
    let mut world = World::new();
    let keep = square(2);
    let away = world
        .chain
        .account(CUSTOMER)
        .balance
        .checked_sub(keep)
        .unwrap();
    assert_eq!(
        world.act(
            CUSTOMER,
            Action::Transfer {
                to: address(6),
                amount: Amount(away.0 - square(1).0)
            }
        ),
        None
    );
    assert_eq!(
        world.try_submit(&demanding(2)),
        Err("insufficient_balance".into())
    );
}

#[test]
fn the_estimate_is_what_submitting_gives() {
    for spec in [spec(), demanding(3), certain()] {
        let mut world = World::new();
        let seen = estimated(&world.chain, &spec);
        let job = world.submit(&spec);
        let record = world.record(&job);
        assert_eq!(seen.refusal, None);
        let mut escrow = record.escrow;
        escrow.storage = escrow.storage.checked_add(record.burned).unwrap();
        assert_eq!(
            (seen.policy, seen.escrow),
            (Some(record.policy), Some(escrow))
        );
        assert_eq!(seen.eligible.len(), usize::from(PARTNERS));
        let fee = world.chain.charged(CUSTOMER);
        let left = square(10_000).0 - seen.total.unwrap().0 - fee.0;
        assert_eq!(world.chain.account(CUSTOMER).balance.0, left);
    }
}

#[test]
fn the_policy_follows_the_value_at_risk() {
    let world = World::new();
    let policy = |spec: &JobSpec| estimated(&world.chain, spec).policy.unwrap();
    let (low, high) = (policy(&spec()), policy(&certain()));
    assert!(low.expected_checks < high.expected_checks && low.detection < high.detection);
    assert!(low.bond < high.bond && high.bond == square(125));
    assert_eq!(
        policy(&demanding(2)).verifier_bond.0,
        low.bond.0.div_ceil(2)
    );
    assert_eq!(low.verifier_bond, low.bond);
}
