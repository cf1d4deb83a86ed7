//! Prices, windows and escrow of small jobs, by hand.

use std::collections::BTreeMap;

use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V2, JobSpec, Name, TaskLimits, Workload};
use types::number::{Fixed64, Fuel};

use super::*;

fn spec(tasks: u32, fuel: u64) -> JobSpec {
    let blob = BlobId {
        hash: Hash32::ZERO,
        length: 3 << 19,
    };
    let workload = Workload {
        module: blob,
        stdin: Some(blob),
        limits: TaskLimits {
            fuel: Fuel(fuel),
            memory_bytes: 1,
            output_bytes: 1,
        },
        ..types::testing::workload(b"", tasks)
    };
    JobSpec {
        price_cap: Amount(1_000),
        ..types::testing::job_spec(workload)
    }
}

fn terms(tasks: u32, fuel: u64) -> JobTerms {
    JobTerms::of(&spec(tasks, fuel))
}

fn policy(expected_verifiers: u128, min_verifiers: u16) -> Policy {
    Policy {
        expected_verifiers: Fixed64(expected_verifiers),
        tasks_per_verifier: 1,
        expected_checks: Fixed64(0),
        detection: Fixed64(0),
        bond: Amount::ZERO,
        verifier_bond: Amount::ZERO,
        min_verifiers,
        verifier_fee: Amount(7),
        expected_announcements: Fixed64(1 << 64),
    }
}

#[test]
fn an_ask_is_for_a_million_units_of_fuel_and_rounds_up() {
    assert_eq!(price(Amount(3), &terms(2, 5_000_000)), Amount(30));
    assert_eq!(price(Amount(3), &terms(1, 1)), Amount(1));
    assert_eq!(price(Amount::ZERO, &terms(1, 1)), Amount::ZERO);
    assert_eq!(
        price(Amount(u128::MAX), &terms(u32::MAX, u64::MAX)),
        Amount(u128::MAX)
    );
}

#[test]
fn a_verifier_is_paid_for_the_fuel_of_its_tasks_at_the_level_of_asks() {
    let mut params = Params::devnet().compute;
    assert_eq!(
        verifier_fee(&params, &terms(4, 1_000_000), 4, Amount(250)),
        Amount(1_000)
    );
    assert_eq!(verifier_fee(&params, &terms(3, 1), 1, Amount(1)), Amount(1));
    params.verifier_fee_percent = 150;
    assert_eq!(
        verifier_fee(&params, &terms(4, 1_000_000), 2, Amount(250)),
        Amount(750)
    );
    params.verifier_fee_percent = u8::MAX;
    assert_eq!(
        verifier_fee(&params, &terms(4, u64::MAX), u32::MAX, Amount(u128::MAX)),
        Amount(u128::MAX)
    );
}

#[test]
fn the_level_of_asks_is_that_of_half_of_the_bond_and_at_least_the_floor() {
    let mut params = Params::devnet().compute;
    params.classes[0].min_ask = Amount(3);
    let partner = |ask, bond| {
        let vrf_key = types::key::VrfSecretKey::from_bytes(&[1; 32])
            .unwrap()
            .public();
        let profile = types::job::PartnerProfile {
            name: Name::default(),
            classes: [CLASS_WASM_V2].into(),
            vrf_key,
            ask: Amount(ask),
            places: 1,
            attributes: BTreeMap::new(),
        };
        EpochPartner {
            address: types::hash::Address::default(),
            bond: Amount(bond),
            profile,
        }
    };
    let level = |all: &[(u128, u128)]| {
        let partners: Vec<_> = all.iter().map(|(ask, bond)| partner(*ask, *bond)).collect();
        ask_level(&params, CLASS_WASM_V2, &partners.iter().collect::<Vec<_>>())
            .unwrap()
            .0
    };
    assert_eq!(level(&[(7, 10), (5, 10), (100, 10)]), 7);
    assert_eq!(
        level(&[(7, 10), (5, 30), (100, 10)]),
        5,
        "the bond counts, not the number"
    );
    assert_eq!(level(&[(u128::MAX, 49), (5, 51)]), 5);
    assert_eq!((level(&[(0, 10)]), level(&[])), (3, 3));
}

