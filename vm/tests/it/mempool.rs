//! The mempool keeps what a block could take, within its caps, and answers for what it does not.

use std::cmp::Reverse;

use types::hash::TransactionId;
use types::limits::NONCES_PER_SENDER;
use types::number::{Amount, Height, Nonce};
use types::transaction::SignedTransaction;
use vm::{ChargeError, Inserted, Mempool, MempoolError, MempoolLimits};

use crate::fixture::{Chain, address, key, square, transfer};
use types::testing::Random;

fn insert(
    pool: &mut Mempool,
    chain: &Chain,
    signed: &SignedTransaction,
) -> Result<Inserted, MempoolError> {
    pool.insert(&chain.rules, &chain.state, chain.tip.height, signed.clone())
}

fn recheck(pool: &mut Mempool, chain: &Chain, executed: &vm::ExecutedBlock) {
    pool.recheck(
        &chain.rules,
        &chain.state,
        chain.tip.height,
        executed.writes.keys(),
    )
    .unwrap();
}

fn with_fee(chain: &Chain, n: u8, later: u64, fee: u128) -> SignedTransaction {
    let mut transaction = chain.unsigned(n, transfer(1, square(1)));
    transaction.nonce = Nonce(transaction.nonce.0 + later);
    transaction.fee = Amount(chain.genesis.params.min_fee.0 * fee);
    transaction.sign(&key(n))
}

fn order(pool: &Mempool) -> Vec<TransactionId> {
    pool.candidates().map(vm::Verified::id).collect()
}

fn small(transactions: usize) -> MempoolLimits {
    MempoolLimits {
        bytes: 1 << 20,
        transactions,
    }
}

#[test]
fn candidates_come_by_fee_and_each_senders_in_order() {
    let (chain, mut pool) = (Chain::new(), Mempool::new(MempoolLimits::default()));
    let fees = [(3, 0, 1), (3, 1, 9), (4, 0, 5), (5, 0, 5), (5, 2, 8)];
    let all: Vec<_> = fees
        .iter()
        .map(|(n, later, fee)| with_fee(&chain, *n, *later, *fee))
        .collect();
    for signed in &all {
        insert(&mut pool, &chain, signed).unwrap();
    }
    let expected: Vec<_> = [2, 3, 0, 1].iter().map(|i: &usize| all[*i].id()).collect();
    assert_eq!(
        order(&pool),
        expected,
        "nonce 2 of the last sender waits for nonce 1"
    );
    assert_eq!(pool.len(), 5);
    assert_eq!(pool.transaction(&all[4].id()), Some(&all[4]));
    assert_eq!(pool.next_nonce(&address(3), &chain.account(3)), Nonce(2));
    assert_eq!(pool.next_nonce(&address(5), &chain.account(5)), Nonce(1));
}

/// The order by its definition: again and again the best of all senders' heads.
fn order_by_definition(
    chain: &Chain,
    arrived: &[SignedTransaction],
    pool: &Mempool,
) -> Vec<TransactionId> {
    let waits = |signed: &&SignedTransaction| pool.transaction(&signed.id()) == Some(*signed);
    let mut left: Vec<_> = arrived.iter().filter(waits).collect();
    let mut next: Vec<_> = (0..8).map(|n| chain.account(n).nonce).collect();
    let mut all = Vec::new();
    loop {
        let sender = |signed: &SignedTransaction| {
            (0..8u8).find(|n| signed.transaction().sender == key(*n).public())
        };
        let heads = left.iter().enumerate().filter_map(|(place, signed)| {
            let n = usize::from(sender(signed)?);
            (signed.transaction().nonce == next[n]).then_some((place, n))
        });
        // Of equals the earliest, which stands before.
        let best = heads.min_by_key(|(place, _)| Reverse(left[*place].transaction().fee));
        let Some((place, n)) = best else { return all };
        all.push(left.remove(place).id());
        next[n] = next[n].next();
    }
}

#[test]
fn candidates_come_as_their_order_is_defined_over_random_use() {
    let mut random = Random::new(0xca4d);
    let (mut chain, mut pool) = (Chain::new(), Mempool::new(small(24)));
    let mut arrived = Vec::new();
    let mut longest = 0;
    for round in 0..200 {
        for _ in 0..8 {
            let n = u8::try_from(random.below(8)).unwrap();
            let signed = with_fee(&chain, n, random.below(4), u128::from(1 + random.below(5)));
            if insert(&mut pool, &chain, &signed).is_ok() {
                arrived.push(signed);
            }
        }
        let expected = order_by_definition(&chain, &arrived, &pool);
        assert_eq!(order(&pool), expected, "seed 0xca4d, round {round}");
        longest = longest.max(expected.len());
        let some = pool.candidates().take(3);
        let executed = chain.next(some.map(|candidate| candidate.signed().clone()).collect());
        recheck(&mut pool, &chain, &executed);
    }
    assert!(longest > 10, "several senders with several each");
}

