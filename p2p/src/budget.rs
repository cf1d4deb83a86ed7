//! How fast the frames of one validator on one channel are read. A frame costs its bytes and a fixed amount; who is over
//! its budget is read from later, so that its own connection fills up and nobody else's time is spent.

use std::time::{Duration, Instant};

use crate::config::ReadRate;

/// How much may come at once, as the time in which it would come at the rate.
const BURST: Duration = Duration::from_secs(2);

/// The budget of one validator for one channel, kept as the time at which all that was read is paid for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadBudget {
    rate: ReadRate,
    paid_at: Instant,
}

impl ReadBudget {
    pub(crate) fn new(rate: ReadRate, now: Instant) -> Self {
        Self { rate, paid_at: now }
    }

    /// Charges a frame; gives how long the next one must wait.
    pub(crate) fn charge(&mut self, bytes: usize, now: Instant) -> Duration {
        let nanos = |count: u64, per_second: u32| {
            count.saturating_mul(1_000_000_000) / u64::from(per_second.max(1))
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let cost = nanos(bytes, self.rate.bytes_per_second) + nanos(1, self.rate.frames_per_second);
        self.paid_at = self.paid_at.max(now) + Duration::from_nanos(cost);
        (self.paid_at - now).saturating_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: ReadRate = ReadRate {
        bytes_per_second: 1_000_000,
        frames_per_second: 100,
    };

    /// Frames of that length read in ten seconds by a reader that waits as it is told.
    fn read_in_ten_seconds(bytes: usize) -> u32 {
        let start = Instant::now();
        let (mut now, mut frames) = (start, 0);
        let mut budget = ReadBudget::new(RATE, start);
        while now < start + Duration::from_secs(10) {
            frames += 1;
            now += budget.charge(bytes, now);
        }
        frames
    }

    #[test]
    fn short_frames_are_bounded_by_their_number_and_long_ones_by_their_bytes() {
        // Twelve seconds' worth: ten, and the burst.
        assert!((1_198..=1_202).contains(&read_in_ten_seconds(0)));
        assert!((119..=121).contains(&read_in_ten_seconds(90_000)));
    }

    #[test]
    fn who_was_quiet_may_send_a_burst_and_no_more() {
        let start = Instant::now();
        let mut budget = ReadBudget::new(RATE, start);
        let later = start + Duration::from_hours(1);
        for _ in 0..200 {
            assert_eq!(budget.charge(0, later), Duration::ZERO);
        }
        assert!(budget.charge(0, later) > Duration::ZERO);
    }
}
