//! The formulas against a big-number script (`scripts/vectors/policy.py`), and their properties.

use types::number::{Amount, SQUARE};

use super::*;

const VECTORS: &str = include_str!("../../../tests/vectors/policy.txt");

/// The vectors of one kind: their numbers, and the last word as text.
fn vectors(kind: &str) -> Vec<(Vec<u128>, String)> {
    let found: Vec<_> = VECTORS
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|words| words[0] == kind)
        .map(|words| {
            let numbers = words[1..]
                .iter()
                .filter_map(|word| word.parse().ok())
                .collect();
            (numbers, (*words.last().unwrap()).to_owned())
        })
        .collect();
    assert!(!found.is_empty(), "no vectors of kind {kind}");
    found
}

fn small(number: u128) -> u32 {
    u32::try_from(number).unwrap()
}

#[test]
fn exponentials_and_misses_are_at_most_a_few_units_above_the_exact_ones() {
    for (v, _) in vectors("exp") {
        let found = exp_neg_up(v[0]);
        assert!(
            found >= v[1] && found - v[1] <= 2,
            "exp(-{}): {found} against {}",
            v[0],
            v[1]
        );
    }
    for (v, _) in vectors("miss") {
        let found = miss_up(small(v[0]), small(v[1]), small(v[2]));
        let terms = v[1].min(v[2]);
        assert!(
            found >= v[3] && found - v[3] <= terms,
            "miss {v:?}: {found}"
        );
    }
}

#[test]
fn detections_are_at_most_a_few_units_below_the_exact_ones() {
    for (v, _) in vectors("one") {
        let found = detection_of_one(v[0], HONEST_SHARE);
        assert!(
            found <= v[1] && v[1] - found <= 4,
            "x {}: {found} against {}",
            v[0],
            v[1]
        );
    }
    for (v, _) in vectors("many") {
        let found = detection_of_many(v[0], HONEST_SHARE, small(v[1]), small(v[2]), small(v[3]));
        // The miss is a product of up to k terms, each up to a unit too large; mu multiplies that.
        let slack = 4 + (v[0] / ONE) * (v[2].min(v[3]) + 2);
        assert!(found <= v[4] && v[4] - found <= slack, "{v:?}: {found}");
    }
}

#[test]
fn bonds_are_those_of_the_exact_rule_or_a_little_more() {
    for (v, _) in vectors("bond") {
        let found = bond_needed(v[0], v[1], v[2]).unwrap();
        assert!(found >= v[3] && found - v[3] <= 1, "{v:?}: {found}");
        assert!(bond_suffices(v[0], found, v[1], v[2]));
        assert!(
            found == 0 || !bond_suffices(v[0], found - 1, v[1], v[2]),
            "one unit less would do: {v:?}"
        );
    }
    assert_eq!(bond_needed(0, 1, 1), None);
    assert_eq!(bond_needed(0, 0, 0), Some(0));
    assert_eq!(bond_needed(1, u128::MAX, u128::MAX), None);
}

#[test]
fn the_figures_of_the_design_hold() {
    // With R = 0: x = 0.25, 1, 2, 3 need S = 11.9, 2.6, 1.2, 0.74 times V.
    let ratios = [(4, 119), (1, 26), (2, 12), (3, 7)];
    let value = 1_000 * SQUARE.0;
    for ((v, _), (_, tenths)) in vectors("design").iter().zip(ratios) {
        let bond = bond_needed(
            detection_of_one(v[0] * (ONE / STEPS), HONEST_SHARE),
            0,
            value,
        )
        .unwrap();
        assert!(
            bond >= v[1] && bond - v[1] <= value >> 50,
            "{bond} against {}",
            v[1]
        );
        // To the precision of the figures, which are rounded to two digits.
        assert!(
            bond.abs_diff(tenths * value / 10) <= value / 20,
            "{bond} is not {tenths} tenths of {value}"
        );
    }
}

