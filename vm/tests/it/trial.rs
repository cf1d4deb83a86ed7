//! A trial that panics costs the transaction that it tries, and nobody else anything.

use state::{StateError, StateRead, Writes};
use types::hash::JobId;
use types::state_key::StateKey;
use types::transaction::SignedTransaction;
use vm::{Mempool, MempoolError, MempoolLimits};

use crate::fixture::square;
use crate::fixture::transfer;
use crate::job::world::{PARTNERS, World, demanding};

/// A state that panics when a partner is read, as a trial does and nothing else that the mempool does.
struct Trap<'a>(&'a Writes);

impl StateRead for Trap<'_> {
    fn read(&self, key: &StateKey) -> Result<Option<Vec<u8>>, StateError> {
        assert!(
            !matches!(key, StateKey::Partner(_)),
            "a bug that one transaction meets"
        );
        self.0.read(key)
    }
}

/// A world whose parties owe something, and what they owe.
fn owing() -> (World, JobId, Vec<SignedTransaction>) {
    let mut world = World::with(|params| params.compute.probation_multiple = 0);
    let job = world.submit(&demanding(2));
    world.run_to(&job, "verifying");
    let record = world.record(&job);
    let all = (0..PARTNERS).filter_map(|n| Some(world.chain.sign(n, world.duty(n, &record)?)));
    let all = all.collect();
    (world, job, all)
}

#[test]
fn a_panic_refuses_the_transaction_and_the_pool_goes_on() {
    let (world, _, duties) = owing();
    let (chain, mut pool) = (&world.chain, Mempool::new(MempoolLimits::default()));
    let trap = Trap(&chain.state);
    let duty = &duties[0];
    assert_eq!(
        pool.insert(&chain.rules, &trap, chain.tip.height, duty.clone()),
        Err(MempoolError::TrialPanicked(duty.id()))
    );
    assert!(pool.is_empty() && pool.bytes() == 0);
    let plain = chain.sign(6, transfer(1, square(1)));
    let inserted = pool.insert(&chain.rules, &trap, chain.tip.height, plain.clone());
    assert!(inserted.is_ok(), "a transfer needs no trial");
    let inserted = pool.insert(&chain.rules, &chain.state, chain.tip.height, duty.clone());
    assert!(inserted.is_ok(), "what failed left nothing behind");
}

#[test]
fn a_panic_after_a_block_drops_the_transaction() {
    let (mut world, job, duties) = owing();
    let mut pool = Mempool::new(MempoolLimits::default());
    for duty in &duties {
        let chain = &world.chain;
        pool.insert(&chain.rules, &chain.state, chain.tip.height, duty.clone())
            .unwrap();
    }
    // Nobody acts until the stage ends by itself: all are looked at again.
    let (before, waits_in) = (world.chain.state.clone(), world.record(&job).stage.name());
    while world.record(&job).stage.name() == waits_in {
        world.pass(1_000);
    }
    let state = &world.chain.state;
    let differs = |key: &&StateKey| before.get(key) != state.get(key);
    let changed: Vec<_> = state.keys().filter(differs).copied().collect();
    let chain = &world.chain;
    let panicked = pool
        .recheck(&chain.rules, &Trap(state), chain.tip.height, &changed)
        .unwrap();
    assert_eq!(panicked.len(), duties.len());
    assert!(pool.is_empty() && pool.bytes() == 0);
}