#[test]
fn the_least_price_is_the_floor_for_all_fuel() {
    let mut params = Params::devnet().compute;
    params.classes[0].min_ask = Amount(3);
    assert_eq!(min_price(&params, &terms(4, 5_000_000)), Ok(Amount(60)));
    assert_eq!(min_price(&params, &terms(1, 1)), Ok(Amount(1)));
}

#[test]
fn a_task_needs_the_fuel_of_its_module_and_inputs() {
    let spec = spec(1, 1);
    let bytes = u128::from(spec.workload.module.length);
    assert_eq!(min_fuel(&spec.workload), 64 * bytes + bytes);
}

#[test]
fn verifiers_are_bounded_for_the_tail_of_the_draw_and_for_replacements() {
    assert_eq!(max_verifiers(&policy(0, 0)), 6);
    assert_eq!(max_verifiers(&policy(ONE, 0)), 9);
    assert_eq!(max_verifiers(&policy(ONE + 1, 2)), 12);
    assert_eq!(max_verifiers(&policy(8 * ONE, 12)), MAX_VERIFIERS);
    assert_eq!(max_verifiers(&policy(u128::MAX, u16::MAX)), MAX_VERIFIERS);
}

#[test]
fn storage_counts_each_blob_once_and_begun_mebibytes_whole() {
    let params = Params::devnet().compute;
    let unit = params.storage_fee_per_mib;
    // Module and stdin are the same blob of 1.5 MiB; two tasks write a byte each.
    assert_eq!(
        opening_fee(&params, &terms(2, 1), 0),
        Some(Amount(2 * unit.0))
    );
    let results = max_stored_bytes(&terms(2, 1));
    assert_eq!(results, 2 * (1 + 1_512));
    assert_eq!(results_fee(&params, results), Some(unit));
    assert_eq!(
        results_fee(&params, (1 << 20) + 1),
        Some(Amount(2 * unit.0))
    );
    for (live, times) in [(511, 1), (512, 2), (4_095, 8)] {
        assert_eq!(
            opening_fee(&params, &terms(2, 1), live),
            Some(Amount(2 * times * unit.0)),
            "{live} live"
        );
    }
}

#[test]
fn the_window_grows_with_the_fuel_and_rounds_up() {
    let mut params = Params::devnet().compute;
    let speed = params.classes[0].min_fuel_per_ms;
    // Module and stdin are the same 1.5 MiB, which take 1,573 ms at 1,000 bytes per millisecond.
    assert_eq!(
        execute_window_ms(&params, &terms(9, speed), 2),
        params.execute_window_ms + 6 + 1_573
    );
    assert_eq!(
        execute_window_ms(&params, &terms(9, 1), 1),
        params.execute_window_ms + 1 + 1_573
    );
    let mut writes = terms(9, 1);
    writes.output_bytes = 1_000;
    assert_eq!(
        store_window_ms(&params, &writes),
        params.store_window_ms + 9
    );
    (
        params.classes[0].min_fuel_per_ms,
        params.classes[0].lowest_bytes_per_ms,
    ) = (0, 0);
    assert_eq!(
        store_window_ms(&params, &writes),
        params.store_window_ms + 9_000
    );
    assert_eq!(
        execute_window_ms(&params, &terms(9, u64::MAX), u32::MAX),
        u64::MAX
    );
}

#[test]
fn an_escrow_covers_every_verifier_and_every_attempt() {
    let params = Params::devnet();
    let (terms, policy) = (terms(2, 1), policy(ONE, 1));
    let escrow = escrow(&params, &terms, &policy, 0, 4).unwrap();
    assert_eq!(escrow.execution, terms.price_cap);
    assert_eq!(escrow.verification, Amount(9 * 7));
    assert_eq!(escrow.fees, Amount(3 * (9 + 4) * params.min_fee.0));
    assert_eq!(
        total(&escrow).unwrap().0,
        1_000 + 63 + 4 * 7 + 3 * params.compute.storage_fee_per_mib.0 + escrow.fees.0
    );
    let mut much = terms;
    much.price_cap = Amount(u128::MAX);
    assert_eq!(
        super::escrow(&params, &much, &policy, 0, 4),
        Err(JobError::Overflow)
    );
}
