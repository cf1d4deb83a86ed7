//! The child's time for compiling: what the job is charged for the module buys so much processor time of the optimising compiler
//! and no more, because that compiler's work on some functions grows faster than any price that real programs could pay.
//!
//! A compiler cannot be stopped from within, so the child ends when the time is used up, and its parent starts another one that
//! uses the baseline compiler. Processor time, so that a busy machine decides nothing; and since no outcome depends on the
//! compiler, two machines need not agree.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use rustix::thread::{ClockId, NanosleepRelativeResult, Timespec, clock_nanosleep_relative};
use types::number::Fuel;

/// Processor time of the optimising compiler for one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CompileTime {
    /// What every module may take: a machine needs some time to begin with anything.
    pub least_milliseconds: u64,
    /// Nanoseconds in addition for each unit of fuel that the job is charged for the module.
    pub nanoseconds_per_unit: u64,
}

impl Default for CompileTime {
    /// Programs that compilers make take 5 to 9 ns a unit; the windows of the protocol allow 20, of which the rest is for the
    /// baseline compiler that comes after it.
    fn default() -> Self {
        Self {
            least_milliseconds: 5,
            nanoseconds_per_unit: 12,
        }
    }
}

impl CompileTime {
    /// No limit.
    pub const UNLIMITED: Self = Self {
        least_milliseconds: u64::MAX,
        nanoseconds_per_unit: 0,
    };

    /// The time for a module that costs its job `charge`.
    #[must_use]
    pub fn of(self, charge: Fuel) -> Duration {
        let by_charge = charge.0.saturating_mul(self.nanoseconds_per_unit);
        Duration::from_millis(self.least_milliseconds)
            .saturating_add(Duration::from_nanos(by_charge))
    }
}

/// A running limit of processor time.
pub(super) struct CompileClock(Arc<AtomicBool>);

impl CompileClock {
    /// Calls `late` once the process has used `limit` of processor time from now on, unless the clock is stopped before.
    pub(super) fn start(limit: Duration, late: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let request = Timespec::try_from(limit).map_err(io::Error::other)?;
        let settled = Arc::new(AtomicBool::new(false));
        let claim = Arc::clone(&settled);
        std::thread::Builder::new()
            .name("compile clock".into())
            .stack_size(64 << 10)
            .spawn(move || {
                // Nothing wakes it before, so that it may find that the clock was stopped long ago.
                sleep(request);
                if !claim.swap(true, Ordering::SeqCst) {
                    late();
                }
            })?;
        Ok(Self(settled))
    }

    /// Stops the clock; does not return where the time was used up before.
    pub(super) fn stop(self) {
        while self.0.swap(true, Ordering::SeqCst) {
            std::thread::park();
        }
    }
}

/// Sleeps until the process has used so much processor time.
fn sleep(mut left: Timespec) {
    while let NanosleepRelativeResult::Interrupted(rest) =
        clock_nanosleep_relative(ClockId::ProcessCPUTime, &left)
    {
        left = rest;
    }
}
