//! Parameters that change under live jobs and running unbondings: no block halts, every job ends, no money is lost.

use types::codec::encode;
use types::hash::JobId;
use types::job::{JobSpec, Stage};
use types::limits::MAX_TASK_OUTPUT_BYTES;
use types::number::{Amount, Epoch, SQUARE};
use types::params::Params;
use types::state_key::StateKey;
use types::transaction::Action;

use crate::fixture::square;
use crate::job::world::{Conduct, PARTNERS, RESULT_BYTES, World, demanding, parties};

/// Puts other parameters in force from the next block on, as a change that was decided would.
fn change(world: &mut World, change: impl FnOnce(&mut Params)) {
    let chain = &mut world.chain;
    let mut record = vm::chain_record(&chain.state).unwrap();
    let mut params = chain.rules.params.clone();
    change(&mut params);
    let since = Epoch(record.params_since.0 + 1);
    record.params_since = since;
    let changed = [
        (StateKey::Params(since), encode(&params)),
        (StateKey::Chain, encode(&record)),
    ];
    for (key, bytes) in changed {
        chain.state.insert(key, Some(bytes));
    }
    chain.rules = chain.rules.in_force(&chain.state).unwrap().into_owned();
    assert_eq!(chain.rules.params, params);
    chain.genesis.params = params;
}

type Change = fn(&mut Params);

/// Every parameter that a live job meets again, small and large, those of a kind together.
const CHANGES: [Change; 12] = [
    |p| {
        let compute = &mut p.compute;
        for window in [
            &mut compute.open_window_ms,
            &mut compute.acknowledge_window_ms,
            &mut compute.announce_window_ms,
            &mut compute.execute_window_ms,
            &mut compute.renewal_interval_ms,
            &mut compute.reveal_window_ms,
            &mut compute.store_window_ms,
        ] {
            *window = 1;
        }
    },
    |p| {
        let compute = &mut p.compute;
        for window in [
            &mut compute.open_window_ms,
            &mut compute.acknowledge_window_ms,
            &mut compute.execute_window_ms,
            &mut compute.renewal_interval_ms,
            &mut compute.reveal_window_ms,
            &mut compute.store_window_ms,
        ] {
            *window *= 1_000;
        }
        compute.announce_window_ms *= 10;
    },
    |p| {
        p.compute.audit_window_ms = 1;
        p.compute.appeal_window_ms = 1;
        p.compute.ended_jobs_kept_ms = 1;
    },
    |p| {
        p.compute.audit_window_ms *= 1_000;
        p.compute.appeal_window_ms *= 1_000;
        p.compute.ended_jobs_kept_ms *= 1_000;
    },
    |p| p.compute.storage_fee_per_mib = Amount(u128::MAX),
    |p| {
        p.min_fee = Amount(u128::MAX);
        p.compute.place_rent = Amount(u128::MAX);
        p.compute.blob_rent_per_gib = Amount(u128::MAX);
        p.compute.bond_rent_ppb = u32::MAX;
    },
    |p| {
        p.min_fee = Amount::ZERO;
        p.compute.storage_fee_per_mib = Amount::ZERO;
        p.compute.place_rent = Amount::ZERO;
        p.compute.blob_rent_per_gib = Amount::ZERO;
        p.compute.bond_rent_ppb = 0;
        p.compute.decline_penalty = Amount::ZERO;
    },
    |p| {
        p.compute.min_bond = square(1_000_000);
        p.compute.decline_penalty = square(1_000_000);
        p.compute.probation_multiple = u32::MAX;
    },
    |p| p.compute.classes.clear(),
    |p| {
        for class in &mut p.compute.classes {
            class.min_fuel_per_ms = u64::MAX;
            class.lowest_bytes_per_ms = u64::MAX;
            class.max_task_fuel = 1;
            class.min_ask = Amount(u128::MAX);
        }
    },
    |p| {
        p.compute.max_attempts = 1;
        p.compute.verifications_per_place = 1;
        p.compute.live_jobs_per_customer = 1;
        p.compute.verifier_fee_percent = u8::MAX;
    },
    |p| {
        p.compute.blob_room_bytes = 1;
        p.beacon_lag = 8;
        p.beacon_skip_penalty = square(1_000_000);
    },
];

