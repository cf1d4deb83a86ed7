//! Seeds of the simulator. `GRIDPROOF_SIM_SEEDS` says how many, `scripts/simulate --seed N` replays one.

use std::sync::atomic::{AtomicU64, Ordering};

use gridproof_simulator::random::SeededRandom;
use gridproof_simulator::scenario::{CrashPoint, InjectedFault};
use gridproof_simulator::{self as simulator, LiarKind, RunOptions, Scenario, SimulatedCommittee};

/// Seeds that are run when nothing else is said. Seed 468 loses frames for good: it made no progress while a proposal was
/// sent only once.
const SEEDS: u64 = 500;

fn run(seed: u64) -> simulator::Report {
    simulator::run(seed, RunOptions::default())
        .map_err(|failure| failure.to_string())
        .expect("every promise holds")
}

#[test]
fn every_seed_is_safe_at_any_time_and_goes_on_after_the_faults() {
    let seeds = std::env::var("GRIDPROOF_SIM_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let heights: u64 = std::thread::scope(|scope| {
        let work = || {
            let mut heights = 0;
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return heights;
                }
                heights += run(seed).height.0;
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a seed failed, see above"))
            .sum()
    });
    println!("seeds 0 to {seeds}: {heights} blocks final");
}

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in [1, 2, 7] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1).trace, run(2).trace);
}

#[test]
fn a_liar_of_each_kind_talks_to_all_and_stops_nobody() {
    for (seed, kind) in (1_001..).step_by(2).zip(LiarKind::ALL) {
        let committee = SimulatedCommittee::honest().with_liars([(1, kind)]);
        let scenario = Scenario::with(seed, committee, &mut SeededRandom::new(seed));
        let ended = simulator::run_scenario(scenario, RunOptions::default());
        let report = ended.unwrap_or_else(|failure| panic!("{kind:?}: {failure}"));
        assert!(report.height.0 > 4, "{kind:?}");
    }
}

/// All are honest and every frame arrives; the last one is away while the others add blocks.
fn away_until(back_at_ms: u64) -> Scenario {
    let mut random = SeededRandom::new(1);
    let mut scenario = Scenario::with(1, SimulatedCommittee::honest(), &mut random);
    let away = InjectedFault::Crash {
        host: 3,
        at: CrashPoint::Effects(0),
    };
    scenario.faults = vec![(1_000, away), (back_at_ms, InjectedFault::Restart(3))];
    (scenario.loss, scenario.loss_after, scenario.calm_at_ms) = (0, 0, back_at_ms);
    scenario.bytes_per_ms = 0;
    (scenario.execution_ms, scenario.timeout_ms) = (5, 20_000);
    scenario
}

#[test]
fn a_validator_that_was_away_for_500_blocks_comes_back() {
    let back_at_ms = 600_000;
    let ended = simulator::run_scenario(away_until(back_at_ms), RunOptions::default())
        .map_err(|failure| failure.to_string());
    let report = ended.expect("it catches up");
    assert!(
        report.height.0 > 505,
        "the others added only {} blocks",
        report.height
    );
    assert!(
        report.virtual_ms < back_at_ms + 20_000,
        "it took until {} ms",
        report.virtual_ms
    );
}
