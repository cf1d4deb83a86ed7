//! What a party pays for an action, refused or not, and what of it the job pays back.

use types::codec::encode;
use types::job::Stage;
use types::number::Attempt;
use types::state_key::StateKey;
use types::transaction::JobStep;

use super::{other_than, proven};
use crate::fixture::square;
use crate::job::world::{CUSTOMER, parties, spec};

#[test]
fn when_the_fees_are_used_up_parties_pay_their_own() {
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
    assert_eq!(
        before - world.chain.account(primary).balance.0,
        fee - fee / 2
    );
    assert_eq!(world.run(&job).stage, Stage::Settled);
}

#[test]
fn a_refused_action_is_not_paid_back() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "assigned");
    let n = other_than(parties(&record.stage).0.unwrap());
    let before = world.chain.account(n).balance;
    assert!(
        world
            .act(n, JobStep::Acknowledge.of(job, record.attempt))
            .is_some()
    );
    assert_eq!(
        before.0 - world.chain.account(n).balance.0,
        world.chain.genesis.params.min_fee.0
    );
    assert_eq!(world.record(&job).burned, record.burned);
}

#[test]
fn a_fee_above_the_least_is_paid_back_only_up_to_it() {
    let mut world = proven();
    let job = world.submit(&spec());
    let record = world.run_to(&job, "assigned");
    let primary = parties(&record.stage).0.unwrap();
    let mut rich = world
        .chain
        .unsigned(primary, JobStep::Acknowledge.of(job, record.attempt));
    rich.fee = square(5);
    let before = world.chain.account(primary).balance;
    world
        .chain
        .next(vec![rich.sign(&crate::fixture::key(primary))]);
    world.check();
    let lost = before.0 - world.chain.account(primary).balance.0;
    assert_eq!(lost, square(5).0 - world.chain.genesis.params.min_fee.0);
}
