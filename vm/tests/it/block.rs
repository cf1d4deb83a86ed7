//! What makes a block invalid as a whole, and what only fails in it.

use types::codec::{Bounded, Text};
use types::hash::{BlockId, ChainId, Hash32, ValidatorId};
use types::key::PublicKey;
use types::number::{Amount, Gas, Height, Nonce, ProtocolVersion, Timestamp};
use types::state_key::StateKey;
use types::transaction::{
    Action, NativeTransaction, SignedTransaction, Transaction, TransactionReceipt,
};
use vm::{BlockError, ChargeError};

use crate::audit::assert_conserved;
use crate::fixture::{Chain, address, key, profile, square, transfer};

fn charge_error(chain: &Chain, signed: SignedTransaction) -> ChargeError {
    match chain.try_execute(&chain.block(vec![signed])) {
        Err(BlockError::Transaction { position: 0, error }) => error,
        other => panic!("expected a transaction that cannot be charged, got {other:?}"),
    }
}

fn changed(chain: &Chain, change: impl FnOnce(&mut Transaction)) -> ChargeError {
    let mut transaction = chain.unsigned(3, transfer(4, square(1)));
    change(&mut transaction);
    charge_error(chain, transaction.sign(&key(3)))
}

#[test]
fn a_transfer_moves_money_and_burns_its_fee() {
    let mut chain = Chain::new();
    let executed = chain.next(vec![chain.sign(3, transfer(4, square(7)))]);
    let fee = chain.genesis.params.min_fee;
    assert_eq!(executed.receipts[0].failure, None);
    assert_eq!(executed.receipts[0].fee, fee);
    assert_eq!(chain.account(3).balance.0, square(10_000 - 7).0 - fee.0);
    assert_eq!(chain.account(3).nonce, Nonce(1));
    assert_eq!(chain.account(4).balance, square(10_007));
    assert_eq!(vm::chain_record(&chain.state).unwrap().burned, fee);
    assert_eq!(
        executed.receipt_root,
        TransactionReceipt::root(&executed.receipts)
    );
    assert!(executed.writes.contains_key(&StateKey::Account(address(3))));
    assert_conserved(&chain.state, chain.rules.supply);
}

#[test]
fn an_action_that_fails_is_reverted_and_its_fee_stays() {
    let mut chain = Chain::new();
    let before = (chain.account(3), chain.account(4));
    let executed = chain.next(vec![chain.sign(3, transfer(4, square(10_000)))]);
    let failure = executed.receipts[0].failure.clone().unwrap();
    assert_eq!(failure.code, "insufficient_balance");
    assert!(failure.message.contains("10000"), "{}", failure.message);
    assert_eq!(
        chain.account(3).balance.0,
        before.0.balance.0 - chain.genesis.params.min_fee.0
    );
    assert_eq!(chain.account(3).nonce, Nonce(1));
    assert_eq!(chain.account(4), before.1);
    assert_conserved(&chain.state, chain.rules.supply);
}

#[test]
fn the_words_of_a_failure_are_no_part_of_the_receipt_root() {
    let mut chain = Chain::new();
    let executed = chain.next(vec![chain.sign(3, transfer(4, square(20_000)))]);
    let mut receipts = executed.receipts.clone();
    receipts[0].failure.as_mut().unwrap().message = "other words".into();
    assert_eq!(TransactionReceipt::root(&receipts), executed.receipt_root);
    receipts[0].failure.as_mut().unwrap().code = "other".into();
    assert_ne!(TransactionReceipt::root(&receipts), executed.receipt_root);
}

