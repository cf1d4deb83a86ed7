//! Nonces, retries and expiry.

use super::*;

fn wanted(purposes: &[Purpose]) -> BTreeMap<Purpose, Action> {
    let action = Action::Bond { amount: Amount(1) };
    let purposes = purposes.iter();
    purposes.map(|purpose| (*purpose, action.clone())).collect()
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
        min_fee: Amount(1),
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

const REGISTER: Purpose = Purpose::Register;
const BOND: Purpose = Purpose::Bond;

#[test]
fn nonces_follow_each_other() {
    let mut outbox = TransactionOutbox::default();
    let sending = reconcile(&mut outbox, 5, 10, &[BOND, REGISTER]);
    assert!(sending.changed);
    assert_eq!(nonces(&sending), [5, 6]);
    let pending = outbox.pending().iter();
    let purposes: Vec<_> = pending.map(|pending| pending.purpose).collect();
    assert_eq!(purposes, [REGISTER, BOND]);
}

#[test]
fn the_same_bytes_are_sent_again_after_a_while() {
    let mut outbox = TransactionOutbox::default();
    let first = reconcile(&mut outbox, 0, 10, &[BOND]);
    assert_eq!(
        reconcile(&mut outbox, 0, 10 + SEND_AGAIN_HEIGHTS - 1, &[BOND]),
        Sending::default()
    );
    let again = reconcile(&mut outbox, 0, 10 + SEND_AGAIN_HEIGHTS, &[BOND]);
    assert_eq!(again.transactions, first.transactions);
    assert!(!again.changed);
    let mut restarted = outbox.resumed();
    assert_eq!(
        reconcile(&mut restarted, 0, 11, &[BOND]).transactions,
        first.transactions
    );
}

#[test]
fn a_used_nonce_with_an_open_purpose_is_tried_again_after_a_growing_pause() {
    let mut outbox = TransactionOutbox::default();
    let (mut nonce, mut height, mut sent) = (0, 10, Vec::new());
    for _ in 0..500 {
        let sending = reconcile(&mut outbox, nonce, height, &[BOND]);
        for signed in sending.transactions {
            assert_eq!(signed.transaction().nonce, Nonce(nonce));
            sent.push(height);
            nonce += 1;
        }
        height += 1;
    }
    let pauses: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(
        pauses,
        [3, 5, 9, 17, 33, 65, 129, 129],
        "one block until it is seen, then 2^failures"
    );
}

#[test]
fn nothing_is_ever_given_up() {
    let mut outbox = TransactionOutbox::default();
    let (mut nonce, mut height, mut sent) = (0, 10, 0);
    for _ in 0..3_000 {
        let sending = reconcile(&mut outbox, nonce, height, &[BOND]);
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
    reconcile(&mut outbox, 0, 10, &[BOND]);
    assert_eq!(
        nonces(&reconcile(&mut outbox, 1, 11, &[BOND])),
        [] as [u64; 0]
    );
    assert_eq!(nonces(&reconcile(&mut outbox, 1, 13, &[BOND])), [1]);
}

#[test]
fn an_expired_transaction_takes_those_after_it_along() {
    let mut outbox = TransactionOutbox::default();
    reconcile(&mut outbox, 0, 10, &[REGISTER]);
    reconcile(&mut outbox, 0, 200, &[REGISTER, BOND]);
    assert_eq!(outbox.pending().len(), 2);
    let late = 10 + VALID_HEIGHTS;
    assert_eq!(
        nonces(&reconcile(&mut outbox, 0, late, &[REGISTER, BOND])),
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
    reconcile(&mut outbox, 0, 10, &[REGISTER, BOND]);
    let sending = reconcile(&mut outbox, 2, 11, &[]);
    assert!(sending.changed && outbox.pending().is_empty());
    assert_eq!(outbox, TransactionOutbox::default());
}
