//! The time of a step, as a driver tells it to code that must not look at a clock itself.
//!
//! Two clocks: one that never goes back, for timers, and the wall clock, for timestamps of blocks. What it leaves out:
//! reading them, which only the rim of a process does.

use crate::number::Timestamp;

/// Milliseconds of a clock that never goes back, from an origin of the driver's choice. Only differences count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// That many milliseconds later.
    #[must_use]
    pub fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

/// The time of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Now {
    /// Milliseconds since the process started, for timers; never goes back.
    pub monotonic: Monotonic,
    /// Unix time in milliseconds, for timestamps of blocks.
    pub unix: Timestamp,
}