// Each of these is one more way to have validators work, or keep bytes, for the fee of a transfer.
#[test]
fn a_transaction_pays_for_its_gas_and_its_bytes() {
    let chain = Chain::new();
    let mut long = profile(3);
    let text = |n: u32| Text::new(format!("{n:064}")).unwrap();
    long.attributes = (0..8).map(|n| (text(n), text(n))).collect();
    let (cancel, minimum) = (
        Action::CancelJob {
            job: types::hash::JobId::default(),
        },
        chain.genesis.params.min_fee,
    );
    for action in [cancel, Action::RegisterPartner { profile: long }] {
        let mut transaction = chain.unsigned(3, action);
        let asked = transaction.fee;
        assert!(asked > minimum, "{:?}", transaction.action);
        let allowed = chain.block(vec![transaction.clone().sign(&key(3))]);
        let receipts = chain.try_execute(&allowed).unwrap().receipts;
        assert_eq!(receipts[0].fee, asked);
        let found = Amount(asked.0 - 1);
        transaction.fee = found;
        let refused = charge_error(&chain, transaction.sign(&key(3)));
        assert_eq!(refused, ChargeError::FeeTooLow { found, asked });
    }
}

#[test]
fn a_transaction_that_cannot_be_charged_makes_the_block_invalid() {
    let chain = Chain::new();
    let height = Height(1);
    assert_eq!(
        changed(&chain, |t| t.nonce = Nonce(1)),
        ChargeError::Nonce {
            found: Nonce(1),
            expected: Nonce(0)
        }
    );
    assert!(matches!(
        changed(&chain, |t| t.chain_id = ChainId(Hash32([1; 32]))),
        ChargeError::WrongChain { .. }
    ));
    assert_eq!(
        changed(&chain, |t| t.valid_until = Height(0)),
        ChargeError::Expired {
            valid_until: Height(0),
            height
        }
    );
    assert!(matches!(
        changed(&chain, |t| t.valid_until = Height(100_002)),
        ChargeError::ValidTooLong { .. }
    ));
    assert!(matches!(
        changed(&chain, |t| t.fee = Amount(t.fee.0 - 1)),
        ChargeError::FeeTooLow { .. }
    ));
    assert!(matches!(
        changed(&chain, |t| t.fee = square(10_001)),
        ChargeError::CannotPay { .. }
    ));
    let mut signed = chain.sign(3, transfer(4, square(1)));
    let SignedTransaction::Native(native) = &mut signed;
    native.signature.0[0] ^= 1;
    assert!(matches!(
        charge_error(&chain, signed),
        ChargeError::Signature(_)
    ));
}

#[test]
fn the_limits_of_validity_are_inclusive() {
    let mut chain = Chain::new();
    for (later, valid_until) in [(0, 1), (1, 100_001)] {
        let mut transaction = chain.unsigned(3, transfer(4, square(1)));
        (transaction.nonce, transaction.valid_until) = (Nonce(later), Height(valid_until));
        assert!(
            chain
                .try_execute(&chain.block(vec![transaction.sign(&key(3))]))
                .is_ok()
                == (later == 0)
        );
    }
    let mut transaction = chain.unsigned(3, transfer(4, square(1)));
    transaction.valid_until = Height(100_001);
    assert_eq!(
        chain.next(vec![transaction.sign(&key(3))]).receipts.len(),
        1
    );
}

#[test]
fn a_weak_key_is_refused_at_its_first_use_in_a_batch_and_alone() {
    // The identity point verifies any message under ZIP-215 with an all-identity signature.
    let mut identity = [0u8; 32];
    identity[0] = 1;
    let chain = Chain::new();
    let mut transaction = chain.unsigned(3, transfer(4, Amount(0)));
    transaction.sender = PublicKey(identity);
    let mut signature = [0u8; 64];
    signature[0] = 1;
    let signed = SignedTransaction::Native(NativeTransaction {
        transaction,
        signature: types::key::Signature(signature),
    });
    let parts = signed.signed();
    assert!(parts.key.verify(&parts.message, &parts.signature).is_ok());
    assert!(matches!(
        charge_error(&chain, signed.clone()),
        ChargeError::Signature(_)
    ));
    let mut alone = Chain::new();
    alone.rules = vm::Rules::new(&alone.genesis).unwrap();
    assert!(matches!(
        charge_error(&alone, signed),
        ChargeError::Signature(_)
    ));
}

