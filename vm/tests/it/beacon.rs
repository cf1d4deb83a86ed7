//! The beacon moves in order, at most once per block, and silence costs its contributor.

use std::collections::BTreeMap;

use state::read_as;
use types::attestation::next_beacon;
use types::hash::{Domain, Hash32};
use types::limits::BEACON_STEPS_KEPT;
use types::number::{Amount, BeaconStep, Epoch};
use types::state_key::StateKey;
use types::transaction::SystemTransaction;
use vm::beacon::{BeaconError, contributor, first_seed};
use vm::{Beacon, BlockError, SystemError};

use crate::audit::assert_conserved;
use crate::fixture::{Chain, STAKES, position_of, square, validator_id, validator_keys};

fn beacon(chain: &Chain) -> Beacon {
    Beacon::read(&chain.state).unwrap()
}

fn refused(chain: &Chain, system: Vec<SystemTransaction>) -> SystemError {
    match chain.try_execute(&chain.block_with(100, system, Vec::new())) {
        Err(BlockError::System { error, .. }) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn an_output_moves_the_beacon_by_one_step() {
    let mut chain = Chain::new();
    let before = beacon(&chain);
    let duty = before.duty(&chain.rules);
    let (_, vrf) = &validator_keys()[position_of(duty.contributor)];
    let output = vrf
        .public()
        .verify(&duty.input, &vrf.prove(&duty.input))
        .unwrap();
    chain.next(Vec::new());
    let after = beacon(&chain);
    assert_eq!(after.step, BeaconStep(1));
    assert_eq!(
        after.value,
        next_beacon(&before.value, BeaconStep(1), Some(&output))
    );
    assert_eq!(
        read_as::<Hash32>(&chain.state, &StateKey::BeaconAt(BeaconStep(1))).unwrap(),
        Some(after.value)
    );
}

#[test]
fn only_the_output_that_is_due_is_taken_once_and_first() {
    let mut chain = Chain::new();
    let first = chain.output();
    assert!(matches!(
        refused(&chain, vec![first.clone(), first.clone()]),
        SystemError::BeaconNotFirst
    ));
    let SystemTransaction::Beacon { step, mut proof } = first.clone() else {
        unreachable!()
    };
    let later = SystemTransaction::Beacon {
        step: step.next(),
        proof,
    };
    assert!(matches!(
        refused(&chain, vec![later]),
        SystemError::Beacon(BeaconError::WrongStep { .. })
    ));
    proof.0[40] ^= 1;
    let forged = SystemTransaction::Beacon { step, proof };
    assert!(matches!(
        refused(&chain, vec![forged]),
        SystemError::Beacon(BeaconError::BadProof(_))
    ));
    let duty = beacon(&chain).duty(&chain.rules);
    let other = &validator_keys()[(position_of(duty.contributor) + 1) % 4].1;
    let stranger = SystemTransaction::Beacon {
        step,
        proof: other.prove(&duty.input),
    };
    assert!(matches!(
        refused(&chain, vec![stranger]),
        SystemError::Beacon(BeaconError::BadProof(_))
    ));
    chain.next(Vec::new());
    assert!(matches!(
        refused(&chain, vec![first]),
        SystemError::Beacon(BeaconError::WrongStep { .. })
    ));
}

#[test]
fn a_silent_step_is_skipped_after_blocks_and_time_at_its_contributors_cost() {
    let mut chain = Chain::with(|params| {
        (
            params.beacon_skip_blocks,
            params.beacon_skip_ms,
            params.idle_target_ms,
        ) = (3, 2_000, 500);
    });
    let before = beacon(&chain);
    let silent = &validator_keys()[position_of(before.duty(&chain.rules).contributor)].0;
    let account = |chain: &Chain| {
        vm::query::account(&chain.state, &silent.public().address())
            .unwrap()
            .balance
    };
    let stakes = chain.rules.committee.clone();
    // Enough time after two blocks, enough blocks after three: the fourth skips.
    for _ in 0..3 {
        let executed = chain.push(&chain.block_with(1_000, Vec::new(), Vec::new()));
        assert_eq!(beacon(&chain), before);
        assert!(!executed.urgent);
    }
    let late = chain.output();
    let mut in_time = chain.clone();
    in_time.push(&in_time.block_with(1_000, vec![late.clone()], Vec::new()));
    assert_ne!(
        beacon(&in_time).value,
        next_beacon(&before.value, BeaconStep(1), None),
        "the last chance counts"
    );
    let executed = chain.push(&chain.block_with(1_000, Vec::new(), Vec::new()));
    assert_eq!(
        beacon(&chain).value,
        next_beacon(&before.value, BeaconStep(1), None)
    );
    assert_eq!(
        account(&chain).0,
        square(1).0 - chain.genesis.params.beacon_skip_penalty.0
    );
    assert_eq!(
        vm::chain_record(&chain.state).unwrap().burned,
        chain.genesis.params.beacon_skip_penalty
    );
    assert!(executed.urgent, "a hook changed an account");
    assert_eq!(chain.rules.committee, stakes);
    assert!(matches!(
        refused(&chain, vec![late]),
        SystemError::Beacon(BeaconError::WrongStep { .. })
    ));
    assert_conserved(&chain.state, chain.rules.supply);
}

#[test]
fn one_leader_alone_cannot_skip_a_step() {
    let mut chain =
        Chain::with(|params| (params.beacon_skip_blocks, params.beacon_skip_ms) = (1, 1_000));
    let by = |chain: &Chain, proposer| {
        let mut block = chain.block_with(1_000, Vec::new(), Vec::new());
        block.header.proposer = validator_id(proposer);
        block
    };
    // Its stake is 4 of 13, which is what may be faulty.
    for _ in 0..8 {
        chain.push(&by(&chain, 0));
        assert_eq!(beacon(&chain).step, BeaconStep(0));
    }
    chain.push(&by(&chain, 1));
    assert_eq!(
        beacon(&chain).step,
        BeaconStep(1),
        "with another leader it is overdue"
    );
}

#[test]
fn a_silent_step_is_not_skipped_before_its_time() {
    let mut chain =
        Chain::with(|params| (params.beacon_skip_blocks, params.beacon_skip_ms) = (3, 2_000));
    for _ in 0..19 {
        chain.push(&chain.block_with(100, Vec::new(), Vec::new()));
    }
    assert_eq!(beacon(&chain).step, BeaconStep(0));
    chain.push(&chain.block_with(100, Vec::new(), Vec::new()));
    assert_eq!(beacon(&chain).step, BeaconStep(1));
}

#[test]
fn a_skip_costs_no_more_than_the_account_holds() {
    let mut chain = Chain::with(|params| {
        (params.beacon_skip_blocks, params.beacon_skip_ms) = (1, 0);
        params.beacon_skip_penalty = Amount(square(1).0 * 2 / 3);
    });
    for _ in 0..60 {
        chain.push(&chain.block_with(100, Vec::new(), Vec::new()));
        assert_conserved(&chain.state, chain.rules.supply);
    }
    let burned = vm::chain_record(&chain.state).unwrap().burned;
    assert_eq!(burned, square(4), "all that four validators had");
}

#[test]
fn contributors_follow_the_stake_and_the_seed() {
    let chain = Chain::new();
    let seed = first_seed(chain.rules.chain_id, Epoch(1));
    let mut counts = BTreeMap::new();
    for step in 256..512 {
        *counts
            .entry(position_of(contributor(
                &chain.rules,
                &seed,
                BeaconStep(step),
            )))
            .or_insert(0u64) += 1;
    }
    // Shares of 256 steps by stakes 4 + 3 + 3 + 3, and one step more or less, as the seed begins the order.
    for (count, stake) in counts.into_values().zip(STAKES) {
        let share = 256 * stake / 13;
        assert!((share..=share + 1).contains(&count), "{count} of {stake}");
    }
    let other = first_seed(chain.rules.chain_id, Epoch(2));
    let order = |seed: &Hash32| {
        (0..64)
            .map(|s| contributor(&chain.rules, seed, BeaconStep(s)))
            .collect::<Vec<_>>()
    };
    assert_ne!(order(&seed), order(&other));
}

#[test]
fn the_beacon_at_the_end_of_an_epoch_seeds_the_epoch_after_the_next() {
    let mut chain = Chain::with(|params| params.epoch_length = 4);
    let id = chain.rules.chain_id;
    let seed = |chain: &Chain, epoch| {
        read_as::<Hash32>(&chain.state, &StateKey::EpochSeed(Epoch(epoch))).unwrap()
    };
    assert_eq!(
        seed(&chain, 1),
        Some(Hash32::of(Domain::EPOCH_SEED, &(id, Epoch(1))))
    );
    assert_eq!(
        seed(&chain, 2),
        Some(Hash32::of(Domain::EPOCH_SEED, &(id, Epoch(2))))
    );
    assert_eq!(beacon(&chain).seed, seed(&chain, 1).unwrap());
    chain.run_to(4);
    let end_of_first = beacon(&chain).value;
    assert_eq!(seed(&chain, 3), Some(end_of_first));
    assert_eq!(seed(&chain, 1), None);
    chain.run_to(9);
    assert_eq!(
        beacon(&chain).seed,
        end_of_first,
        "a step that became due in epoch 3"
    );
}

#[test]
fn a_step_keeps_the_seed_of_the_epoch_in_which_it_became_due() {
    let mut chain = Chain::with(|params| {
        (params.epoch_length, params.beacon_skip_blocks) = (4, 20);
    });
    chain.run_to(2);
    let (due, output) = (beacon(&chain).duty(&chain.rules), chain.output());
    for _ in 0..8 {
        chain.push(&chain.block_with(100, Vec::new(), Vec::new()));
    }
    assert_eq!(beacon(&chain).duty(&chain.rules), due);
    chain.push(&chain.block_with(100, vec![output], Vec::new()));
    assert_eq!(beacon(&chain).step, due.step);
}

#[test]
fn old_values_of_the_beacon_are_dropped() {
    let mut chain = Chain::new();
    chain.run_to(BEACON_STEPS_KEPT + 10);
    let kept = chain
        .state
        .keys()
        .filter(|key| matches!(key, StateKey::BeaconAt(_)))
        .count();
    let expected = usize::try_from(BEACON_STEPS_KEPT + chain.genesis.params.beacon_lag).unwrap();
    assert_eq!(kept, expected);
}
