//! How long a validator may take to give a blob, and which ones took longer. Nobody is shut out for it: chunks that
//! came are kept, and the next fetch goes on where one ended, with another holder if there is one. But whoever was slow
//! is asked for one blob at a time, so that it holds one place among those that fetch, not all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use types::hash::ValidatorId;

use types::limits::BLOB_CHUNK_BYTES;

/// Slowest transfer that is not slow, in bytes per second.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// How long it is remembered that a validator was slow.
const SLOW_FOR: Duration = Duration::from_mins(10);

/// The time that a fetch may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchTime {
    /// On top of what the transfer takes, for the whole fetch.
    pub grace: Duration,
    /// What the transfer of a chunk takes.
    pub chunk: Duration,
}

impl FetchTime {
    /// That of a node.
    pub(crate) const NODE: Self = Self {
        grace: Duration::from_secs(10),
        chunk: Duration::from_millis(BLOB_CHUNK_BYTES * 1_000 / BYTES_PER_SECOND),
    };
}

/// What is left of the time for one fetch. What was saved on earlier chunks does not add up, so that a validator
/// that was quick at first cannot be slow for long.
#[derive(Debug)]
pub(crate) struct Allowance {
    limit: FetchTime,
    left: Duration,
}

impl Allowance {
    pub(crate) fn new(limit: FetchTime) -> Self {
        Self {
            limit,
            left: limit.grace,
        }
    }

    /// Time for the next chunk.
    pub(crate) fn next_chunk(&mut self) -> Duration {
        self.left = self.left.min(self.limit.grace) + self.limit.chunk;
        self.left
    }

    /// The chunk took that long.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }
}

/// Who is being asked, and who was slow.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    asked: BTreeMap<ValidatorId, usize>,
    /// Until when it is remembered.
    slow: BTreeMap<ValidatorId, Instant>,
}

impl Holders {
    /// A fetch begins; false if it must not, because the validator was slow and is being asked already.
    pub(crate) fn begin(&mut self, from: ValidatorId, now: Instant) -> bool {
        self.slow.retain(|_, until| *until > now);
        let asked = self.asked.entry(from).or_default();
        let may = *asked == 0 || !self.slow.contains_key(&from);
        *asked += usize::from(may);
        may
    }

    /// A fetch that began ended.
    pub(crate) fn end(&mut self, from: ValidatorId, slow: bool, now: Instant) {
        if let Some(asked) = self.asked.get_mut(&from) {
            *asked = asked.checked_sub(1).expect("what ends has begun");
            if *asked == 0 {
                self.asked.remove(&from);
            }
        }
        if slow {
            self.slow.insert(from, now + SLOW_FOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use types::testing::validator_id;

    use super::*;

    #[test]
    fn who_was_slow_is_asked_for_one_blob_at_a_time_until_that_is_forgotten() {
        let (mut holders, now) = (Holders::default(), Instant::now());
        let (slow, other) = (validator_id(1), validator_id(2));
        assert!(
            (0..3).all(|_| holders.begin(slow, now)),
            "nothing is known against it"
        );
        holders.end(slow, true, now);
        assert!(!holders.begin(slow, now));
        holders.end(slow, false, now);
        holders.end(slow, false, now);
        assert!(holders.begin(slow, now) && !holders.begin(slow, now));
        assert!(holders.begin(other, now) && holders.begin(other, now));
        assert!(holders.begin(slow, now + SLOW_FOR));
    }

    #[test]
    fn time_is_for_the_whole_fetch_and_is_not_saved_up() {
        let chunk = Duration::from_millis(250);
        let mut allowance = Allowance::new(FetchTime::NODE);
        assert_eq!(allowance.next_chunk(), Duration::from_millis(10_250));
        allowance.spend(Duration::from_millis(9_900));
        assert_eq!(
            allowance.next_chunk(),
            Duration::from_millis(600),
            "a second such chunk is too late"
        );
        for _ in 0..1_000 {
            allowance.next_chunk();
        }
        assert_eq!(allowance.next_chunk(), FetchTime::NODE.grace + chunk);
    }
}