#[test]
fn the_smallest_checks_are_those_of_the_script() {
    for (v, last) in vectors("least") {
        let stakes = Stakes {
            price: v[1],
            value: v[2],
            task_value: v[3],
            tasks: small(v[4]),
            confidence_ppm: 0,
        };
        let stakes = rule(stakes);
        let found = stakes.min_checks(small(v[5]), v[0]);
        match last.as_str() {
            "none" => assert_eq!(found, None, "{v:?}"),
            steps => {
                let checks = found.unwrap();
                assert_eq!(
                    (checks.expected_checks / (ONE / STEPS)).to_string(),
                    steps,
                    "{v:?}"
                );
                assert!(stakes.allow(&checks));
                let exact = ratio_down(checks.expected_checks, v[4], v[5]);
                assert!(checks.expected_verifiers - exact <= 1);
            }
        }
    }
}

fn stakes(price: u128, value: u128, task_value: u128, tasks: u32) -> Stakes {
    Stakes {
        price: price * SQUARE.0,
        value: value * SQUARE.0,
        task_value: task_value * SQUARE.0,
        tasks,
        confidence_ppm: 0,
    }
}

/// The rule where everybody can check and nobody holds much.
fn rule(stakes: Stakes) -> Rule {
    let most = u128::from(MAX_EXPECTED_VERIFIERS) * ONE;
    Rule {
        stakes,
        checkers: Checkers::new(HONEST_SHARE, most, stakes.confidence_ppm).unwrap(),
    }
}

/// What is chosen among many equal partners that can lock whatever it takes.
fn choose(stakes: &Stakes, offer: u128, floor: u128) -> Option<Checks> {
    let bonds = ClassBonds::new(std::iter::repeat_n(Amount(u128::MAX / 64), 32));
    stakes.choose(
        None,
        offer,
        &Checking {
            bonds: &bonds,
            turnout: ONE,
            min_verifiers: 0,
            floor,
            verifier_floor: 0,
        },
    )
}

#[test]
fn more_bond_never_means_more_checks() {
    for (price, value, task_value, tasks) in [
        (1, 10, 10, 1),
        (1, 100, 1, 100),
        (5, 7, 3, 1_024),
        (0, 50, 50, 9),
    ] {
        let stakes = rule(stakes(price, value, task_value, tasks));
        for k in stakes.candidates(None) {
            let mut last = u128::MAX;
            for bond in (0..2_000).step_by(37) {
                let Some(checks) = stakes.min_checks(k, bond * SQUARE.0) else {
                    continue;
                };
                assert!(checks.expected_checks <= last, "S = {bond}, k = {k}");
                last = checks.expected_checks;
            }
            let (enough, minimum) = (stakes.ample_bond(k).unwrap(), stakes.min_bond(k).unwrap());
            assert!(minimum <= enough);
            assert_eq!(
                stakes.min_checks(k, enough).unwrap().expected_checks,
                MIN_STEPS * (ONE / STEPS)
            );
            assert!(stakes.min_checks(k, minimum).is_some());
            assert_eq!(
                stakes.min_checks(k, minimum - 1),
                None,
                "less than the least bond would do"
            );
        }
    }
}

#[test]
fn a_value_of_a_tenth_of_the_bond_is_covered_by_a_quarter_of_a_run() {
    let checks = choose(&stakes(0, 10, 10, 1), 119 * SQUARE.0, 0).unwrap();
    assert!(checks.expected_checks <= ONE / 4 + ONE / 1_000);
    let with_price = choose(&stakes(1, 10, 10, 1), 131 * SQUARE.0, 0).unwrap();
    assert!(with_price.expected_checks <= ONE / 4 + ONE / 1_000);
}

