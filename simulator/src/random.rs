//! The simulator's only source of chance: ChaCha with 8 rounds, so that a seed means the same on every machine and in
//! every build.

/// A stream of numbers that follows from its seed.
pub use types::testing::Random as SeededRandom;
