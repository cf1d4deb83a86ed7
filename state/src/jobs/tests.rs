//! Which jobs a block took in.

use types::block::Body;
use types::codec::Bounded;
use types::key::SecretKey;
use types::number::{Amount, Height, Nonce};
use types::testing;
use types::transaction::{Failure, Transaction};

use super::*;

fn signed(sender: u8, nonce: u64, action: Action) -> SignedTransaction {
    let key = SecretKey::from_bytes(&[sender; 32]);
    Transaction {
        chain_id: testing::genesis(&[1]).chain_id(),
        sender: key.public(),
        nonce: Nonce(nonce),
        valid_until: Height(9),
        fee: Amount(1),
        action,
    }
    .sign(&key)
}

fn job(sender: u8, nonce: u64) -> SignedTransaction {
    let spec = Box::new(testing::job_spec(testing::workload(b"module", 2)));
    signed(sender, nonce, Action::SubmitJob { spec })
}

fn transfer(sender: u8, nonce: u64) -> SignedTransaction {
    let to = Address::default();
    let amount = Amount(1);
    signed(sender, nonce, Action::Transfer { to, amount })
}

#[test]
fn a_job_is_of_whoever_submits_it() {
    let submitted = SubmittedJob::of(&job(1, 3)).unwrap();
    let transaction = job(1, 3).into_transaction();
    assert_eq!(submitted.customer, transaction.sender.address());
    assert_eq!(submitted.job, transaction.job_id());
    assert_eq!(SubmittedJob::of(&transfer(1, 3)), None);
}

#[test]
fn a_block_took_in_the_jobs_whose_transactions_succeeded_in_their_order() {
    let transactions = [job(2, 0), transfer(1, 0), job(1, 1), job(1, 2)];
    let receipt = |(at, signed): (usize, &SignedTransaction)| TransactionReceipt {
        id: signed.id(),
        fee: Amount(1),
        failure: (at == 2).then(|| Failure {
            code: "balance".to_owned(),
            message: "too little".to_owned(),
        }),
    };
    let receipts: Vec<_> = transactions.iter().enumerate().map(receipt).collect();
    let expected: Vec<_> = [&transactions[0], &transactions[3]]
        .map(|signed| SubmittedJob::of(signed).unwrap())
        .to_vec();
    let block = Block {
        header: testing::genesis(&[1]).header(),
        body: Body {
            transactions: Bounded::new(transactions.to_vec()).unwrap(),
            ..Body::default()
        },
    };
    let found: Vec<_> = submitted_jobs(&block, &receipts).collect();
    assert_eq!(found, expected);
}