#[test]
fn the_policy_prefers_few_checks_then_few_verifiers() {
    // One wrong task loses all: splitting the checks gains nothing, so each verifier runs all tasks.
    let whole = choose(&stakes(1, 10, 10, 64), 100 * SQUARE.0, 0).unwrap();
    assert_eq!(whole.tasks_per_verifier, 64);
    // One wrong task loses little: many verifiers of few tasks find a wholly wrong result sooner.
    let split = choose(&stakes(1, 640, 10, 64), 1_000 * SQUARE.0, 0).unwrap();
    assert!(split.tasks_per_verifier < 64);
    let unsplit = rule(stakes(1, 640, 10, 64))
        .min_checks(64, 1_000 * SQUARE.0)
        .unwrap();
    assert!(split.expected_checks < unsplit.expected_checks);
    assert!(split.expected_verifiers <= u128::from(MAX_EXPECTED_VERIFIERS) * ONE);
}

#[test]
fn no_more_than_the_ample_bond_is_asked_for_and_no_less_than_the_floor() {
    let stakes = stakes(1, 1, 1, 1);
    let ample = rule(stakes).ample_bond(1).unwrap();
    assert_eq!(choose(&stakes, u128::MAX / 128, 0).unwrap().bond, ample);
    assert_eq!(
        choose(&stakes, u128::MAX / 128, 2 * ample).unwrap().bond,
        2 * ample
    );
    assert_eq!(choose(&stakes, ample, 2 * ample).unwrap().bond, ample);
    let nothing = Stakes {
        price: 0,
        value: 0,
        task_value: 0,
        tasks: 3,
        confidence_ppm: 0,
    };
    assert_eq!(choose(&nothing, 0, 0).unwrap().bond, 0);
}

#[test]
fn a_confidence_raises_the_checks_to_the_least_that_reach_it() {
    let steps = |confidence| steps_for(confidence, HONEST_SHARE);
    let most = max_confidence_ppm(HONEST_SHARE);
    assert!(
        (995_000..996_000).contains(&most),
        "1 - exp(-16/3) is 0.99517, found {most}"
    );
    assert_eq!(steps(0), Some(MIN_STEPS));
    for confidence in [100_000, 500_000, 900_000, 990_000, most] {
        let min_steps = steps(confidence).unwrap();
        let wanted = u128::from(confidence) * ONE / 1_000_000;
        let detects = |steps| detection_of_one(steps * (ONE / STEPS), HONEST_SHARE);
        assert!(detects(min_steps) >= wanted);
        assert!(
            detects(min_steps - 1) <= wanted,
            "one step less is not enough"
        );
        let asked = Stakes {
            confidence_ppm: confidence,
            ..stakes(1, 1, 1, 16)
        };
        let checks = choose(&asked, 1_000_000 * SQUARE.0, 0).unwrap();
        assert_eq!(
            checks.expected_checks,
            min_steps * (ONE / STEPS),
            "with bond enough no more than that"
        );
        assert!(checks.expected_verifiers <= u128::from(MAX_EXPECTED_VERIFIERS) * ONE);
    }
    assert_eq!(steps(most + 1), None);
    assert_eq!(steps(u32::MAX), None);
    assert!(
        steps_for(500_000, HONEST_SHARE / 2) > steps(500_000),
        "with fewer that can check it takes more checks"
    );
    assert!(max_confidence_ppm(HONEST_SHARE / 2) < most);
}

