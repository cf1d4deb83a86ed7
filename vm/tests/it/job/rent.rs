//! What is held is paid for as long as it is held: a place for a job, room for its blobs, the bonds behind it.

use types::hash::{BlobId, Hash32};
use types::job::{Failed, FailureReason, JobRecord, JobSpec, Stage, TaskSet};
use types::number::{Amount, ChainTime};

use crate::fixture::square;
use crate::job::queue::patient;
use crate::job::world::{World, spec};

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
