//! Prices, windows and escrow of small jobs, by hand.

use std::collections::BTreeMap;

use types::codec::Bounded;
use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V1, Constraints, Name, TaskLimits, Verification, Workload};
use types::number::{Fixed64, Weight};

use super::*;

fn spec(tasks: u32, weight: u64) -> JobSpec {
    let verification = Verification {
        minimum_verifiers: 0,
        tasks_per_verifier: None,
        value_at_risk: Amount::ZERO,
        task_value_at_risk: Amount::ZERO,
        confidence_ppm: 0,
    };
    let workload = Workload {
        class: CLASS_WASM_V1,
        module: BlobId { hash: Hash32::ZERO, length: 3 << 19 },
        arguments: Bounded::default(),
        environment: BTreeMap::new(),
        stdin: Some(BlobId { hash: Hash32::ZERO, length: 3 << 19 }),
        inputs: Bounded::default(),
        outputs: Bounded::default(),
        tasks,
        limits: TaskLimits { weight: Weight(weight), memory_bytes: 1, output_bytes: 1 },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    };
    JobSpec {
        name: Name::default(),
        workload,
        constraints: Constraints::default(),
        verification,
        price_cap: Amount(1_000),
    }
}

fn policy(expected_verifiers: u128, minimum_verifiers: u16) -> Policy {
    Policy {
        expected_verifiers: Fixed64(expected_verifiers),
        tasks_per_verifier: 1,
        expected_checks: Fixed64(0),
        detection: Fixed64(0),
        bond: Amount::ZERO,
        verifier_bond: Amount::ZERO,
        minimum_verifiers,
        verifier_fee: Amount(7),
    }
}

#[test]
fn an_ask_is_for_a_million_units_of_weight_and_rounds_up() {
    assert_eq!(price(Amount(3), &spec(2, 5_000_000)), Amount(30));
    assert_eq!(price(Amount(3), &spec(1, 1)), Amount(1));
    assert_eq!(price(Amount::ZERO, &spec(1, 1)), Amount::ZERO);
    assert_eq!(price(Amount(u128::MAX), &spec(u32::MAX, u64::MAX)), Amount(u128::MAX));
}

#[test]
fn a_verifier_is_paid_its_share_of_the_price_cap() {
    let mut params = Params::devnet().compute;
    assert_eq!(verifier_fee(&params, &spec(4, 1), 4), Amount(1_000));
    assert_eq!(verifier_fee(&params, &spec(3, 1), 1), Amount(334));
    params.verifier_fee_percent = 150;
    assert_eq!(verifier_fee(&params, &spec(4, 1), 2), Amount(750));
}

#[test]
fn seats_are_for_the_tail_of_the_draw_and_for_replacements() {
    assert_eq!(seats(&policy(0, 0)), 6);
    assert_eq!(seats(&policy(ONE, 0)), 9);
    assert_eq!(seats(&policy(ONE + 1, 2)), 12);
    assert_eq!(seats(&policy(8 * ONE, 12)), MAX_VERIFIERS);
    assert_eq!(seats(&policy(u128::MAX, u16::MAX)), MAX_VERIFIERS);
}

#[test]
fn storage_counts_each_blob_once_and_begun_mebibytes_whole() {
    let params = Params::devnet().compute;
    let unit = params.storage_fee_per_mib;
    // Module and stdin are the same blob of 1.5 MiB; two tasks write a byte each.
    assert_eq!(storage_fees(&params, &spec(2, 1)), Some((Amount(2 * unit.0), unit)));
}

#[test]
fn the_window_grows_with_the_weight_and_rounds_up() {
    let mut params = Params::devnet().compute;
    let speed = params.classes[0].lowest_weight_per_ms;
    assert_eq!(execute_window_ms(&params, &spec(9, speed), 2), params.execute_window_ms + 6);
    assert_eq!(execute_window_ms(&params, &spec(9, 1), 1), params.execute_window_ms + 1);
    params.classes[0].lowest_weight_per_ms = 0;
    assert_eq!(execute_window_ms(&params, &spec(9, u64::MAX), u32::MAX), u64::MAX);
}

#[test]
fn an_escrow_covers_every_seat_and_every_attempt() {
    let params = Params::devnet();
    let (spec, policy) = (spec(2, 1), policy(ONE, 1));
    let escrow = escrow(&params, &spec, &policy).unwrap();
    assert_eq!(escrow.execution, spec.price_cap);
    assert_eq!(escrow.verification, Amount(9 * 7));
    assert_eq!(escrow.fees, Amount(3 * (9 + 4) * params.minimum_fee.0));
    assert_eq!(total(&escrow).unwrap().0, 1_000 + 63 + 3 * params.compute.storage_fee_per_mib.0 + escrow.fees.0);
    let mut much = spec;
    much.price_cap = Amount(u128::MAX);
    assert_eq!(super::escrow(&params, &much, &policy), Err(JobError::Overflow));
}
