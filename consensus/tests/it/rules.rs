//! One test per rule of voting, over several seeds: what an auditor that sees every effect would notice if the rule
//! were broken. `scripts/planted-bugs` breaks each rule in a copy of this crate and demands that its test fails.

use crate::disk::lose_the_log;
use crate::sim::{Options, Sim, Violation};

const DEVNET: &[u64] = &[4, 3, 3, 3];
const UNEQUAL: &[u64] = &[3, 2, 1, 1];

/// Seeds of each test.
const SEEDS: u64 = 12;

/// Runs a scenario over the seeds and names the first that breaks a rule.
#[track_caller]
fn holds(run: impl Fn(u64) -> Result<(), Violation>) {
    for seed in 0..SEEDS {
        run(seed).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}

/// Losses, partitions and crashes.
fn rough(seed: u64) -> Result<(), Violation> {
    let options = Options {
        loss_percent: 15,
        max_delay_ms: 700,
        crash_per_10_000: 60,
        partition_every_ms: 3_000,
        heal_at_ms: 30_000,
        end_ms: 30_000,
        ..Options::new(seed, DEVNET)
    };
    Sim::new(options).run()
}

/// Two groups that each hold some honest validators and all twins.
fn split(stakes: &[u64], twins: &[u16], sides: &[u8], seed: u64) -> Result<(), Violation> {
    let options = Options {
        twins: twins.to_vec(),
        ..Options::new(seed, stakes)
    };
    let mut sim = Sim::new(options);
    sim.part(sides);
    sim.run_until(15_000)
}

#[test]
fn a_quorum_is_more_than_two_thirds() {
    holds(|seed| split(DEVNET, &[0], &[0, 0, 1, 1, 1], seed));
}

#[test]
fn a_quorum_counts_stake() {
    holds(|seed| split(UNEQUAL, &[2, 3], &[0, 1, 0, 0, 1, 1], seed));
}

#[test]
fn votes_follow_their_rules_through_losses_partitions_and_crashes() {
    holds(rough);
}

#[test]
fn one_proposal_of_a_view_is_notarized() {
    holds(|seed| {
        let options = Options {
            twins: vec![0],
            end_ms: 15_000,
            ..Options::new(seed, DEVNET)
        };
        Sim::new(options).run()
    });
}

#[test]
fn a_leader_repeats_its_proposal_after_a_restart() {
    holds(|seed| {
        let options = Options {
            crash_per_10_000: 400,
            heal_at_ms: 60_000,
            end_ms: 60_000,
            ..Options::new(seed, DEVNET)
        };
        Sim::new(options).run()
    });
}

#[test]
fn a_validator_that_lost_its_log_recovers_its_votes_first() {
    holds(|seed| lose_the_log(&mut Sim::new(Options::new(seed, DEVNET))));
}
