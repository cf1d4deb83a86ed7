//! Whom to ask. Nobody can be made to answer, so nobody is relied upon: who fails to answer, or answers with nothing
//! useful, comes after everybody who failed less often, and of the others each has its turn. A liar is asked again
//! only once all others have failed as often as it did, and one that gives little gets one turn among many.

use std::collections::BTreeMap;

use types::number::ValidatorIndex;

use types::time::Monotonic;

/// How often the wait for a range may be doubled: from 500 ms to 4 s.
const MAX_DOUBLINGS: u32 = 3;

/// What one validator did with our requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct SourceRecord {
    /// Requests that it did not answer in time or answered with nothing useful.
    failures: u32,
    /// Requests for ranges that it got.
    turns: u32,
}

/// What all did, since something has been missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct BlockSources {
    standing: BTreeMap<ValidatorIndex, SourceRecord>,
    /// Ranges came that were no longer waited for: how often the wait was doubled.
    doublings: u32,
}

impl BlockSources {
    /// A validator failed to answer, or answered with nothing useful.
    pub(super) fn failed(&mut self, index: ValidatorIndex) {
        let standing = self.standing.entry(index).or_default();
        standing.failures = standing.failures.saturating_add(1);
    }

    /// A validator is asked for a range.
    pub(super) fn has_turn(&mut self, index: ValidatorIndex) {
        let standing = self.standing.entry(index).or_default();
        standing.turns = standing.turns.saturating_add(1);
    }

    /// A useful range came late: the network is slower than we wait.
    pub(super) fn came_late(&mut self) {
        self.doublings = (self.doublings + 1).min(MAX_DOUBLINGS);
    }

    /// How long a range is waited for.
    pub(super) fn time_limit(&self, retry_ms: u64) -> u64 {
        retry_ms << self.doublings
    }

    /// Who is asked for a range next, of `candidates`, the best first. Those who answer come before those who do not
    /// only as far as their answers are useful: otherwise a liar would come before whoever's answer was once lost.
    pub(super) fn for_range(
        &self,
        candidates: &[ValidatorIndex],
        ask: &Ask,
    ) -> Option<ValidatorIndex> {
        let rank = |index: &ValidatorIndex| {
            let SourceRecord { failures, turns } = self.of(*index);
            (failures, ask.outstanding(*index), turns)
        };
        candidates.iter().copied().min_by_key(rank)
    }

    /// Who is asked next for something that has one answer: whoever was not, those who failed less often first.
    pub(super) fn for_thing(
        &self,
        candidates: &[ValidatorIndex],
        ask: &Ask,
    ) -> Option<ValidatorIndex> {
        candidates
            .iter()
            .copied()
            .min_by_key(|index| (ask.outstanding(*index), self.of(*index).failures))
    }

    fn of(&self, index: ValidatorIndex) -> SourceRecord {
        self.standing.get(&index).copied().unwrap_or_default()
    }
}

/// A request in the air.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    /// When the first was asked.
    pub since: Monotonic,
    /// When the next validator is asked.
    pub at: Monotonic,
    /// How many were asked since the last useful answer.
    pub asked: usize,
    /// Who is waited for.
    last: Option<ValidatorIndex>,
    /// Who was asked and has not answered, and how often.
    unanswered: BTreeMap<ValidatorIndex, u32>,
}

impl Ask {
    /// Nobody was asked; somebody is to be at once.
    pub(super) fn new(at: Monotonic) -> Self {
        Self {
            since: at,
            at,
            asked: 0,
            last: None,
            unanswered: BTreeMap::new(),
        }
    }

    /// Asks a validator and gives the one before up, if it still was waited for.
    pub(super) fn turn_to(
        &mut self,
        index: ValidatorIndex,
        until: Monotonic,
    ) -> Option<ValidatorIndex> {
        self.asked = self.asked.saturating_add(1);
        self.at = until;
        *self.unanswered.entry(index).or_default() += 1;
        self.last.replace(index)
    }

    /// How many requests a validator has not answered.
    pub(super) fn outstanding(&self, index: ValidatorIndex) -> u32 {
        self.unanswered.get(&index).copied().unwrap_or_default()
    }

    /// Counts an answer. False if none was due.
    pub(super) fn is_answered_by(&mut self, index: ValidatorIndex) -> bool {
        let Some(left) = self.unanswered.get_mut(&index) else {
            return false;
        };
        *left -= 1;
        if *left == 0 {
            self.unanswered.remove(&index);
        }
        true
    }

    /// True if this validator is waited for, rather than given up.
    pub(super) fn waits_for(&self, index: ValidatorIndex) -> bool {
        self.last == Some(index)
    }

    /// The next validator is to be asked now.
    pub(super) fn ask_next(&mut self, now: Monotonic) {
        (self.last, self.at) = (None, now);
    }
}
