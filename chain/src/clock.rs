//! The time of a run, read at the rim: everything that decides gets it as an argument.

use std::time::{Duration, Instant};

use types::number::Timestamp;
use types::time::{Monotonic, Now};

/// Monotonic and wall-clock time of a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock whose monotonic time is zero now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Wall and monotonic time at this moment.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the rim: the core gets the time from here"
    )]
    pub fn now(&self) -> Now {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let unix = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic: Monotonic(ms(self.0.elapsed())),
            unix: Timestamp(ms(unix)),
        }
    }

    /// The moment at which that monotonic time comes.
    #[must_use]
    pub fn instant(&self, at: Monotonic) -> tokio::time::Instant {
        (self.0 + Duration::from_millis(at.0)).into()
    }
}
