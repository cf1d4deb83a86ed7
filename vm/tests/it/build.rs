//! A built body is valid, holds what fits, and keeps the reserve for parties to jobs.

use types::block::Body;
use types::number::{Amount, Nonce, Timestamp};
use types::transaction::{JobStep, SignedTransaction, SystemTransaction};
use vm::{BuiltBody, Verified, build};

use crate::fixture::{Chain, key, square, transfer};
use types::testing::Random;

fn verified(chain: &Chain, all: Vec<SignedTransaction>) -> Vec<Verified> {
    all.into_iter()
        .map(|signed| Verified::new(&chain.rules, signed).unwrap())
        .collect()
}

fn body(chain: &Chain, system: &[SystemTransaction], candidates: &[Verified]) -> Body {
    built(chain, system, candidates).body
}

fn built(chain: &Chain, system: &[SystemTransaction], candidates: &[Verified]) -> BuiltBody {
    let timestamp = Timestamp(chain.tip.timestamp.0 + 100);
    build(
        &chain.rules,
        &chain.state,
        &chain.tip,
        chain.proposer(),
        timestamp,
        system,
        candidates,
    )
    .unwrap()
}

#[test]
fn what_is_built_is_valid_and_leaves_out_what_is_not() {
    let mut random = Random::new(7);
    let mut chain = Chain::new();
    for _ in 0..20 {
        let mut all = Vec::new();
        for n in 2..8u8 {
            let mut transaction =
                chain.unsigned(n, transfer(1, square(u128::from(random.below(3_000)))));
            match random.below(4) {
                0 => transaction.nonce = Nonce(transaction.nonce.0 + 1),
                1 => transaction.fee = Amount(transaction.fee.0 - 1),
                2 => transaction.fee = square(u128::from(random.below(20_000))),
                _ => {}
            }
            all.push(transaction.sign(&key(n)));
        }
        let candidates = verified(&chain, all);
        let (output, stale) = (chain.output(), Chain::new().output());
        let BuiltBody {
            body: built,
            executed,
            ..
        } = built(&chain, &[stale, output.clone()], &candidates);
        assert_eq!(built.system.first(), Some(&output));
        let block = chain.block_with(100, built.system.to_vec(), built.transactions.to_vec());
        assert_eq!(executed, chain.try_execute(&block).unwrap());
        let left_out = candidates
            .iter()
            .filter(|candidate| !built.transactions.contains(candidate.signed()));
        for candidate in left_out {
            let mut more = built.transactions.to_vec();
            more.push(candidate.signed().clone());
            assert!(
                chain
                    .try_execute(&chain.block_with(100, vec![output.clone()], more))
                    .is_err()
            );
        }
        chain.push(&block);
    }
}

#[test]
fn an_output_that_is_not_due_leaves_a_valid_block() {
    let mut chain = Chain::new();
    let stale = chain.output();
    chain.next(Vec::new());
    let built = body(&chain, &[stale], &[]);
    assert!(built.system.is_empty());
    chain.push(&chain.block_with(100, Vec::new(), Vec::new()));
}

#[test]
fn ordinary_transactions_leave_a_quarter_of_the_gas() {
    let mut chain = Chain::new();
    let all: Vec<_> = (0..16)
        .map(|later| chain.sign_later(3, later, transfer(4, Amount(1))))
        .collect();
    let candidates = verified(&chain, all);
    let one = vm::gas::of_transaction(candidates[0].bytes(), &candidates[0].transaction().action);
    // Room for 16: the reserve takes 4 of them.
    chain.rules.params.block_gas_limit = one.0 * 16;
    assert_eq!(body(&chain, &[], &candidates).transactions.len(), 12);
    // An action of a party that fails is no better than an ordinary one.
    let pretenders = (12..16).map(|later| {
        let job = types::hash::JobId::default();
        chain.sign_later(
            3,
            later,
            JobStep::Acknowledge.of(job, types::number::Attempt(0)),
        )
    });
    let pretenders = verified(&chain, pretenders.collect());
    let mut mixed = candidates[..12].to_vec();
    mixed.extend(pretenders);
    assert_eq!(body(&chain, &[], &mixed).transactions.len(), 12);
}

#[test]
fn ordinary_transactions_leave_a_quarter_of_the_bytes() {
    let mut chain = Chain::with(|params| params.block_gas_limit = 1 << 40);
    chain.rules.params.min_fee = Amount(0);
    let mut all = Vec::new();
    let mut later = 0;
    let one = chain.sign(3, transfer(4, Amount(1)));
    let bytes = types::codec::encode(&one).len();
    while all.len() * bytes < types::limits::MAX_BODY_BYTES {
        all.push(one.transaction().clone());
        all[later].nonce = Nonce(u64::try_from(later).unwrap());
        later += 1;
    }
    let candidates = verified(
        &chain,
        all.into_iter()
            .map(|transaction| transaction.sign(&key(3)))
            .collect(),
    );
    let built = body(&chain, &[], &candidates);
    let limit = types::limits::MAX_BODY_BYTES / 4 * 3;
    let used = built.transactions.len() * bytes;
    assert!(
        used <= limit && used + 2 * bytes > limit,
        "{used} of {limit}"
    );
}
