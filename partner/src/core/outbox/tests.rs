//! Nonces, retries and expiry.

use types::hash::Hash32;
use types::transaction::JobStep;

use super::*;

const JOB: JobId = JobId(Hash32([1; 32]));

fn wanted(purposes: &[Purpose]) -> BTreeMap<Purpose, Action> {
    let action = |purpose: &Purpose| match purpose {
        Purpose::Bond => Action::Bond { amount: Amount(1) },
        _ => JobStep::Acknowledge.of(JOB, Attempt(0)),
    };
    purposes
        .iter()
        .map(|purpose| (*purpose, action(purpose)))
        .collect()
}

fn reconcile(
    outbox: &mut TransactionOutbox,
    nonce: u64,
    height: u64,
    purposes: &[Purpose],
) -> Sending {
    let key = SecretKey::from_bytes(&[1; 32]);
    let signer = TransactionSigner {
        chain: ChainId::default(),
        key: &key,
        fee: Amount(1),
    };
    outbox.reconcile(&signer, Nonce(nonce), Height(height), wanted(purposes))
}

fn nonces(sending: &Sending) -> Vec<u64> {
    sending
        .transactions
        .iter()
        .map(|signed| signed.transaction().nonce.0)
        .collect()
}

const PRIMARY: Purpose = Purpose::CommitAsPrimary(JOB, Attempt(0));
const VERIFIER: Purpose = Purpose::CommitAsVerifier(JOB, Attempt(0));

#[test]
fn nonces_follow_each_other_and_the_urgent_goes_first() {
    let mut outbox = TransactionOutbox::default();
    let sending = reconcile(&mut outbox, 5, 10, &[PRIMARY, VERIFIER, Purpose::Bond]);
    assert!(sending.changed);
    assert_eq!(nonces(&sending), [5, 6, 7]);
    let purposes: Vec<_> = outbox
        .pending()
        .iter()
        .map(|pending| pending.purpose)
        .collect();
    assert_eq!(purposes, [VERIFIER, PRIMARY, Purpose::Bond]);
}

#[test]
fn the_same_bytes_are_sent_again_after_a_while() {
    let mut outbox = TransactionOutbox::default();
    let first = reconcile(&mut outbox, 0, 10, &[PRIMARY]);
    assert_eq!(
        reconcile(&mut outbox, 0, 10 + SEND_AGAIN_HEIGHTS - 1, &[PRIMARY]),
        Sending::default()
    );
    let again = reconcile(&mut outbox, 0, 10 + SEND_AGAIN_HEIGHTS, &[PRIMARY]);
    assert_eq!(again.transactions, first.transactions);
    assert!(!again.changed);
    let mut restarted = outbox.resumed();
    assert_eq!(
        reconcile(&mut restarted, 0, 11, &[PRIMARY]).transactions,
        first.transactions
    );
}

#[test]
fn a_used_nonce_with_an_open_purpose_is_tried_again_after_a_growing_pause() {
    let mut outbox = TransactionOutbox::default();
    let (mut nonce, mut height, mut sent) = (0, 10, Vec::new());
    let mut given_up = Vec::new();
    for _ in 0..500 {
        let sending = reconcile(&mut outbox, nonce, height, &[PRIMARY]);
        for signed in sending.transactions {
            assert_eq!(signed.transaction().nonce, Nonce(nonce));
            sent.push(height);
            nonce += 1;
        }
        given_up.extend(sending.given_up);
        height += 1;
    }
    let pauses: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(
        pauses,
        [3, 5, 9, 17],
        "one block until it is seen, then 2^failures"
    );
    assert_eq!(given_up, [(PRIMARY, MAX_FAILURES)]);
}

#[test]
fn the_bond_is_never_given_up() {
    let mut outbox = TransactionOutbox::default();
    let (mut nonce, mut height, mut sent) = (0, 10, 0);
    for _ in 0..3_000 {
        let sending = reconcile(&mut outbox, nonce, height, &[Purpose::Bond]);
        assert_eq!(sending.given_up, []);
        if !sending.transactions.is_empty() {
            nonce += 1;
            sent += 1;
        }
        height += 1;
    }
    assert!(sent > 20, "{sent}");
}

#[test]
fn somebody_elses_transaction_on_the_nonce_is_no_loss() {
    let mut outbox = TransactionOutbox::default();
    reconcile(&mut outbox, 0, 10, &[PRIMARY]);
    assert_eq!(
        nonces(&reconcile(&mut outbox, 1, 11, &[PRIMARY])),
        [] as [u64; 0]
    );
    assert_eq!(nonces(&reconcile(&mut outbox, 1, 13, &[PRIMARY])), [1]);
}

#[test]
fn an_expired_transaction_takes_those_after_it_along() {
    let mut outbox = TransactionOutbox::default();
    reconcile(&mut outbox, 0, 10, &[VERIFIER]);
    reconcile(&mut outbox, 0, 200, &[VERIFIER, PRIMARY]);
    assert_eq!(outbox.pending().len(), 2);
    let late = 10 + VALID_HEIGHTS;
    assert_eq!(
        nonces(&reconcile(&mut outbox, 0, late, &[VERIFIER, PRIMARY])),
        [0, 1]
    );
    assert!(
        outbox
            .pending()
            .iter()
            .all(|pending| pending.transaction.transaction().valid_until > Height(late))
    );
}

#[test]
fn what_is_done_leaves_the_outbox() {
    let mut outbox = TransactionOutbox::default();
    reconcile(&mut outbox, 0, 10, &[PRIMARY, VERIFIER]);
    let sending = reconcile(&mut outbox, 2, 11, &[]);
    assert!(sending.changed && outbox.pending().is_empty());
    assert_eq!(outbox, TransactionOutbox::default());
}

#[test]
fn no_more_wait_than_a_mempool_holds() {
    let mut outbox = TransactionOutbox::default();
    let many: Vec<_> = (0..30)
        .map(|attempt| Purpose::CommitAsVerifier(JOB, Attempt(attempt)))
        .collect();
    assert_eq!(
        reconcile(&mut outbox, 0, 10, &many).transactions.len(),
        MAX_PENDING
    );
    assert_eq!(reconcile(&mut outbox, 0, 11, &many), Sending::default());
}
