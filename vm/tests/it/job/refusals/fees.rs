//! What a party's step costs: the job, and nobody else.

use types::codec::encode;
use types::job::Stage;
use types::number::{Amount, Attempt, Nonce};
use types::state_key::StateKey;
use types::transaction::JobStep;
use vm::{BlockError, ChargeError};

use super::{other_than, proven};
use crate::fixture::transfer;
use crate::job::world::{CUSTOMER, parties, spec};

#[test]
fn when_the_fees_are_used_up_steps_are_free() {
    let mut world = proven();
    let job = world.submit(&spec());
    let mut record = world.run_to(&job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    // The fees go back to the customer, but for half of one.
    let (fee, all) = (world.chain.genesis.params.min_fee.0, record.escrow.fees.0);
    record.escrow.fees.0 = fee / 2;
    let mut customer = world.chain.account(CUSTOMER);
    customer.balance.0 += all - fee / 2;
    let mut chain = vm::chain_record(&world.chain.state).unwrap();
    chain.liquid.0 += all - fee / 2;
    let state = &mut world.chain.state;
    state.insert(StateKey::Job(job), Some(encode(&record)));
    state.insert(
        StateKey::Account(crate::fixture::address(CUSTOMER)),
        Some(encode(&customer)),
    );
    state.insert(StateKey::Chain, Some(encode(&chain)));
    world.check();
    let before = world.chain.account(primary).balance.0;
    assert_eq!(
        world.act(primary, JobStep::Acknowledge.of(job, Attempt(0))),
        None
    );
    assert_eq!(world.chain.account(primary).balance.0, before);
    let left = vm::chain_record(&world.chain.state).unwrap();
    assert_eq!(left.burned.0 - chain.burned.0, fee / 2);
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn a_refused_step_costs_nothing_and_is_in_no_block() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "assigned");
    let n = other_than(parties(&record.stage).0.unwrap());
    let (before, step) = (
        world.chain.account(n),
        JobStep::Acknowledge.of(job, record.attempt),
    );
    assert!(world.act(n, step).is_some());
    assert_eq!(world.chain.account(n), before);
    assert!(world.chain.executed.as_ref().unwrap().receipts.is_empty());
    assert_eq!(world.record(&job).burned, record.burned);
}

#[test]
fn a_step_with_a_nonce_or_a_fee_is_in_no_block() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    let step = JobStep::Acknowledge.of(job, record.attempt);
    for (nonce, fee) in [(1, 0), (0, 1)] {
        let mut transaction = world.chain.unsigned(primary, step.clone());
        (transaction.nonce, transaction.fee) = (Nonce(nonce), Amount(fee));
        let signed = transaction.sign(&crate::fixture::key(primary));
        let refused = world.chain.try_execute(&world.chain.block(vec![signed]));
        let Err(BlockError::Transaction { error, .. }) = refused else {
            panic!("{refused:?}")
        };
        let (nonce, fee) = (Nonce(nonce), Amount(fee));
        assert_eq!(error, ChargeError::ChargedStep { nonce, fee });
    }
}

#[test]
fn a_party_without_money_or_with_other_transactions_takes_its_steps() {
    let mut world = proven();
    let job = world.submit(&spec());
    let primary = parties(&world.run_to(&job, "assigned").stage).0.unwrap();
    let (fee, has) = (
        world.chain.genesis.params.min_fee,
        world.chain.account(primary).balance,
    );
    let all = Amount(has.0 - fee.0);
    assert_eq!(world.act(primary, transfer(CUSTOMER, all)), None);
    let broke = world.chain.account(primary);
    assert_eq!((broke.balance, broke.nonce), (Amount::ZERO, Nonce(1)));
    assert_eq!(world.run(&job).stage, Stage::Settled);
    assert_eq!(world.chain.account(primary).nonce, Nonce(1));
}
