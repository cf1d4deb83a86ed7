//! Who takes part: what was heard of each validator since the start, and since when the chain has not grown.
//!
//! It is for the operator and for whoever asks whether the node is ready. Nothing in consensus looks at it, so a
//! validator that claims a vote here gains nothing.

use std::collections::BTreeMap;

use consensus::Leaders;
use types::block::Header;
use types::committee::{Committee, ValidatorSet};
use types::hash::ValidatorId;
use types::number::{Height, View};
use types::time::{Monotonic, Now};

/// A chain that has not grown for that long is stalled, in milliseconds, unless ten idle blocks take longer.
const STALLED_AFTER_MS: u64 = 10_000;
/// The same in times of the idle target.
const STALLED_AFTER_IDLE_TARGETS: u64 = 10;
/// Views that are looked at when many end at once; nobody needs the count of a long absence.
const COUNTED_VIEWS: u64 = 64;

/// What was heard of a validator since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Presence {
    /// View of its latest vote or proposal, and when it came.
    pub voted: Option<(View, Now)>,
    /// Height of the newest final block that it proposed, and when that was decided here.
    pub proposed: Option<(Height, Now)>,
    /// Views that it led and that ended without a block.
    pub missed: u64,
}

/// A chain that does not grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainStandstill {
    /// Time since the last block, or since the start, in milliseconds.
    pub for_ms: u64,
    /// Other validators of which nothing was heard in that time, by ascending id.
    pub silent: Vec<ValidatorId>,
    /// True if those that are heard, with this one, could decide.
    pub quorum_is_heard: bool,
}

/// What was heard of the members of one committee.
#[derive(Debug)]
pub struct Attendance {
    own: ValidatorId,
    committee: Committee,
    leaders: Leaders,
    seen: BTreeMap<ValidatorId, Presence>,
    /// Views below are counted.
    counted: View,
    /// When a block was decided here last; the start before the first one.
    grown: Monotonic,
    stalled_after_ms: u64,
}

impl Attendance {
    pub(crate) fn new(
        own: ValidatorId,
        committee: Committee,
        leaders: Leaders,
        view: View,
        idle_target_ms: u64,
        now: Now,
    ) -> Self {
        Self {
            own,
            committee,
            leaders,
            seen: BTreeMap::new(),
            counted: view,
            grown: now.monotonic,
            stalled_after_ms: idle_target_ms
                .saturating_mul(STALLED_AFTER_IDLE_TARGETS)
                .max(STALLED_AFTER_MS),
        }
    }

    /// Of somebody who is no member nothing is kept.
    fn of(&mut self, validator: ValidatorId) -> Option<&mut Presence> {
        self.committee.validator(&validator)?;
        Some(self.seen.entry(validator).or_default())
    }

    /// A validator voted or proposed, over its own connection.
    pub(super) fn voted(&mut self, now: Now, by: ValidatorId, view: View) {
        if let Some(presence) = self.of(by) {
            presence.voted = Some((view, now));
        }
    }

    /// A block is in the store.
    pub(super) fn decided(&mut self, now: Now, header: &Header) {
        self.grown = now.monotonic;
        if let Some(presence) = self.of(header.proposer) {
            presence.proposed = Some((header.height, now));
        }
    }

    /// Consensus is in a view now: whoever led one of those before it that was nullified has missed it.
    pub(crate) fn entered(&mut self, view: View, is_nullified: impl Fn(View) -> bool) {
        let first = self.counted.0.max(view.0.saturating_sub(COUNTED_VIEWS));
        for ended in (first..view.0)
            .map(View)
            .filter(|ended| is_nullified(*ended))
        {
            let leader = self.leaders.leader(ended);
            let leader = self.committee.id(leader);
            if let Some(presence) = leader.and_then(|leader| self.of(leader)) {
                presence.missed = presence.missed.saturating_add(1);
            }
        }
        self.counted = self.counted.max(view);
    }

    /// What was heard of each member, in the order of the committee.
    pub fn members(&self) -> impl Iterator<Item = (ValidatorId, Presence)> {
        let ids = self.committee.ids().iter();
        ids.map(|id| (*id, self.seen.get(id).copied().unwrap_or_default()))
    }

    /// The committee that it is about.
    #[must_use]
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// Views that other validators led and that ended without a block, of all together.
    #[must_use]
    pub fn missed(&self) -> u64 {
        let missed = self.seen.values().map(|presence| presence.missed);
        missed.fold(0, u64::saturating_add)
    }

    /// Time since the last block was decided here, or since the start, in milliseconds.
    #[must_use]
    pub fn since_block_ms(&self, now: Now) -> u64 {
        now.monotonic.0.saturating_sub(self.grown.0)
    }

    /// Whether the chain stands still, and of whom nothing is heard.
    #[must_use]
    pub fn standstill(&self, now: Now) -> Option<ChainStandstill> {
        let for_ms = self.since_block_ms(now);
        if for_ms < self.stalled_after_ms {
            return None;
        }
        // Who is there repeats what it said a few times in that time.
        let since = now.monotonic.0.saturating_sub(self.stalled_after_ms);
        let is_heard = |presence: &Presence| {
            let voted = presence.voted.map(|(_, at)| at.monotonic.0);
            voted.is_some_and(|at| at >= since)
        };
        let mut heard = ValidatorSet::default();
        let mut silent = Vec::new();
        for (index, (id, presence)) in self.committee.indices().zip(self.members()) {
            if id == self.own || is_heard(&presence) {
                heard.insert(index);
            } else {
                silent.push(id);
            }
        }
        silent.sort_unstable();
        let quorum_is_heard = self.committee.decides(self.committee.stake_of(&heard));
        Some(ChainStandstill {
            for_ms,
            silent,
            quorum_is_heard,
        })
    }
}

#[cfg(test)]
mod tests;