#[test]
fn signatures_in_a_batch_and_alone_give_one_verdict() {
    let chain = Chain::new();
    let mut alone = chain.clone();
    alone.rules = vm::Rules::new(&alone.genesis).unwrap();
    let mut all: Vec<_> = (2..8u8)
        .map(|n| chain.sign(n, transfer(1, square(1))))
        .collect();
    let good = chain.block(all.clone());
    assert_eq!(chain.try_execute(&good), alone.try_execute(&good));
    let SignedTransaction::Native(native) = &mut all[3];
    native.signature.0[40] ^= 1;
    let bad = chain.block(all);
    assert!(matches!(
        chain.try_execute(&bad),
        Err(BlockError::Transaction { position: 3, .. })
    ));
    assert_eq!(chain.try_execute(&bad), alone.try_execute(&bad));
}

#[test]
fn every_rule_of_the_header_is_checked() {
    let chain = Chain::new();
    let good = chain.block(Vec::new());
    let with = |change: fn(&mut types::block::Header)| {
        let mut block = good.clone();
        change(&mut block.header);
        chain.try_execute(&block).unwrap_err()
    };
    assert!(chain.try_execute(&good).is_ok());
    assert!(matches!(
        with(|h| h.protocol_version = ProtocolVersion(2)),
        BlockError::ProtocolVersion { .. }
    ));
    assert!(matches!(
        with(|h| h.chain_id = ChainId(Hash32([1; 32]))),
        BlockError::Chain { .. }
    ));
    assert!(matches!(
        with(|h| h.height = Height(2)),
        BlockError::Height { .. }
    ));
    assert!(matches!(
        with(|h| h.parent = BlockId(Hash32([1; 32]))),
        BlockError::Parent { .. }
    ));
    assert!(matches!(
        with(|h| h.timestamp = Timestamp(1_000_000)),
        BlockError::Timestamp { .. }
    ));
    assert!(matches!(
        with(|h| h.proposer = ValidatorId::ZERO),
        BlockError::Proposer(_)
    ));
    assert!(matches!(
        with(|h| h.transaction_root = Hash32::ZERO),
        BlockError::Body
    ));
    assert!(matches!(
        with(|h| h.base_fee = Amount(1)),
        BlockError::BaseFee { .. }
    ));
    assert!(matches!(
        with(|h| h.next_committee = Hash32([1; 32])),
        BlockError::NextCommittee { .. }
    ));
    // What the header says of its parent's results is compared by the node, which knows them.
    let mut block = good.clone();
    block.header.parent_gas_used = Gas(1);
    assert!(chain.try_execute(&block).is_ok());
}

#[test]
fn a_boundary_block_announces_the_next_committee() {
    let mut chain = Chain::with(|params| params.epoch_length = 3);
    for height in 1..=7u64 {
        let block = chain.block(Vec::new());
        let expected = if height % 3 == 0 {
            chain.rules.committee.hash()
        } else {
            Hash32::ZERO
        };
        assert_eq!(block.header.next_committee, expected);
        let mut wrong = block.clone();
        wrong.header.next_committee = if height % 3 == 0 {
            Hash32::ZERO
        } else {
            chain.rules.committee.hash()
        };
        assert!(matches!(
            chain.try_execute(&wrong),
            Err(BlockError::NextCommittee { .. })
        ));
        chain.push(&block);
    }
}

#[test]
fn an_epoch_is_so_many_blocks_and_genesis_belongs_to_the_first() {
    let rules = Chain::with(|params| params.epoch_length = 3).rules;
    let epochs: Vec<_> = (0..8).map(|height| rules.epoch(Height(height)).0).collect();
    assert_eq!(epochs, [1, 1, 1, 1, 2, 2, 2, 3]);
    let boundaries: Vec<_> = (0..8)
        .filter(|height| rules.is_boundary(Height(*height)))
        .collect();
    assert_eq!(boundaries, [3, 6], "genesis ends nothing");
}

