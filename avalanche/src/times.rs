//! How long the VM took to answer the host's calls about blocks, for its metrics. What the host measures of the same calls
//! and is not in here went to gRPC.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The calls that are timed: those that each block needs.
const TIMED: [&str; 5] = [
    "BuildBlock",
    "ParseBlock",
    "SetPreference",
    "BlockVerify",
    "BlockAccept",
];

/// Counts and sums since the start of the process.
#[derive(Debug, Default)]
pub struct CallTimes([CallTime; TIMED.len()]);

#[derive(Debug, Default)]
struct CallTime {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What a kind of call took in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTotal {
    /// Name of the call.
    pub call: &'static str,
    /// How often it was answered.
    pub count: u64,
    /// How long the answers took together.
    pub took: Duration,
}

impl CallTimes {
    /// Adds an answer; calls that are not timed are not counted.
    pub fn add(&self, call: &str, took: Duration) {
        if let Some(at) = TIMED.iter().position(|timed| *timed == call) {
            let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.0[at].count.fetch_add(1, Ordering::Relaxed);
            self.0[at]
                .nanoseconds
                .fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// The sums so far, one for each call that is timed.
    pub fn totals(&self) -> impl Iterator<Item = CallTotal> {
        TIMED.iter().zip(&self.0).map(|(call, time)| CallTotal {
            call,
            count: time.count.load(Ordering::Relaxed),
            took: Duration::from_nanos(time.nanoseconds.load(Ordering::Relaxed)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_every_block_needs_are_summed_and_others_are_not() {
        let times = CallTimes::default();
        times.add("BlockVerify", Duration::from_millis(2));
        times.add("BlockVerify", Duration::from_millis(3));
        times.add("WaitForEvent", Duration::from_hours(1));
        let totals: Vec<_> = times.totals().filter(|total| total.count > 0).collect();
        let took = Duration::from_millis(5);
        let verified = CallTotal {
            call: "BlockVerify",
            count: 2,
            took,
        };
        assert_eq!(totals, [verified]);
    }
}
