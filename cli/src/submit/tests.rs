//! A refusal strands nothing: whoever is overtaken signs anew, whoever finds no room waits, and what is given up on is
//! nowhere.

use std::sync::atomic::Ordering;

use types::hash::Address;
use types::number::{Nonce, SQUARE};

use super::*;
use crate::job::fake::{RunningFake, start};

const SOON: Duration = Duration::from_secs(5);

async fn pay(running: &RunningFake) -> Result<Sent, CommandFailure> {
    let key = SecretKey::from_bytes(&[1; 32]);
    let action = Action::Transfer {
        to: Address::default(),
        amount: SQUARE,
    };
    let any = SigningTerms::default();
    send(&running.client, &key, action, any, SOON).await
}

/// The fake network's minimum fee is one base unit.
#[tokio::test]
async fn the_least_fee_is_offered_or_the_one_that_is_given() {
    let running = start().await;
    let key = SecretKey::from_bytes(&[1; 32]);
    let job = types::hash::JobId::default();
    let fees = [
        (None, 3),
        (Some(Amount(77)), 77),
        // What is asked is the chain's to say.
        (Some(Amount(1)), 1),
    ];
    for (fee, _) in fees {
        let terms = SigningTerms { chain: None, fee };
        let action = Action::CancelJob { job };
        send(&running.client, &key, action, terms, SOON)
            .await
            .unwrap();
    }
    let taken = running.fake.taken.lock().unwrap();
    let offered: Vec<_> = taken.iter().map(|one| one.transaction().fee.0).collect();
    assert_eq!(offered, fees.map(|(_, expected)| expected));
}

fn nonces(running: &RunningFake) -> Vec<Nonce> {
    let taken = running.fake.taken.lock().unwrap();
    taken
        .iter()
        .map(|signed| signed.transaction().nonce)
        .collect()
}

#[tokio::test]
async fn who_is_overtaken_signs_anew_as_often_as_is_promised() {
    let races = u32::try_from(NONCE_RACES).unwrap();
    for overtaken in 0..=races {
        let running = start().await;
        running.fake.overtakes.store(overtaken, Ordering::SeqCst);
        let sent = pay(&running).await.unwrap();
        assert_eq!(nonces(&running), [Nonce(u64::from(overtaken))]);
        let id = running.fake.taken.lock().unwrap()[0].id();
        assert_eq!(sent.id, id, "what was taken is waited for");
    }
}

#[tokio::test]
async fn who_is_overtaken_too_often_says_so_and_has_sent_nothing() {
    let running = start().await;
    running.fake.overtakes.store(u32::MAX, Ordering::SeqCst);
    let failure = pay(&running).await.unwrap_err();
    assert_eq!(failure.kind, ExitKind::Refused, "{failure}");
    assert!(nonces(&running).is_empty());
    // What follows is not behind it.
    running.fake.overtakes.store(0, Ordering::SeqCst);
    pay(&running).await.unwrap();
    assert_eq!(nonces(&running).len(), 1);
}

#[tokio::test]
async fn what_finds_no_room_goes_again_and_what_follows_comes_after_it() {
    let running = start().await;
    running.fake.full.store(3, Ordering::SeqCst);
    pay(&running).await.unwrap();
    running.fake.overtakes.store(1, Ordering::SeqCst);
    running.fake.full.store(1, Ordering::SeqCst);
    pay(&running).await.unwrap();
    pay(&running).await.unwrap();
    assert_eq!(nonces(&running), [Nonce(0), Nonce(2), Nonce(3)]);
}
