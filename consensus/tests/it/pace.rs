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
    sim.filter =
        |_, from, to, message| from != 3 || to == 0 || !matches!(message, Message::Proposal(_));
    let before = sim.heights()[0];
    sim.run_until(30_000).unwrap();
    // A quarter of the views is its own. With 3 x 50 ms for each, three blocks take 100 + 100 + 100 + 150 ms.
    let blocks = sim.heights()[0] - before;
    assert!(blocks >= 125, "{blocks} blocks in 20 s");
}
