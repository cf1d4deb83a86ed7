//! Seeds of the simulator. `GRIDPROOF_SIM_SEEDS` says how many, `scripts/simulate --seed N` replays one.

use std::sync::atomic::{AtomicU64, Ordering};

use gridproof_testnet::sim::{self, Options};

/// Seeds that are run when nothing else is said.
const SEEDS: u64 = 200;
/// Seeds that failed once.
const REGRESSIONS: [u64; 0] = [];

fn run(seed: u64) -> sim::Report {
    sim::run(seed, Options::default()).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn every_seed_is_safe_at_any_time_and_goes_on_after_the_faults() {
    let seeds = std::env::var("GRIDPROOF_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
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
        running.into_iter().map(|thread| thread.join().expect("a seed failed, see above")).sum()
    });
    println!("seeds 0 to {seeds}: {heights} blocks final");
}

#[test]
fn seeds_that_failed_once_hold() {
    for seed in REGRESSIONS {
        run(seed);
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    for seed in [1, 2, 7] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1).trace, run(2).trace);
}