#[test]
fn what_no_block_could_hold_is_refused_with_its_rule() {
    let (mut chain, mut pool) = (Chain::new(), Mempool::new(MempoolLimits::default()));
    chain.next(vec![chain.sign(3, transfer(1, square(1)))]);
    let mut with = |change: &dyn Fn(&mut types::transaction::Transaction)| {
        let mut transaction = chain.unsigned(3, transfer(1, square(1)));
        change(&mut transaction);
        insert(&mut pool, &chain, &transaction.sign(&key(3))).unwrap_err()
    };
    let charge = |error: MempoolError| match error {
        MempoolError::Charge(error) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        charge(with(&|t| t.chain_id.0.0[0] ^= 1)),
        ChargeError::WrongChain { .. }
    ));
    assert!(matches!(
        charge(with(&|t| t.nonce = Nonce(0))),
        ChargeError::Nonce { .. }
    ));
    assert!(matches!(
        charge(with(&|t| t.fee = Amount(0))),
        ChargeError::FeeTooLow { .. }
    ));
    assert!(matches!(
        charge(with(&|t| t.valid_until = Height(1))),
        ChargeError::Expired { .. }
    ));
    assert!(matches!(
        charge(with(&|t| t.valid_until = Height(100_003))),
        ChargeError::ValidTooLong { .. }
    ));
    assert!(matches!(
        with(&|t| t.nonce = Nonce(1 + NONCES_PER_SENDER)),
        MempoolError::NonceTooFar { .. }
    ));
    assert!(matches!(
        with(&|t| t.fee = square(10_000)),
        MempoolError::CannotPay { .. }
    ));
    let mut forged = chain.sign(3, transfer(1, square(1)));
    let SignedTransaction::Native(native) = &mut forged;
    native.signature.0[3] ^= 1;
    assert!(matches!(
        charge(insert(&mut pool, &chain, &forged).unwrap_err()),
        ChargeError::Signature(_)
    ));
    assert!(pool.is_empty());
    let good = chain.sign(3, transfer(1, square(1)));
    insert(&mut pool, &chain, &good).unwrap();
    assert_eq!(
        insert(&mut pool, &chain, &good),
        Err(MempoolError::Known(good.id()))
    );
}

#[test]
fn sixteen_nonces_of_a_sender_wait() {
    let (chain, mut pool) = (Chain::new(), Mempool::new(MempoolLimits::default()));
    for later in 0..NONCES_PER_SENDER {
        insert(&mut pool, &chain, &with_fee(&chain, 3, later, 1)).unwrap();
    }
    let error = insert(
        &mut pool,
        &chain,
        &with_fee(&chain, 3, NONCES_PER_SENDER, 9),
    )
    .unwrap_err();
    assert!(matches!(error, MempoolError::NonceTooFar { .. }) && error.is_retryable());
}

#[test]
fn a_replacement_pays_a_tenth_more() {
    let (chain, mut pool) = (Chain::new(), Mempool::new(MempoolLimits::default()));
    let first = with_fee(&chain, 3, 0, 10);
    insert(&mut pool, &chain, &first).unwrap();
    let mut almost = chain.unsigned(3, transfer(2, square(2)));
    almost.fee = Amount(chain.genesis.params.min_fee.0 * 11 - 1);
    let error = insert(&mut pool, &chain, &almost.clone().sign(&key(3))).unwrap_err();
    let free = Nonce(1);
    assert!(matches!(error, MempoolError::ReplacementFee { next, .. } if next == free));
    almost.fee.0 += 1;
    let second = almost.sign(&key(3));
    assert_eq!(
        insert(&mut pool, &chain, &second).unwrap().replaced,
        Some(first.id())
    );
    assert_eq!(order(&pool), [second.id()]);
    assert!(pool.transaction(&first.id()).is_none());
}

#[test]
fn the_fees_of_all_that_waits_must_be_payable() {
    let (chain, mut pool) = (Chain::new(), Mempool::new(MempoolLimits::default()));
    let price = |later: u64, whole| {
        let mut transaction = chain.unsigned(3, transfer(1, square(1)));
        (transaction.nonce, transaction.fee) = (Nonce(later), square(whole));
        transaction.sign(&key(3))
    };
    insert(&mut pool, &chain, &price(0, 6_000)).unwrap();
    assert!(matches!(
        insert(&mut pool, &chain, &price(1, 4_001)),
        Err(MempoolError::CannotPay { .. })
    ));
    insert(&mut pool, &chain, &price(1, 4_000)).unwrap();
}

