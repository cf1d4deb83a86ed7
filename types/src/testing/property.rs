//! Property tests that can be repeated.

use std::hash::{BuildHasher, Hasher, RandomState};

use proptest::test_runner::{Config, RngSeed};

/// A property test of so many cases whose seed is printed, which shows when the test fails. `PROPTEST_RNG_SEED` repeats
/// it. Nothing is written beside the sources: a case that failed becomes a test of its own.
#[must_use]
#[expect(
    clippy::print_stdout,
    reason = "tests show their output when they fail"
)]
pub fn seeded(cases: u32) -> Config {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().build_hasher().finish(),
    };
    println!("replay with PROPTEST_RNG_SEED={seed}");
    Config {
        rng_seed: RngSeed::Fixed(seed),
        ..config
    }
}
