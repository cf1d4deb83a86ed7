//! What silent and selective leaders cost, and how soon blocks are final, in virtual time.

use consensus::Message;
use types::number::ValidatorIndex;

use crate::sim::{Options, Sim};

/// Urgent blocks every 100 ms over a network of 2 ms.
fn urgent(seed: u64, stakes: &[u64]) -> Sim {
    Sim::new(Options {
        urgent: true,
        min_delay_ms: 1,
        max_delay_ms: 2,
        ..Options::new(seed, stakes)
    })
}

/// Blocks in 20 s, counted at the first validator, after 10 s without those at the positions `away`.
fn blocks_in_20_s(sim: &mut Sim, away: &[usize]) -> u64 {
    let side = |node: usize| {
        if away.contains(&node) {
            u8::try_from(node).unwrap()
        } else {
            0
        }
    };
    let sides: Vec<u8> = (0..sim.nodes.len()).map(side).collect();
    sim.run_until(5_000).unwrap();
    sim.part(&sides);
    sim.run_until(15_000).unwrap();
    let before = sim.heights()[0];
    sim.run_until(35_000).unwrap();
    sim.heights()[0] - before
}

#[test]
fn one_of_four_that_is_away_costs_nothing() {
    for seed in 0..4 {
        let blocks = blocks_in_20_s(&mut urgent(seed, &[1, 1, 1, 1]), &[3]);
        assert!(blocks >= 190, "seed {seed}: {blocks} blocks in 20 s");
    }
}

#[test]
fn three_of_ten_that_are_away_cost_nothing() {
    for seed in 0..2 {
        let blocks = blocks_in_20_s(&mut urgent(seed, &[1; 10]), &[3, 5, 9]);
        assert!(blocks >= 190, "seed {seed}: {blocks} blocks in 20 s");
    }
}

#[test]
fn who_comes_back_leads_again() {
    let mut sim = urgent(7, &[1, 1, 1, 1]);
    blocks_in_20_s(&mut sim, &[3]);
    sim.heal();
    sim.run_until(40_000).unwrap();
    let from = sim.heights()[0];
    sim.run_until(50_000).unwrap();
    let led = sim
        .proposers(from)
        .filter(|index| *index == ValidatorIndex(3));
    assert!(led.count() >= 10, "it leads a quarter of 100 blocks");
}

#[test]
fn a_leader_that_proposes_to_a_third_costs_three_measured_delays_at_most() {
    let mut sim = urgent(3, &[1, 1, 1, 1]);
    sim.run_until(10_000).unwrap();
    // Number 3 shows its proposals to number 0 only.
    sim.filter = Box::new(|_, from, to, message| {
        from != 3 || to == 0 || !matches!(message, Message::Proposal(_))
    });
    let before = sim.heights()[0];
    sim.run_until(30_000).unwrap();
    // A quarter of the views is its own. With 3 x 50 ms for each, three blocks take 100 + 100 + 100 + 150 ms.
    let blocks = sim.heights()[0] - before;
    assert!(blocks >= 125, "{blocks} blocks in 20 s");
}

/// Longest times between blocks in milliseconds, by timestamps, between two moments of a run.
fn longest_gap(sim: &Sim, from: u64, to: u64) -> u64 {
    let times = sim.timestamps(1);
    let within = |pair: &&[u64]| pair[0] >= from && pair[1] <= to;
    let gaps = times
        .windows(2)
        .filter(within)
        .map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap()
}

#[test]
fn a_silent_leader_costs_two_delays_at_first_and_then_nothing() {
    for seed in 0..4 {
        let mut sim = urgent(seed, &[1, 1, 1, 1]);
        sim.run_until(10_000).unwrap();
        sim.part(&[0, 0, 0, 1]);
        sim.run_until(30_000).unwrap();
        // Delta is 50 ms here. Clocks differ by up to 60 ms, and a leader may have several views in a row.
        let first = longest_gap(&sim, 9_000, 12_000);
        assert!(first <= 3 * 100 + 100 + 70, "seed {seed}: {first} ms");
        let later = longest_gap(&sim, 12_000, 30_000);
        assert!(later <= 100 + 70, "seed {seed}: {later} ms");
    }
}

#[test]
fn blocks_are_final_after_three_delays_within_5_percent() {
    let delay = 200;
    for stakes in [&[4, 3, 3, 3][..], &[1; 10]] {
        let mut sim = Sim::new(Options {
            min_delay_ms: delay,
            max_delay_ms: 1,
            ..Options::new(9, stakes)
        });
        sim.run_until(60_000).unwrap();
        let mut latencies = std::mem::take(&mut sim.latencies);
        latencies.sort_unstable();
        assert!(latencies.len() > 200, "{}", latencies.len());
        let (median, worst) = (
            latencies[latencies.len() / 2],
            latencies[latencies.len() - 1],
        );
        let bound = 3 * delay + 3 * delay / 20;
        assert!(
            median >= 3 * delay && worst <= bound,
            "{median} and {worst} ms"
        );
    }
}
