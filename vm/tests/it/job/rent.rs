//! What is held is paid for as long as it is held: a place for a job, room for its blobs, the bonds behind it.

use types::codec::encode;
use types::hash::{BlobId, Hash32};
use types::job::{Failed, FailureReason, JobRecord, JobSpec, Stage, TaskSet};
use types::limits::{MAX_LIVE_JOBS, MAX_WINDOW_MS};
use types::number::{Amount, ChainTime};
use types::params::Params;
use types::state_key::StateKey;
use types::transaction::Action;
use vm::query;

use crate::fixture::{address, square};
use crate::job::network::network;
use crate::job::queue::patient;
use crate::job::world::{CUSTOMER, PARTNERS, World, spec};

/// A job with inputs of 4 GiB, in blobs of the largest size.
fn heavy(n: u8) -> JobSpec {
    let mut spec = spec();
    let blob = |m: u8, length| BlobId {
        hash: Hash32([n.wrapping_mul(8) + m; 32]),
        length,
    };
    spec.workload.tasks = TaskSet::all(1);
    spec.workload.limits.fuel.0 = (1 << 32) + 1_000;
    spec.price_cap = square(12);
    spec.workload.stdin = Some(blob(1, 1 << 30));
    let mut input = spec.workload.inputs[0].clone();
    let mut inputs = Vec::new();
    for m in 2..5u8 {
        let length = if m == 4 { (1 << 30) - 100 } else { 1 << 30 };
        input.blob = blob(m, length);
        input.target = types::codec::Text::new(format!("/in/{m}")).unwrap();
        inputs.push(input.clone());
    }
    spec.workload.inputs = types::codec::Bounded::new(inputs).unwrap();
    spec
}

/// The rent of a job that ended, in base units, from the times of its stages; no block came later than chain time counts.
pub fn rent_of(record: &JobRecord) -> u128 {
    let mut meter = RentMeter::new(ChainTime(record.history[0].time.0));
    for entry in &record.history[1..] {
        let runs = match entry.stage.as_str() {
            "assigned" => true,
            "pending" | "settled" | "failed" => false,
            _ => continue,
        };
        meter.switch(record, runs, ChainTime(entry.time.0));
    }
    meter.due
}

/// What a job's rent comes to, as whoever looks on can reckon it.
#[derive(Debug, Clone, Copy)]
pub struct RentMeter {
    pub due: u128,
    since: ChainTime,
    runs: bool,
}

impl RentMeter {
    pub fn new(since: ChainTime) -> Self {
        Self {
            due: 0,
            since,
            runs: false,
        }
    }

    /// The job has a primary from now on, or none.
    pub fn switch(&mut self, record: &JobRecord, runs: bool, now: ChainTime) {
        let rate = if self.runs {
            record.rent.running
        } else {
            record.rent.waiting
        };
        let ms = u128::from(now.0 - self.since.0);
        self.due += (rate.0 * ms).div_ceil(60_000);
        (self.since, self.runs) = (now, runs);
    }
}

#[test]
fn a_place_that_is_held_in_vain_is_paid_by_the_time() {
    let mut world = World::new();
    world.holders.clear();
    let job = world.submit(&spec());
    let opening = world.record(&job).burned;
    let record = world.run(&job);
    let reason = FailureReason::NoInputs;
    assert_eq!(record.stage, Stage::Failed(Failed { reason }));
    assert!(record.burned > opening, "nothing for a minute of a place");
    assert_eq!(record.burned.0, opening.0 + rent_of(&record));
    assert!(record.rent.running > record.rent.waiting);
}

#[test]
fn no_more_is_taken_in_than_validators_promise_to_hold() {
    let mut world = World::with(|params| params.compute.blob_rent_per_gib = Amount::ZERO);
    let taken: Vec<_> = (0..24).map(|n| world.try_submit(&heavy(n))).collect();
    assert_eq!(taken[23], Err("no_room".to_owned()));
    let held = taken.iter().filter(|one| one.is_ok()).count();
    assert_eq!(held, 16, "64 GiB less a few bytes");
    // A job for whose results there is no room waits until there is.
    let (first, small) = (*taken[0].as_ref().unwrap(), world.submit(&patient()));
    for _ in 0..20 {
        world.step(&[small], 500);
    }
    assert_eq!(world.record(&small).stage.name(), "pending");
    world.run(&small);
    assert_eq!(world.record(&small).stage, Stage::Settled);
    assert_eq!(world.record(&first).stage.name(), "failed");
}