/// A job that comes through every stage: nobody announces itself, so that the beacon appoints; with `wrong` one partner differs,
/// and referees vote.
fn to_stage(stage: &str) -> (World, JobId) {
    let mut world = World::new();
    for n in 0..PARTNERS {
        world.depart(n, Conduct::NeverAnnounces);
    }
    let job = world.submit(&demanding(5));
    if stage == "disputed" {
        let assigned = world.run_to(&job, "assigned").stage;
        let verifier = (parties(&assigned).0.unwrap() + 1) % PARTNERS;
        world.depart(verifier, Conduct::Wrong(1));
    }
    world.run_to(&job, stage);
    (world, job)
}

fn change_in(stage: &str) {
    let (world, job) = to_stage(stage);
    for (number, other) in CHANGES.iter().enumerate() {
        let mut world = world.clone();
        change(&mut world, other);
        // Each block is checked: bonds, escrow and supply to the unit.
        let ended = world.run(&job);
        assert!(ended.stage.is_final(), "{stage}, change {number}");
    }
}

#[test]
fn a_job_that_waits_ends_whatever_changes() {
    change_in("pending");
    change_in("assigned");
}

#[test]
fn a_job_that_is_checked_ends_whatever_changes() {
    change_in("announcing");
    change_in("appointing");
    change_in("verifying");
}

#[test]
fn a_job_that_is_settled_ends_whatever_changes() {
    change_in("revealing");
    change_in("disputed");
    change_in("storing");
}

#[test]
fn no_unbonding_is_lost_where_the_period_changes() {
    let mut world = World::new();
    let amount = square(7);
    let chain_time = |world: &World| vm::chain_record(&world.chain.state).unwrap().chain_time.0;
    assert_eq!(world.act(0, Action::Unbond { amount }), None);
    let first = world.partner(0).unbonding[0].deadline.0;
    change(&mut world, |params| params.compute.unbonding_ms = 1);
    assert_eq!(world.act(1, Action::Unbond { amount }), None);
    // The third would end with the first.
    let next = chain_time(&world) + 100;
    change(&mut world, |params| {
        params.compute.unbonding_ms = first - next;
    });
    assert_eq!(world.act(2, Action::Unbond { amount }), None);
    assert_eq!(world.partner(2).unbonding[0].deadline.0, first);
    let before: Vec<_> = (0..3).map(|n| world.chain.account(n).balance.0).collect();
    world.pass(70_000);
    for (n, before) in (0u8..3).zip(before) {
        assert_eq!(world.chain.account(n).balance.0, before + amount.0, "{n}");
        assert!(world.partner(n).unbonding.is_empty());
    }
}

/// Sixteen tasks that may write 4 GiB together, at a thousandth of a SQUARE per MiB: the escrow holds the 4.1 SQUARE of the limit,
/// and what is burned is the fee of the bytes that validators hold.
#[test]
fn storage_is_paid_by_the_bytes_that_are_stored() {
    let mut world = World::new();
    let mut spec: JobSpec = demanding(1);
    spec.workload.tasks = types::job::TaskSet::all(16);
    spec.workload.limits.output_bytes = MAX_TASK_OUTPUT_BYTES;
    spec.workload.limits.fuel = types::number::Fuel(1_000);
    let job = world.submit(&spec);
    let before = world.run_to(&job, "storing");
    let fee = world.chain.genesis.params.compute.storage_fee_per_mib;
    assert_eq!(fee, Amount(SQUARE.0 / 1_000));
    assert!(before.escrow.storage.0 > 4 * SQUARE.0);
    let after = world.run(&job);
    assert_eq!(after.stage, Stage::Settled);
    let rent = after.rent.due.min(before.escrow.rent);
    let burned = after.burned.0 - before.burned.0 - rent.0;
    assert_eq!(burned, fee.0 * u128::from(RESULT_BYTES.div_ceil(1 << 20)));
}
