//! A key whose holder is away for a while: nothing is signed, nothing is lost, and nothing spins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use types::key::Signature;
use types::signer::{KeyGuard, Signer, SigningRequest};

use super::*;

/// Holds a key, unless it is away.
#[derive(Debug)]
struct FlakyGuard {
    key: SecretKey,
    away: AtomicBool,
    asked: AtomicUsize,
}

impl KeyGuard for FlakyGuard {
    fn sign(&self, requests: &[SigningRequest]) -> Option<Vec<Signature>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let hashes = requests.iter().map(SigningRequest::signing_hash);
        let here = !self.away.load(Ordering::Relaxed);
        here.then(|| hashes.map(|hash| self.key.sign(&hash)).collect())
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}

fn guarded(me: usize) -> (World, Arc<FlakyGuard>) {
    let (mut config, keys) = config(me);
    let guard = Arc::new(FlakyGuard {
        key: keys[me].clone(),
        away: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
    });
    let holder: Arc<dyn KeyGuard> = guard.clone();
    config.signer = Signer::guarded(keys[me].public(), holder);
    (World::with(config), guard)
}

impl FlakyGuard {
    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// How often it was asked since this was asked for.
    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

/// The time after which a signature is asked for again.
fn retry_ms() -> u64 {
    config(0).0.timing.retry_ms
}

#[test]
fn a_vote_is_cast_once_the_holder_of_the_key_is_back() {
    let (mut world, guard) = guarded(3);
    let view = world.view_led(1, false);
    world.enter(view);
    guard.set_away(true);
    guard.asked();
    let block = world.block(view, &genesis());
    world.propose(view, 0, &block);
    assert_eq!(votes(&world.take()), []);
    assert_eq!(guard.asked(), 1);
    for _ in 0..10 {
        world.pass(1);
    }
    assert_eq!(
        guard.asked(),
        0,
        "whoever is away is not asked at each step"
    );
    world.pass(retry_ms());
    assert_eq!((votes(&world.take()), guard.asked()), (vec![], 1));
    guard.set_away(false);
    world.pass(retry_ms());
    assert_eq!(votes(&world.take()), [notarize(view, 0, &block)]);
}

#[test]
fn finalize_and_nullify_wait_for_the_holder_of_the_key_too() {
    let (mut world, guard) = guarded(3);
    let view = world.view_led(1, false);
    world.enter(view);
    guard.set_away(true);
    let block = world.certified(view, 0, &genesis());
    assert_eq!(world.engine.view(), View(view + 1), "it follows the others");
    assert_eq!(votes(&world.take()), []);
    guard.set_away(false);
    world.pass(retry_ms());
    assert_eq!(votes(&world.take()), [finalize(view, &block)]);

    guard.set_away(true);
    world.pass(60_000);
    assert_eq!(votes(&world.take()), []);
    guard.set_away(false);
    world.pass(retry_ms());
    assert_eq!(votes(&world.take()), [nullify(view + 1)]);
}

#[test]
fn a_leader_asks_for_another_block_once_it_can_sign_one() {
    let (mut world, guard) = guarded(0);
    let view = world.view_led(2, true);
    world.enter(view);
    world.step(Event::Urgent(true));
    world.pass(100);
    let (_, parent, height, at) = asked(&world.take()).expect("it is our turn");
    guard.set_away(true);
    let first = block(parent, height.0, at.0, world.config.me);
    let proposed = |block: &WholeBlock| Event::Proposed {
        view: View(view),
        block: block.clone(),
    };
    world.step(proposed(&first));
    let effects = world.take();
    assert_eq!(messages(&effects).count(), 0, "nothing leaves: {effects:?}");
    assert_eq!(asked(&effects), None, "not at once");
    guard.set_away(false);
    world.pass(retry_ms());
    let (_, parent, height, at) = asked(&world.take()).expect("a block to sign");
    let second = block(parent, height.0, at.0, world.config.me);
    world.step(proposed(&second));
    let effects = world.take();
    let sent: Vec<_> = messages(&effects)
        .filter(|message| matches!(message, Message::Proposal(_)))
        .collect();
    assert_eq!(sent.len(), 1, "{effects:?}");
    assert!(written_first(&effects));
}