#[test]
fn a_block_above_its_gas_limit_is_invalid() {
    let chain = Chain::new();
    let block = chain.block(vec![chain.sign(3, transfer(4, square(1)))]);
    let gas = chain.try_execute(&block).unwrap().gas;
    let mut exact = chain.clone();
    exact.rules.params.block_gas_limit = gas.0;
    assert!(exact.try_execute(&block).is_ok());
    exact.rules.params.block_gas_limit = gas.0 - 1;
    let limit = Gas(gas.0 - 1);
    assert_eq!(
        exact.try_execute(&block),
        Err(BlockError::TooMuchGas { gas, limit })
    );
}

#[test]
fn nonces_count_within_a_block() {
    let mut chain = Chain::new();
    let first = chain.sign(3, transfer(4, square(1)));
    let second = chain.sign_later(3, 1, transfer(4, square(2)));
    let swapped = chain.block(vec![second.clone(), first.clone()]);
    assert!(matches!(
        chain.try_execute(&swapped),
        Err(BlockError::Transaction { position: 0, .. })
    ));
    let twice = chain.block(vec![first.clone(), first.clone()]);
    assert!(matches!(
        chain.try_execute(&twice),
        Err(BlockError::Transaction { position: 1, .. })
    ));
    chain.next(vec![first.clone(), second]);
    assert_eq!(chain.account(4).balance, square(10_003));
    let replay = chain.block(vec![first]);
    assert!(chain.try_execute(&replay).is_err());
}

#[test]
fn chain_time_counts_at_most_twice_the_idle_target_per_block() {
    let mut chain = Chain::new();
    for (step, expected) in [
        (100, 100),
        (999, 1_099),
        (1_000, 2_099),
        (60_000, 3_099),
        (1, 3_100),
    ] {
        chain.push(&chain.block_with(step, Vec::new(), Vec::new()));
        assert_eq!(
            vm::chain_record(&chain.state).unwrap().chain_time.0,
            expected
        );
    }
}

#[test]
fn a_block_is_urgent_if_it_carried_more_than_a_beacon_output() {
    let mut chain = Chain::new();
    assert!(!chain.next(Vec::new()).urgent);
    assert!(
        chain
            .next(vec![chain.sign(3, transfer(4, square(1)))])
            .urgent
    );
    assert!(vm::chain_record(&chain.state).unwrap().urgent);
    assert!(!chain.next(Vec::new()).urgent);
    assert!(!vm::chain_record(&chain.state).unwrap().urgent);
}

#[test]
fn execution_is_a_function_of_its_input() {
    let mut chain = Chain::new();
    for n in 2..8 {
        let block = chain.block(vec![chain.sign(n, transfer(1, square(u128::from(n))))]);
        assert_eq!(chain.try_execute(&block), chain.try_execute(&block));
        chain.push(&block);
    }
}

#[test]
fn an_unreadable_state_is_a_fault_and_no_verdict() {
    let mut chain = Chain::new();
    let block = chain.block(Vec::new());
    chain
        .state
        .insert(types::state_key::StateKey::Chain, Some(vec![1, 2, 3]));
    assert!(matches!(
        chain.try_execute(&block),
        Err(BlockError::Abort(_))
    ));
    chain.state.remove(&types::state_key::StateKey::Chain);
    assert!(matches!(
        chain.try_execute(&block),
        Err(BlockError::Abort(_))
    ));
}

#[test]
fn a_supply_that_does_not_add_up_is_a_fault() {
    let mut chain = Chain::new();
    let mut record = vm::chain_record(&chain.state).unwrap();
    record.burned = Amount(1);
    chain.state.insert(
        types::state_key::StateKey::Chain,
        Some(types::codec::encode(&record)),
    );
    assert!(matches!(
        chain.try_execute(&chain.block(Vec::new())),
        Err(BlockError::Abort(_))
    ));
}

#[test]
fn an_empty_body_has_an_empty_receipt_root() {
    let mut chain = Chain::new();
    let mut block = chain.block_with(1, Vec::new(), Vec::new());
    block.body.transactions = Bounded::default();
    let executed = chain.push(&block);
    assert!(executed.receipts.is_empty());
    assert_eq!(executed.receipt_root, TransactionReceipt::root(&[]));
    assert_eq!(executed.gas, Gas(0));
}
