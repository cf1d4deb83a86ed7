//! Seeded runs under loss, reordering, duplication, partitions and crashes. A failing run prints its seed; set
//! `GRIDPROOF_SEED` to replay it alone, `GRIDPROOF_SEED_FACTOR` for more of them.

use crate::sim::{Options, Sim, Violation};

const DEVNET: &[u64] = &[4, 3, 3, 3];
const UNEQUAL: &[u64] = &[3, 2, 1, 1];

fn seeds(count: u64) -> Vec<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    match number("GRIDPROOF_SEED") {
        Some(seed) => vec![seed],
        None => (0..count * number("GRIDPROOF_SEED_FACTOR").unwrap_or(1)).collect(),
    }
}

fn each_seed(count: u64, run: impl Fn(u64) -> Result<(), Violation>) {
    for seed in seeds(count) {
        if let Err(violation) = run(seed) {
            panic!("{violation}; replay with GRIDPROOF_SEED={seed}");
        }
    }
}

#[test]
fn a_quiet_network_decides_a_block_per_idle_target() {
    each_seed(2, |seed| {
        let mut sim = Sim::new(Options::new(seed, DEVNET));
        sim.run()?;
        sim.require_height(16)
    });
}

#[test]
fn a_single_validator_decides_alone() {
    let mut sim = Sim::new(Options::new(1, &[5]));
    sim.run().unwrap();
    sim.require_height(15).unwrap();
}

#[test]
fn any_one_validator_of_at_most_f_may_be_away() {
    each_seed(4, |seed| {
        let mut sim = Sim::new(Options {
            end_ms: 20_000,
            ..Options::new(seed, DEVNET)
        });
        let away = usize::try_from(seed).unwrap() % 4;
        let mut sides = [0; 4];
        sides[away] = 1;
        sim.part(&sides);
        sim.run_until(20_000)?;
        let least = sim
            .heights()
            .into_iter()
            .enumerate()
            .filter(|(node, _)| *node != away)
            .map(|(_, h)| h)
            .min();
        if least < Some(8) {
            Err(format!("heights {:?} without {away}", sim.heights()))
        } else {
            Ok(())
        }
    });
}

#[test]
fn progress_under_a_third_of_messages_lost() {
    for stakes in [DEVNET, UNEQUAL] {
        each_seed(4, |seed| {
            let options = Options {
                loss_percent: 30,
                duplicate_percent: 10,
                max_delay_ms: 120,
                end_ms: 40_000,
                ..Options::new(seed, stakes)
            };
            let mut sim = Sim::new(options);
            sim.run()?;
            sim.require_height(10)
        });
    }
}

#[test]
fn safe_under_partitions_and_crashes_and_live_after_they_heal() {
    for stakes in [DEVNET, UNEQUAL] {
        each_seed(8, |seed| {
            let options = Options {
                loss_percent: seed % 4 * 10,
                duplicate_percent: 10,
                max_delay_ms: 150,
                crash_per_10_000: 60,
                partition_every_ms: 3_000,
                heal_at_ms: 30_000,
                end_ms: 75_000,
                ..Options::new(seed, stakes)
            };
            let mut sim = Sim::new(options);
            sim.run_until(30_000)?;
            let before = sim.heights().into_iter().max().unwrap_or(0);
            if seed % 2 == 1 {
                // A power cut everywhere: what only unsynced stores held is gone.
                (0..4).for_each(|node| sim.crash(node, 300));
            }
            sim.run()?;
            sim.require_height(before + 5)
        });
    }
}

#[test]
fn twins_holding_f_of_the_stake_break_nothing() {
    each_seed(4, |seed| {
        let mut sim = Sim::new(Options {
            twins: vec![0],
            partition_every_ms: 2_000,
            heal_at_ms: 25_000,
            end_ms: 60_000,
            ..Options::new(seed, DEVNET)
        });
        sim.run_until(25_000)?;
        let before = sim.heights().into_iter().max().unwrap_or(0);
        sim.run()?;
        sim.require_height(before + 3)
    });
}

#[test]
fn equal_seeds_leave_equal_traces() {
    let run = |seed| {
        let mut sim = Sim::new(Options {
            loss_percent: 20,
            crash_per_10_000: 30,
            partition_every_ms: 2_500,
            heal_at_ms: 8_000,
            ..Options::new(seed, UNEQUAL)
        });
        sim.run().unwrap();
        (sim.trace, sim.heights())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}

#[test]
fn all_restarted_at_once_go_on() {
    each_seed(4, |seed| {
        let mut sim = Sim::new(Options {
            end_ms: 30_000,
            ..Options::new(seed, DEVNET)
        });
        sim.run_until(4_000 + seed * 37)?;
        for node in 0..4 {
            sim.crash(node, 500);
        }
        let before = sim.heights().into_iter().max().unwrap_or(0);
        sim.run()?;
        sim.require_height(before + 10)
    });
}

#[test]
fn an_honest_leaders_block_is_final_after_three_delays() {
    let delay = 100;
    let options = Options {
        min_delay_ms: delay,
        max_delay_ms: 1,
        end_ms: 20_000,
        ..Options::new(6, DEVNET)
    };
    let mut sim = Sim::new(options);
    sim.run().unwrap();
    sim.require_height(20).unwrap();
    // The simulated application takes up to 4 ms to build and up to 4 ms to execute.
    let late = sim
        .latencies
        .iter()
        .filter(|latency| **latency > 3 * delay + 8)
        .count();
    assert_eq!(late, 0, "{:?}", sim.latencies);
}
