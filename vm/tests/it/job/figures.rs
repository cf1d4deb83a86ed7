//! Figures that `docs/benchmarks.md` quotes: what a job puts into blocks, and what it leaves in state. They are printed by
//! `cargo test -p gridproof-vm --test it job::figures -- --nocapture`; `GRIDPROOF_FIGURE_JOBS=n` lets n jobs end.

use std::collections::BTreeMap;

use types::codec::encode;
use types::hash::JobId;
use types::job::Stage;
use types::state_key::{DueQueue, StateKey};
use types::transaction::Action;

use crate::job::world::{CUSTOMER, Conduct, PARTNERS, World, certain, demanding, parties};

/// Jobs that an ordinary run lets end.
const JOBS: usize = 10;
/// Jobs that are live at the same time.
const AT_ONCE: usize = 50;
/// For how long ended jobs are kept here, in milliseconds: above the audit window.
const KEPT_MS: u64 = 60_000;

/// How many there are of a kind, and their bytes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    count: usize,
    bytes: usize,
}

impl Tally {
    fn add(&mut self, bytes: usize) {
        (self.count, self.bytes) = (self.count + 1, self.bytes + bytes);
    }

    /// Bytes of one, all of which take the same.
    fn each(self) -> usize {
        assert_eq!(self.bytes % self.count, 0);
        self.bytes / self.count
    }
}

/// The signed transactions of a job that so many verifiers check, by their names.
fn transactions(verifiers: u16) -> BTreeMap<&'static str, Tally> {
    let mut world = World::new();
    let spec = Box::new(certain());
    let mut all = BTreeMap::<_, Tally>::new();
    let submit = world.chain.sign(CUSTOMER, Action::SubmitJob { spec });
    all.entry("submit_job")
        .or_default()
        .add(encode(&submit).len());
    let job = world.submit(&certain());
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    let others = (0..PARTNERS).filter(|n| *n != primary);
    for n in others.skip(verifiers.into()) {
        world.depart(n, Conduct::NeverAnnounces);
    }
    while !world.record(&job).stage.is_final() {
        for (n, action) in world.step(&[job], 500) {
            let bytes = encode(&world.chain.sign(n, action.clone())).len();
            all.entry(action.name()).or_default().add(bytes);
        }
    }
    assert_eq!(world.record(&job).stage, Stage::Settled);
    all
}

#[test]
fn each_verifier_adds_the_same_bytes_to_blocks() {
    let total = |all: &BTreeMap<_, Tally>| all.values().map(|tally| tally.bytes).sum::<usize>();
    let (one, four) = (transactions(1), transactions(4));
    println!("{one:?}\n{four:?}");
    for (verifiers, all) in [(1, &one), (4, &four)] {
        assert_eq!(all["announce"].count, verifiers);
        assert_eq!(all["agree"].count, verifiers);
        assert_eq!(all["commit"].count, verifiers + 1);
        assert_eq!(all["reveal"].count, 1);
    }
    let each: usize = ["announce", "agree", "commit"]
        .iter()
        .map(|name| four[name].each())
        .sum();
    println!(
        "bytes of a job's transactions: 1 verifier {}, 4 verifiers {}, 12 verifiers {} ({each} for each)",
        total(&one),
        total(&four),
        total(&four) + 8 * each
    );
    assert!(each < 1_024, "{each}");
}

/// The entries of a state by what they are for.
fn entries(world: &World) -> BTreeMap<&'static str, Tally> {
    let mut all = BTreeMap::<_, Tally>::new();
    for (key, value) in &world.chain.state {
        let kind = match key {
            StateKey::Job(_) => "record",
            StateKey::JobSpec(_) => "spec",
            StateKey::Receipt(_) => "receipt",
            StateKey::Due(DueQueue::Ended, _) => "queue of ended jobs",
            _ => continue,
        };
        let bytes = key.to_bytes().len() + value.as_ref().map_or(0, Vec::len);
        all.entry(kind).or_default().add(bytes);
    }
    all
}

#[test]
fn what_ended_jobs_leave_in_state_goes() {
    let wanted = std::env::var("GRIDPROOF_FIGURE_JOBS").ok();
    let wanted = wanted.map_or(JOBS, |text| text.parse().unwrap());
    let mut world = World::with(|params| {
        params.block_gas_limit = 1 << 30;
        params.compute.ended_jobs_kept_ms = 86_400_000;
    });
    let mut ended = 0;
    while ended < wanted {
        let jobs: Vec<JobId> = (0..AT_ONCE.min(wanted - ended))
            .map(|_| world.submit(&demanding(1)))
            .collect();
        while !jobs.iter().all(|job| world.record(job).stage.is_final()) {
            let live = jobs.iter().copied();
            let live: Vec<_> = live
                .filter(|job| !world.record(job).stage.is_final())
                .collect();
            world.step(&live, 500);
        }
        ended += jobs.len();
    }
    let all = entries(&world);
    let bytes: usize = all.values().map(|tally| tally.bytes).sum();
    println!("{all:?}");
    println!(
        "state of {ended} ended jobs: {bytes} bytes, {} for each, {} MB for 100,000",
        bytes / ended,
        bytes * 100_000 / ended / 1_000_000
    );
    assert_eq!((all["record"].count, all["spec"].count), (ended, ended));
}

#[test]
fn ended_jobs_are_forgotten_to_the_last_byte() {
    let mut world = World::with(|params| params.compute.ended_jobs_kept_ms = KEPT_MS);
    let job = world.submit(&demanding(1));
    world.run(&job);
    assert!(!entries(&world).is_empty());
    world.pass(KEPT_MS + 2_000);
    assert_eq!(entries(&world), BTreeMap::new());
}
