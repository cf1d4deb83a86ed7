//! The one line a minute that says how a validator is doing.

use std::collections::BTreeMap;

use types::hash::ValidatorId;
use types::number::Height;
use types::time::Monotonic;
use types::words::counted;

use crate::core::attendance::Attendance;

/// Time between two lines, in milliseconds.
const EVERY_MS: u64 = 60_000;

/// Where things stood at the last line.
#[derive(Debug, Default)]
pub(super) struct MinuteLine {
    at: Monotonic,
    height: Height,
    missed: BTreeMap<ValidatorId, u64>,
}

impl MinuteLine {
    /// Counts from this time and height on.
    pub(super) fn new(now: Monotonic, height: Height) -> Self {
        Self {
            at: now,
            height,
            missed: BTreeMap::new(),
        }
    }

    /// The line, once a minute is over.
    pub(super) fn due(
        &mut self,
        now: Monotonic,
        height: Height,
        peers: usize,
        attendance: &Attendance,
        label: impl Fn(&ValidatorId) -> String,
    ) -> Option<String> {
        let passed_ms = now.0.saturating_sub(self.at.0);
        if passed_ms < EVERY_MS {
            return None;
        }
        let blocks = height.0.saturating_sub(self.height.0);
        let rate = u128::from(blocks) * u128::from(EVERY_MS) / u128::from(passed_ms);
        let (mut views, mut names) = (0, Vec::new());
        for (id, presence) in attendance.members() {
            let before = self.missed.insert(id, presence.missed).unwrap_or(0);
            let missed = presence.missed.saturating_sub(before);
            if missed > 0 {
                views += missed;
                names.push(format!("{} {missed}", label(&id)));
            }
        }
        (self.at, self.height) = (now, height);
        let others = attendance.committee().members().len().saturating_sub(1);
        let missed = if names.is_empty() {
            "no view missed".to_owned()
        } else {
            format!("{} missed: {}", counted(views, "view"), names.join(", "))
        };
        Some(format!(
            "height {height}, {} a minute, {peers} of {}, {missed}",
            counted(rate, "block"),
            counted(others, "peer"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use consensus::Leaders;
    use types::hash::ChainId;
    use types::number::{Epoch, View};
    use types::testing::committee;
    use types::time::Now;

    use super::*;

    #[test]
    fn a_line_comes_once_a_minute_and_counts_what_was_missed_since_the_last_one() {
        let committee = committee(&[1]);
        let leaders = Leaders::new(ChainId::default(), Epoch::FIRST, committee.clone());
        let own = committee.ids()[0];
        let mut seen = Attendance::new(own, committee, leaders, View(1), 500, Now::default());
        let mut line = MinuteLine::new(Monotonic(0), Height(10));
        let label = |_: &ValidatorId| "zurich".to_owned();
        assert_eq!(
            line.due(Monotonic(59_999), Height(70), 3, &seen, label),
            None
        );
        let first = line.due(Monotonic(60_000), Height(70), 3, &seen, label);
        let expected = "height 70, 60 blocks a minute, 3 of 0 peers, no view missed";
        assert_eq!(first.as_deref(), Some(expected));
        seen.entered(View(3), |_| true);
        let second = line.due(Monotonic(180_000), Height(80), 0, &seen, label);
        let expected = "height 80, 5 blocks a minute, 0 of 0 peers, 2 views missed: zurich 2";
        assert_eq!(second.as_deref(), Some(expected));
        let third = line
            .due(Monotonic(240_000), Height(80), 0, &seen, label)
            .unwrap();
        assert!(third.ends_with("no view missed"), "{third}");
    }
}
