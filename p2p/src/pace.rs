//! How often something may happen: a burst, and then once in a while. Pure.

use std::time::{Duration, Instant};

/// One event every `every` in the long run, and as many as `burst` at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventPace {
    every: Duration,
    burst: u32,
    /// When all that happened is paid for.
    paid_at: Instant,
}

impl EventPace {
    pub(crate) fn new(every: Duration, burst: u32, now: Instant) -> Self {
        Self {
            every,
            burst,
            paid_at: now,
        }
    }

    /// Counts an event, unless it comes too soon.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let paid_at = self.paid_at.max(now) + self.every;
        let allowed = paid_at.duration_since(now) <= self.every * self.burst;
        if allowed {
            self.paid_at = paid_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_one_event_passes_each_time() {
        let start = Instant::now();
        let every = Duration::from_secs(10);
        let mut pace = EventPace::new(every, 3, start);
        let passed = |pace: &mut EventPace, now| (0..5).filter(|_| pace.take(now)).count();
        assert_eq!(passed(&mut pace, start), 3);
        assert_eq!(passed(&mut pace, start + every / 2), 0);
        assert_eq!(passed(&mut pace, start + every), 1);
        assert_eq!(passed(&mut pace, start + every * 9), 3);
    }
}
