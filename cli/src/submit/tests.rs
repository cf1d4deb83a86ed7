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
    send(&running.client, &key, action, None, SOON).await
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