/// The smallest job there is: a program without a task's worth of anything.
fn light() -> JobSpec {
    let mut spec = types::testing::job_spec(types::testing::workload(b"module", 1));
    spec.workload.limits.fuel.0 = 1_000;
    spec.workload.limits.output_bytes = 1_024;
    spec.price_cap = Amount(square(1).0 / 1_000);
    spec.verification.value_at_risk = spec.price_cap;
    spec.verification.task_value_at_risk = spec.price_cap;
    // With all places taken it is refused if it would not wait for days.
    spec.max_wait_ms = MAX_WINDOW_MS;
    spec
}

/// Gives an account so much that no escrow is too large for it.
fn enrich(world: &mut World, n: u8) {
    let more = square(1_000_000_000);
    let mut account = world.chain.account(n);
    account.balance = account.balance.checked_add(more).unwrap();
    let key = StateKey::Account(address(n));
    world.chain.state.insert(key, Some(encode(&account)));
    world.chain.mint(more);
    let mut record = vm::chain_record(&world.chain.state).unwrap();
    record.liquid = record.liquid.checked_add(more).unwrap();
    let record = Some(encode(&record));
    world.chain.state.insert(StateKey::Chain, record);
}

/// The parameters of a devnet, and of a network that is none.
const NETWORKS: [fn(&mut Params); 2] = [|_| (), network];

/// A world in which all places for live jobs are taken, by several customers, with a block every 10 ms.
fn with_all_places_taken(change: impl FnOnce(&mut Params)) -> World {
    /// Jobs of a customer in a block, so that its gas is enough.
    const OF_CUSTOMER: u64 = 4;
    let mut world = World::with(change);
    world.holders.clear();
    (0..PARTNERS).for_each(|n| enrich(&mut world, n));
    enrich(&mut world, CUSTOMER);
    let action = Action::SubmitJob {
        spec: Box::new(light()),
    };
    let mut taken = 0;
    while taken < MAX_LIVE_JOBS {
        let signed: Vec<_> = (0..PARTNERS)
            .flat_map(|n| (0..OF_CUSTOMER).map(move |later| (n, later)))
            .take(MAX_LIVE_JOBS - taken)
            .map(|(n, later)| world.chain.sign_later(n, later, action.clone()))
            .collect();
        taken += signed.len();
        let block = world
            .chain
            .block_with(10, vec![world.chain.output()], signed);
        let executed = world.chain.push(&block);
        let failures: Vec<_> = executed.receipts.iter().flat_map(|r| &r.failure).collect();
        assert!(failures.is_empty(), "{failures:?}");
    }
    world
}

/// What all live jobs pay together for waiting an hour, in base units.
fn an_hour_of(world: &World) -> u128 {
    let state = &world.chain.state;
    let live = query::live_jobs(state).unwrap();
    let records = live.iter().map(|job| query::job(state, job).unwrap());
    let rates = records.map(|record| record.unwrap().rent.waiting.0);
    60 * rates.sum::<u128>()
}

/// A place costs the more the more are taken: an eighth of them at the price of one, the last eighth at eight times that.
#[test]
fn all_places_cost_a_thousand_squares_an_hour_and_the_next_job_is_refused() {
    for change in NETWORKS {
        let mut world = with_all_places_taken(change);
        assert_eq!(world.try_submit(&light()), Err("too_many_jobs".to_owned()));
        world.check();
        let place = world.chain.genesis.params.compute.place_rent.0;
        let places = 60 * place * 512 * (1..=8).sum::<u128>();
        let rent = an_hour_of(&world);
        assert!((places..places + places / 100).contains(&rent), "{rent}");
        assert!(rent > square(1_100).0, "{rent}");
    }
}

/// Room costs the more the more is taken, in steps of an eighth.
#[test]
fn all_room_for_blobs_costs_more_than_a_thousand_squares_an_hour() {
    for change in NETWORKS {
        let mut world = World::with(change);
        world.holders.clear();
        enrich(&mut world, CUSTOMER);
        let taken = (0..16).map(|n| world.try_submit(&heavy(n)));
        let failed: Vec<_> = taken.filter_map(Result::err).collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(world.try_submit(&heavy(16)), Err("no_room".to_owned()));
        let rent = an_hour_of(&world);
        // Each job takes 4 GiB less a few bytes: the first that finds an eighth of the room taken is the fourth.
        let steps = (0..16).map(|n: u128| (4 * n).saturating_sub(1) / 8 + 1);
        let per_gib = world.chain.genesis.params.compute.blob_rent_per_gib.0;
        let room = 60 * 4 * per_gib * steps.sum::<u128>();
        assert!((room..room + room / 100).contains(&rent), "{rent}");
        assert!(rent > square(1_500).0, "{rent}");
    }
}
