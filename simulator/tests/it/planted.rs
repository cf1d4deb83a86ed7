//! Planted bugs: each rule that is broken on purpose must be caught by the simulator within a number of seeds, and a
//! run that breaks none must not be reported. Without this a green run would prove little.

use std::sync::atomic::{AtomicUsize, Ordering};

use consensus::Mutation;
use gridproof_simulator::{self as simulator, Options};

/// Seeds within which a broken rule must show.
const SEEDS: u64 = 400;

fn caught(mutation: Mutation) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let options = Options {
            mutation: Some(mutation),
            ..Options::default()
        };
        simulator::run(seed, options)
            .err()
            .map(|failure| (seed, failure.violation.to_string()))
    })
}

#[test]
fn planted_bugs_are_caught() {
    let next = AtomicUsize::new(0);
    let hunt = || {
        let mut missed = Vec::new();
        while let Some(mutation) = Mutation::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            match caught(*mutation) {
                Some((seed, violation)) => {
                    println!("{mutation:?}: caught by seed {seed}: {violation}")
                }
                None => missed.push(*mutation),
            }
        }
        missed
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let missed: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(hunt)).collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().expect("a hunt does not panic"))
            .collect()
    });
    assert!(
        missed.is_empty(),
        "not caught within {SEEDS} seeds: {missed:?}"
    );
}

#[test]
fn planted_build_without_a_bug_is_not_reported() {
    for seed in 0..20 {
        simulator::run(seed, Options::default()).unwrap_or_else(|failure| panic!("{failure}"));
    }
}