#[test]
fn a_full_pool_evicts_what_pays_less_and_says_when_it_cannot() {
    // A quarter of the eight places is reserved: six for ordinary transactions.
    let (chain, mut pool) = (Chain::new(), Mempool::new(small(8)));
    let all: Vec<_> = (2..8u8)
        .map(|n| with_fee(&chain, n, 0, u128::from(n)))
        .collect();
    for signed in &all {
        insert(&mut pool, &chain, signed).unwrap();
    }
    let error = insert(&mut pool, &chain, &with_fee(&chain, 1, 0, 2)).unwrap_err();
    assert!(matches!(error, MempoolError::Full { .. }) && error.is_retryable());
    assert_eq!(pool.len(), 6);
    let better = with_fee(&chain, 1, 0, 3);
    assert_eq!(
        insert(&mut pool, &chain, &better).unwrap().evicted,
        [all[0].id()]
    );
    assert_eq!(pool.len(), 6);
    assert!(pool.transaction(&all[0].id()).is_none());
}

#[test]
fn what_follows_an_evicted_transaction_goes_with_it_and_nobody_evicts_himself() {
    let (chain, mut pool) = (Chain::new(), Mempool::new(small(8)));
    let own: Vec<_> = (0..6)
        .map(|later| with_fee(&chain, 3, later, if later == 2 { 1 } else { 5 }))
        .collect();
    for signed in &own {
        insert(&mut pool, &chain, signed).unwrap();
    }
    assert!(matches!(
        insert(&mut pool, &chain, &with_fee(&chain, 3, 6, 9)),
        Err(MempoolError::Full { .. })
    ));
    let evicted = insert(&mut pool, &chain, &with_fee(&chain, 4, 0, 2))
        .unwrap()
        .evicted;
    let expected: Vec<_> = own[2..].iter().map(SignedTransaction::id).collect();
    assert_eq!(evicted, expected);
    assert_eq!(pool.len(), 3);
}

#[test]
fn the_cap_on_bytes_holds() {
    let chain = Chain::new();
    let bytes = types::codec::encode(&with_fee(&chain, 3, 0, 1)).len();
    let limits = MempoolLimits {
        bytes: bytes * 4,
        transactions: 1_000,
    };
    let mut pool = Mempool::new(limits);
    for n in 2..5u8 {
        insert(&mut pool, &chain, &with_fee(&chain, n, 0, 1)).unwrap();
    }
    assert!(matches!(
        insert(&mut pool, &chain, &with_fee(&chain, 5, 0, 1)),
        Err(MempoolError::Full { .. })
    ));
    insert(&mut pool, &chain, &with_fee(&chain, 5, 0, 2)).unwrap();
    assert_eq!(pool.bytes(), bytes * 3);
}

#[test]
fn a_new_block_takes_out_what_it_includes_overtakes_impoverishes_or_outlives() {
    let (mut chain, mut pool) = (Chain::new(), Mempool::new(MempoolLimits::default()));
    let included = with_fee(&chain, 3, 0, 1);
    let next = with_fee(&chain, 3, 1, 1);
    let overtaken = with_fee(&chain, 4, 0, 1);
    let mut other = chain.unsigned(4, transfer(1, square(2)));
    other.fee = Amount(other.fee.0 * 2);
    let broke = with_fee(&chain, 5, 1, 1);
    let mut short = chain.unsigned(6, transfer(1, square(1)));
    short.valid_until = Height(1);
    for signed in [
        &included,
        &next,
        &overtaken,
        &broke,
        &short.clone().sign(&key(6)),
    ] {
        insert(&mut pool, &chain, signed).unwrap();
    }
    let fee = chain.genesis.params.min_fee;
    let all = Amount(square(10_000).0 - fee.0);
    let block = vec![
        included.clone(),
        other.sign(&key(4)),
        chain.sign(5, transfer(1, all)),
    ];
    let executed = chain.next(block);
    recheck(&mut pool, &chain, &executed);
    assert_eq!(order(&pool), [next.id()]);
    assert_eq!(pool.len(), 1);
    assert!(pool.is_ready());
}

#[test]
fn its_books_balance_over_random_use() {
    let mut random = Random::new(0x5eed);
    let (mut chain, mut pool) = (Chain::new(), Mempool::new(small(24)));
    for round in 0..200 {
        for _ in 0..6 {
            let n = u8::try_from(random.below(8)).unwrap();
            let signed = with_fee(&chain, n, random.below(5), u128::from(1 + random.below(8)));
            let _ = insert(&mut pool, &chain, &signed);
        }
        assert!(pool.len() <= 18, "seed 0x5eed, round {round}");
        if random.below(2) == 0 {
            let take: Vec<_> = pool
                .candidates()
                .take(5)
                .map(|candidate| candidate.signed().clone())
                .collect();
            let executed = chain.next(take);
            recheck(&mut pool, &chain, &executed);
        }
        let waiting: Vec<_> = pool.candidates().collect();
        assert!(waiting.len() <= pool.len());
        assert_eq!(pool.is_ready(), !waiting.is_empty());
        let everything = chain.next(Vec::new());
        recheck(&mut pool, &chain, &everything);
    }
    pool.recheck(&chain.rules, &chain.state, Height(u64::MAX), [])
        .unwrap();
    assert!(pool.is_empty());
    assert_eq!(
        pool.bytes(),
        0,
        "every byte that was counted in was counted out"
    );
}
