//! Rules broken on purpose: each must be noticed within a few seeds, and the same runs are clean with the rule whole.

use consensus::Mutation;

use crate::disk::lose_the_log;
use crate::sim::{Options, Sim, Violation};

const DEVNET: &[u64] = &[4, 3, 3, 3];
const UNEQUAL: &[u64] = &[3, 2, 1, 1];

/// Runs a scenario with and without a broken rule over seeds.
fn is_caught(
    mutation: Mutation,
    said: &str,
    run: impl Fn(Option<Mutation>, u64) -> Result<(), Violation>,
) {
    let mut first = None;
    for seed in 0..12 {
        if let Err(violation) = run(None, seed) {
            panic!("seed {seed} fails with every rule whole: {violation}");
        }
        if let Err(violation) = run(Some(mutation), seed) {
            first = Some((seed, violation));
            break;
        }
    }
    let (seed, violation) =
        first.unwrap_or_else(|| panic!("{mutation:?} was not noticed in 12 seeds"));
    assert!(
        violation.contains(said),
        "seed {seed}: {mutation:?} was noticed as {violation:?}"
    );
}

fn with(options: Options, mutation: Option<Mutation>) -> Sim {
    Sim::new(Options {
        mutation,
        ..options
    })
}

/// Losses, partitions and crashes.
fn rough(mutation: Option<Mutation>, seed: u64) -> Result<(), Violation> {
    let options = Options {
        loss_percent: 15,
        max_delay_ms: 700,
        crash_per_10_000: 60,
        partition_every_ms: 3_000,
        heal_at_ms: 30_000,
        end_ms: 30_000,
        ..Options::new(seed, DEVNET)
    };
    with(options, mutation).run()
}

/// Two groups that each hold some honest validators and all twins.
fn split(
    stakes: &[u64],
    twins: &[u16],
    sides: &[u8],
    mutation: Option<Mutation>,
    seed: u64,
) -> Result<(), Violation> {
    let mut sim = with(
        Options {
            twins: twins.to_vec(),
            ..Options::new(seed, stakes)
        },
        mutation,
    );
    sim.part(sides);
    sim.run_until(15_000)
}

#[test]
fn a_quorum_over_one_half() {
    is_caught(
        Mutation::HalfQuorum,
        "two blocks are final",
        |mutation, seed| split(DEVNET, &[0], &[0, 0, 1, 1, 1], mutation, seed),
    );
}

#[test]
fn counting_validators_instead_of_stake() {
    is_caught(
        Mutation::CountValidators,
        "two blocks are final",
        |mutation, seed| split(UNEQUAL, &[2, 3], &[0, 1, 0, 0, 1, 1], mutation, seed),
    );
}

#[test]
fn a_vote_sent_before_it_is_synced() {
    is_caught(Mutation::SendBeforeSync, "not on disk", rough);
}

#[test]
fn finalize_after_nullify() {
    is_caught(
        Mutation::FinalizeAfterNullify,
        "Nullify and Finalize",
        rough,
    );
}

#[test]
fn nullify_after_finalize() {
    is_caught(
        Mutation::NullifyAfterFinalize,
        "Nullify and Finalize",
        rough,
    );
}

#[test]
fn notarize_without_the_body() {
    is_caught(
        Mutation::NotarizeWithoutBody,
        "the body of a notarized block",
        rough,
    );
}

#[test]
fn a_certificate_that_is_not_durable() {
    is_caught(Mutation::CertificateNotLogged, "not on disk", rough);
}

#[test]
fn notarizing_two_proposals_of_a_view() {
    is_caught(Mutation::NotarizeTwice, "after", |mutation, seed| {
        with(
            Options {
                twins: vec![0],
                end_ms: 15_000,
                ..Options::new(seed, DEVNET)
            },
            mutation,
        )
        .run()
    });
}

#[test]
fn proposing_again_after_a_restart() {
    is_caught(
        Mutation::ProposeTwice,
        "proposes two blocks",
        |mutation, seed| {
            let options = Options {
                crash_per_10_000: 400,
                heal_at_ms: 60_000,
                end_ms: 60_000,
                ..Options::new(seed, DEVNET)
            };
            with(options, mutation).run()
        },
    );
}

#[test]
fn voting_without_looking_back() {
    is_caught(
        Mutation::NoVoteRecovery,
        "Nullify and Finalize",
        |mutation, seed| lose_the_log(&mut with(Options::new(seed, DEVNET), mutation)),
    );
}
