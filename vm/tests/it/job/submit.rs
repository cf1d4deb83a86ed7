//! What a customer is refused for, each with its own reason, and what an estimate says before.

use types::codec::{Bounded, Text};
use types::hash::BlobId;
use types::job::{Input, JobSpec, Output};
use types::limits::{
    MAX_BLOB_BYTES, MAX_MIN_VERIFIERS, MAX_MODULE_BYTES, MAX_TASK_FUEL, MAX_TASK_MEMORY_BYTES,
    MAX_TASK_OUTPUT_BYTES,
};
use types::number::{Amount, EngineClass, Fuel};
use types::transaction::Action;
use vm::compute::spec::check_spec;
use vm::compute::{JobError, JobEstimate, estimate};

use crate::fixture::{Chain, address, square};
use crate::job::world::{CUSTOMER, PARTNERS, World, certain, demanding, parties, spec};

fn code(change: impl FnOnce(&mut JobSpec)) -> String {
    let mut world = World::new();
    let mut spec = spec();
    change(&mut spec);
    let before = world.chain.account(CUSTOMER).balance;
    let code = world
        .try_submit(&spec)
        .expect_err("this spec must be refused");
    let fee = world.chain.genesis.params.min_fee;
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

fn inputs(spec: &mut JobSpec, targets: &[&str]) {
    let input = |target: &&str| Input {
        blob: BlobId::of(b"input"),
        target: Text::new(*target).unwrap(),
    };
    spec.workload.inputs = Bounded::new(targets.iter().map(input).collect()).unwrap();
}

fn outputs(spec: &mut JobSpec, files: &[(&str, &str)]) {
    let output = |(name, path): &(&str, &str)| Output {
        name: Text::new(*name).unwrap(),
        path: Text::new(*path).unwrap(),
    };
    spec.workload.outputs = Bounded::new(files.iter().map(output).collect()).unwrap();
}

/// What the devnet's slowest partner does in a third of a week, less the window that there is anyway, and a millisecond
/// for the inputs.
const A_WEEKS_FUEL: u64 = (7 * 24 * 3_600 * 1_000 - 15_000 - 1) / 3 * 50_000;

#[test]
fn limits_are_inclusive_and_what_is_beyond_is_refused() {
    type Change = fn(&mut JobSpec);
    let beyond: [Change; 18] = [
        |s| {
            let attribute = |n: u8| (Text::new(format!("a{n}")).unwrap(), Text::default());
            s.constraints.attributes = (0..33).map(attribute).collect();
        },
        |s| s.workload.tasks = 0,
        |s| s.workload.tasks = 1_025,
        |s| s.workload.limits.fuel = Fuel(0),
        // 64 for each byte of the module, one for each byte of the input.
        |s| s.workload.limits.fuel = Fuel(64 * 6 + 5 - 1),
        |s| {
            s.workload.tasks = 17;
            s.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES;
            s.workload.limits.fuel = Fuel(1_000);
        },
        |s| s.workload.limits.fuel = Fuel(A_WEEKS_FUEL / 4 + 50_000),
        |s| {
            // A week to execute, and the inputs.
            s.workload.limits.fuel = Fuel(A_WEEKS_FUEL / 4);
            s.workload.stdin = Some(BlobId {
                length: 5_000,
                ..BlobId::of(b"x")
            });
        },
        |s| s.workload.limits.fuel = Fuel(MAX_TASK_FUEL + 1),
        |s| s.workload.limits.memory_bytes = 0,
        |s| s.workload.limits.memory_bytes = MAX_TASK_MEMORY_BYTES + 1,
        |s| s.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES + 1,
        |s| s.workload.module.length = 0,
        |s| s.workload.module.length = MAX_MODULE_BYTES + 1,
        |s| {
            s.workload.stdin = Some(BlobId {
                length: MAX_BLOB_BYTES + 1,
                ..BlobId::of(b"x")
            })
        },
        |s| s.verification.min_verifiers = MAX_MIN_VERIFIERS + 1,
        |s| s.verification.tasks_per_verifier = Some(0),
        |s| {
            let blob = |n: u8| BlobId {
                length: MAX_BLOB_BYTES,
                ..BlobId::of(&[n])
            };
            let input = |n: u8| Input {
                blob: blob(n),
                target: Text::new(format!("/in/{n}")).unwrap(),
            };
            s.workload.inputs = Bounded::new((0..4).map(input).collect()).unwrap();
        },
    ];
    for change in beyond {
        assert_eq!(code(change), "out_of_limits");
    }
    let within: [Change; 7] = [
        |s| s.workload.limits.memory_bytes = MAX_TASK_MEMORY_BYTES,
        |s| s.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES,
        |s| {
            s.workload.module.length = MAX_MODULE_BYTES;
            s.workload.limits.fuel = Fuel(64 * MAX_MODULE_BYTES + 5);
            s.price_cap = square(50);
        },
        |s| {
            s.workload.stdin = Some(BlobId {
                length: MAX_BLOB_BYTES,
                ..BlobId::of(b"x")
            });
            s.workload.limits.fuel = Fuel(64 * 6 + 5 + MAX_BLOB_BYTES);
            s.price_cap = square(50);
        },
        |s| s.workload.limits.fuel = Fuel(64 * 6 + 5),
        |s| {
            s.workload.tasks = 16;
            s.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES;
            s.workload.limits.fuel = Fuel(1_000);
        },
        |s| {
            s.workload.tasks = 1_024;
            s.workload.limits.fuel = Fuel(1_000);
        },
    ];
    for change in within {
        let mut spec = spec();
        change(&mut spec);
        World::new().submit(&spec);
    }
    let mut longest = spec();
    longest.workload.limits.fuel = Fuel(A_WEEKS_FUEL / 4);
    assert_eq!(
        check_spec(&World::new().chain.genesis.params.compute, &longest),
        Ok(())
    );
}

#[test]
fn an_unknown_class_is_refused() {
    assert_eq!(
        code(|spec| spec.workload.class = EngineClass(9)),
        "unknown_class"
    );
}

#[test]
fn inputs_and_outputs_are_sorted_plain_and_apart() {
    assert_eq!(code(|s| inputs(s, &["/in/b", "/in/a"])), "not_sorted");
    assert_eq!(code(|s| inputs(s, &["/in/a", "/in/a"])), "not_sorted");
    for bad in [
        "/in",
        "/in/",
        "/in/a/",
        "/in//a",
        "/in/../out/a",
        "/in/./a",
        "in/a",
        "/out/a",
        "",
    ] {
        assert_eq!(code(|s| inputs(s, &[bad])), "bad_path", "{bad}");
    }
    assert_eq!(code(|s| inputs(s, &["/in/a", "/in/a/b"])), "path_taken");
    assert_eq!(
        code(|s| outputs(s, &[("b", "/out/b"), ("a", "/out/a")])),
        "not_sorted"
    );
    assert_eq!(
        code(|s| outputs(s, &[("a", "/out/x"), ("b", "/out/x")])),
        "path_taken"
    );
    assert_eq!(
        code(|s| outputs(s, &[("a", "/out/x/y"), ("b", "/out/x")])),
        "path_taken"
    );
    assert_eq!(code(|s| outputs(s, &[("a", "/in/x")])), "bad_path");
    for bad in ["", ".", "..", "stdout", "stderr", "a/b", "a\\b"] {
        assert_eq!(
            code(|s| outputs(s, &[(bad, "/out/x")])),
            "bad_output_name",
            "{bad}"
        );
    }
    let mut good = spec();
    inputs(&mut good, &["/in/a", "/in/a.b", "/in/b/c"]);
    outputs(&mut good, &[("a", "/out/x/y"), ("b", "/out/x.y")]);
    World::new().submit(&good);
}

#[test]
fn environment_keys_are_plain_and_not_the_networks() {
    for bad in ["", "A=B", "GRIDPROOF_TASK_INDEX", "GRIDPROOF_TASK_OTHER"] {
        let code = code(|s| {
            s.workload
                .environment
                .insert(Text::new(bad).unwrap(), Text::new("1").unwrap());
        });
        assert_eq!(code, "bad_environment_key", "{bad}");
    }
    let many = |count: u32| {
        let mut spec = spec();
        for n in 0..count {
            spec.workload
                .environment
                .insert(Text::new(format!("K{n}")).unwrap(), Text::default());
        }
        World::new().try_submit(&spec).err()
    };
    assert_eq!(many(256), None);
    assert_eq!(many(257).as_deref(), Some("out_of_limits"));
}

#[test]
fn the_loss_from_one_task_is_within_the_loss_from_all() {
    assert_eq!(
        code(|s| s.verification.task_value_at_risk = square(2)),
        "bad_task_value"
    );
    assert_eq!(
        code(|s| s.verification.task_value_at_risk = Amount::ZERO),
        "bad_task_value"
    );
    let mut nothing = spec();
    nothing.verification.value_at_risk = Amount::ZERO;
    nothing.verification.task_value_at_risk = Amount::ZERO;
    World::new().submit(&nothing);
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
fn a_bond_that_too_few_others_can_match_is_refused() {
    // One partner could lock a bond for it, and nobody else could stand behind a claim against it.
    let mut world = World::new();
    assert_eq!(
        world.act(
            0,
            Action::Bond {
                amount: square(9_000)
            }
        ),
        None
    );
    while world.chain.rules.epoch(world.chain.tip.height.next()).0 < 2 {
        world.step(&[], 500);
    }
    let mut large = spec();
    large.verification.value_at_risk = square(900);
    large.verification.task_value_at_risk = square(900);
    assert_eq!(world.try_submit(&large), Err("too_few_can_verify".into()));
    let Some(JobError::TooFewCanVerify { bond }) = estimated(&world.chain, &large).refusal else {
        panic!()
    };
    assert!(bond > square(250), "half of the bond of each of the others");
    // Where each of several verifiers locks a part, the others can.
    large.verification.min_verifiers = 4;
    let policy = estimated(&world.chain, &large).policy.unwrap();
    assert!(policy.verifier_bond <= square(250) && policy.bond > square(250));
}

#[test]
fn a_value_beyond_every_bond_is_refused_with_the_bond_that_would_do() {
    let beyond = |s: &mut JobSpec| {
        s.verification.value_at_risk = square(1_000);
        s.verification.task_value_at_risk = square(1_000);
    };
    assert_eq!(code(beyond), "bond_too_small");
    let mut spec = spec();
    beyond(&mut spec);
    let world = World::new();
    let Some(JobError::BondTooSmall { needed, best }) = estimated(&world.chain, &spec).refusal
    else {
        panic!()
    };
    assert_eq!(best, square(125), "half of the bond over two places");
    // With the bond that would do, it does: for who runs it and for who checks it.
    let mut richer = World::new();
    let bond = Amount(needed.0 * 4 - square(500).0);
    for n in 0..PARTNERS {
        assert!(richer.act(n, Action::Bond { amount: bond }).is_none());
    }
    while richer.chain.rules.epoch(richer.chain.tip.height.next()).0 < 2 {
        richer.step(&[], 500);
    }
    let seen = estimated(&richer.chain, &spec);
    assert_eq!(
        (seen.refusal.clone(), seen.eligible.len()),
        (None, usize::from(PARTNERS))
    );
    assert_eq!(seen.policy.unwrap().bond, needed);
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
fn one_rich_partner_does_not_set_the_bond_that_others_cannot_lock() {
    let mut world = World::new();
    assert_eq!(
        world.act(
            0,
            Action::Bond {
                amount: square(9_000)
            }
        ),
        None
    );
    while world.chain.rules.epoch(world.chain.tip.height.next()).0 < 2 {
        world.step(&[], 500);
    }
    let seen = estimated(&world.chain, &certain());
    assert_eq!(seen.policy.unwrap().bond, square(125));
    assert_eq!(seen.eligible.len(), usize::from(PARTNERS));
}

#[test]
fn more_verifiers_than_partners_are_refused() {
    // Who is alone cannot be checked, whoever demands it.
    for (probation, alone) in [(10, "not_enough_verifiers"), (0, "too_few_can_verify")] {
        let mut world = World::with(|params| params.compute.probation_multiple = probation);
        for n in 1..PARTNERS {
            assert_eq!(
                world.act(
                    n,
                    Action::Unbond {
                        amount: square(500)
                    }
                ),
                None
            );
        }
        while world.chain.rules.epoch(world.chain.tip.height.next()).0 < 2 {
            world.step(&[], 500);
        }
        assert_eq!(world.try_submit(&spec()), Err(alone.to_owned()));
    }
    assert_eq!(
        code(|s| s.verification.min_verifiers = 6),
        "not_enough_verifiers"
    );
    World::new().submit(&demanding(5));
}

#[test]
fn too_few_tasks_per_verifier_are_refused_with_the_least() {
    let few = |s: &mut JobSpec| {
        s.workload.tasks = 1_000;
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
fn amounts_that_overflow_are_refused() {
    let huge = |s: &mut JobSpec| {
        s.price_cap = Amount(u128::MAX);
        s.verification.value_at_risk = Amount::ZERO;
        s.verification.task_value_at_risk = Amount::ZERO;
    };
    assert_eq!(code(huge), "bond_too_small");
    let boundless = |s: &mut JobSpec| {
        huge(s);
        s.verification.value_at_risk = Amount(u128::MAX);
        s.verification.task_value_at_risk = Amount(u128::MAX);
        // So few of the tasks for each verifier that a wrong one is hardly ever found.
        s.verification.tasks_per_verifier = Some(2);
        s.workload.tasks = 64;
        s.workload.limits.fuel = Fuel(1_000);
    };
    assert_eq!(code(boundless), "bond_boundless");
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
        let fee = world.chain.genesis.params.min_fee;
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