#[test]
fn the_bond_is_one_whose_part_enough_others_can_lock() {
    let value = stakes(0, 100, 100, 1);
    let class = |rich: usize, poor: usize| {
        let amounts = std::iter::repeat_n(10_000, rich).chain(std::iter::repeat_n(200, poor));
        ClassBonds::new(amounts.map(|amount| Amount(amount * SQUARE.0)))
    };
    let chosen = |bonds: &ClassBonds, min_verifiers| {
        value.choose(
            None,
            1_000 * SQUARE.0,
            &Checking {
                bonds,
                turnout: ONE,
                min_verifiers,
                floor: 0,
                verifier_floor: 0,
            },
        )
    };
    // Among equals the bond at which the least checks will do is taken whole.
    let all = chosen(&class(10, 0), 0).unwrap();
    // One rich partner among poor ones: nobody could check it with such a bond, and with S = 50 too much is left.
    assert_eq!(chosen(&class(1, 10), 0), None);
    // Three rich ones of four beside a hundred poor ones: three fifths of the bond can.
    let mixed = chosen(&class(4, 100), 0);
    let least = |checks: &Checks, honest| {
        let checkers = Checkers::new(honest, 8 * ONE, 0).unwrap();
        Rule {
            stakes: value,
            checkers,
        }
        .min_checks(1, checks.bond)
        .unwrap()
        .expected_checks
    };
    let mixed = mixed.unwrap();
    let honest = Checking {
        bonds: &class(4, 100),
        turnout: ONE,
        min_verifiers: 0,
        floor: 0,
        verifier_floor: 0,
    }
    .honest(mixed.bond);
    assert!(honest > 0 && honest < HONEST_SHARE);
    assert_eq!(mixed.expected_checks, least(&mixed, honest));
    assert!(
        mixed.expected_checks > all.expected_checks,
        "where fewer can check it takes more checks"
    );
    // With many verifiers demanded each locks little, and everybody can.
    let split = chosen(&class(4, 100), 12).unwrap();
    assert!(split.expected_checks < mixed.expected_checks);
}

#[test]
fn where_verifiers_run_a_part_nobody_is_drawn_with_more_than_certainty() {
    // Four equal partners: beside the primary three, each of whom is certain at mu = 3.
    let bonds = ClassBonds::new(std::iter::repeat_n(Amount(1_000 * SQUARE.0), 4));
    let checking = Checking {
        bonds: &bonds,
        turnout: ONE,
        min_verifiers: 0,
        floor: 0,
        verifier_floor: 0,
    };
    let most = bonds.max_verifiers();
    for value in [10, 40, 120, 160, 200] {
        for k in 1..8 {
            let checks = stakes(1, value, value, 8).choose(Some(k), 250 * SQUARE.0, &checking);
            assert!(
                checks.is_none_or(|checks| checks.expected_verifiers <= most),
                "V = {value}, k = {k}"
            );
        }
    }
    let parts = stakes(1, 200, 200, 8).choose(Some(4), 250 * SQUARE.0, &checking);
    assert_eq!(parts, None, "this x would take mu above 3");
    let whole = stakes(1, 200, 200, 8)
        .choose(None, 250 * SQUARE.0, &checking)
        .unwrap();
    assert_eq!(whole.tasks_per_verifier, 8);
}

#[test]
fn what_a_customer_asks_per_verifier_is_kept_or_refused() {
    let many = rule(stakes(1, 10, 1, 1_000));
    assert_eq!(many.candidates(Some(500)), [500]);
    assert_eq!(many.candidates(Some(u32::MAX)), [1_000]);
    let least = many.min_tasks_per_verifier();
    assert_eq!(least, 13);
    assert_eq!(many.candidates(Some(least)), [least]);
    assert!(many.candidates(Some(least - 1)).is_empty());
    assert!(many.min_checks(least, u128::MAX / 8).is_some());
    assert!(many.min_checks(least - 1, u128::MAX / 8).is_none());
    assert!(many.candidates(None).iter().all(|k| *k >= least));
}

#[test]
fn extremes_give_an_answer_and_no_panic() {
    for amount in [0, 1, u128::MAX / 2, u128::MAX] {
        for tasks in [1, 2, 1_024] {
            let stakes = Stakes {
                price: amount,
                value: amount,
                task_value: amount.min(1),
                tasks,
                confidence_ppm: 0,
            };
            let _ = choose(&stakes, u128::MAX, 0);
            let _ = rule(stakes).bond_that_would_do(None);
        }
    }
    assert_eq!(stakes(1, u128::from(u32::MAX), 1, 7).tasks_at_stake(), 7);
    assert_eq!(stakes(1, 0, 0, 7).tasks_at_stake(), 7);
    assert_eq!(stakes(1, 5, 2, 7).tasks_at_stake(), 3);
}
