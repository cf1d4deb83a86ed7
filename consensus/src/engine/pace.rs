//! How long a leader is waited for (rules 1, 2 and 10).
//!
//! A view counts from its *due* time on: when its leader may propose, as far as we can know. From then the leader has
//! 2 delta for a proposal and 3 delta for the whole view. Delta is measured: how long a good view takes from its due
//! time until we left it by a notarization, which is a proposal's and a vote's way with building, writing and
//! executing. It is kept for each leader, and what a quorum of the stake stays within counts, so that liars with F can
//! neither raise it nor, while the others are slower, lower it. It grows while views end without finality.
//!
//! A leader that has said nothing for long, while a quorum spoke, is not waited for at all.

use std::collections::BTreeMap;

use types::committee::ValidatorSet;
use types::number::{Stake, Timestamp, ValidatorIndex, View};

use super::Engine;
use super::certify::CertifiedParent;
use super::decide::Distance;
use types::time::{Monotonic, Now};

/// Views in a row without finality after which silent leaders are waited for again: a partition must not make views race.
const MAX_SKIPS: u64 = 16;
/// A silent leader was last heard so many views ago at least: between two blocks nobody may have anything to say.
const SILENT_VIEWS: u64 = 3;

/// When a validator was last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct LastHeard {
    at: Monotonic,
    /// The view that we were in.
    view: View,
}

/// What is known of the others as leaders.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct LeaderRecords {
    heard: BTreeMap<ValidatorIndex, LastHeard>,
    /// How long the views of each leader take, in milliseconds: the mean of the last one and the estimate before.
    view_ms: BTreeMap<ValidatorIndex, u64>,
    /// How far our clock was ahead of each leader's when its last proposal came, in milliseconds, its way included.
    ahead_ms: BTreeMap<ValidatorIndex, i64>,
}

/// The timers of the current view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Timers {
    /// When the leader may propose, as far as we know.
    pub due: Monotonic,
    /// One network delay and what is done in it.
    delta_ms: u64,
    /// The leader was silent for long when we entered: it is not waited for.
    pub skipped: bool,
    /// Our nullify vote is sent again, or our proposal to whoever has not voted.
    pub retry: Monotonic,
}

impl Timers {
    /// Without a proposal until then, the view is given up.
    pub(super) fn proposal(&self) -> Monotonic {
        if self.skipped {
            return Monotonic::default();
        }
        self.due.after(self.delta_ms.saturating_mul(2))
    }

    /// Still in the view then, it is given up.
    pub(super) fn still(&self) -> Monotonic {
        self.due.after(self.delta_ms.saturating_mul(3))
    }
}

impl Engine {
    /// Starts the timers of the current view.
    pub(super) fn begin(&mut self, now: Now) {
        let leader = self.leaders.leader(self.view);
        // One that is only just over need not be final.
        let unfinalised = self.views_since_final().saturating_sub(2);
        let timing = &self.config.timing;
        self.entered = now.monotonic;
        self.timers = Timers {
            due: now.monotonic,
            delta_ms: timing.delta_after(self.measured_delta_ms(), unfinalised),
            skipped: self.is_silent(now, leader),
            retry: now.monotonic.after(timing.retry_ms),
        };
        self.timers.due = self.due(now, self.parent_at_hand().as_ref());
    }

    fn views_since_final(&self) -> u64 {
        self.view.0.saturating_sub(self.decided.view.0)
    }

    /// Nobody was heard before the start.
    pub(super) fn forget_voices(&mut self, now: Now) {
        for index in self.config.committee.indices() {
            self.note_heard(now, index);
        }
    }

    /// Notes that a validator said something with its key.
    pub(crate) fn note_heard(&mut self, now: Now, from: ValidatorIndex) {
        let heard = LastHeard {
            at: now.monotonic,
            view: self.view,
        };
        self.records.heard.insert(from, heard);
    }

    /// Notes how long the current view took, which ends in a notarization whose block is certified. One that we gave up
    /// before tells of messages that were lost, not of how long they take.
    pub(super) fn measure(&mut self, now: Now) {
        let (view, leader) = (self.view, self.leaders.leader(self.view));
        let given_up = self
            .rounds
            .get(&view)
            .is_some_and(|round| round.own.nullify.is_some());
        if given_up {
            return;
        }
        let took = now.monotonic.0.saturating_sub(self.timers.due.0);
        let estimate = self.records.view_ms.entry(leader).or_insert(took);
        *estimate = estimate.midpoint(took);
    }

    /// Notes how far the current leader's clock is from ours.
    pub(super) fn compare_clocks(&mut self, now: Now, timestamp: Timestamp) {
        let leader = self.leaders.leader(self.view);
        let ahead = now.unix.0.checked_signed_diff(timestamp.0);
        self.records
            .ahead_ms
            .insert(leader, ahead.unwrap_or(i64::MAX));
    }

    /// How far our clock is ahead of the leaders' (behind them: negative), in milliseconds, a proposal's way included:
    /// the stake-weighted median. Nothing before others have proposed who make a quorum with us.
    #[must_use]
    pub fn clock_ahead_ms(&self) -> Option<i64> {
        let committee = &self.config.committee;
        let stake = |index| committee.member(index).map_or(0, |member| member.stake.0);
        let mut seen: Vec<(i64, u64)> = self
            .records
            .ahead_ms
            .iter()
            .map(|(leader, ahead)| (*ahead, stake(*leader)))
            .collect();
        seen.sort_unstable();
        let known: u64 = seen.iter().map(|(_, stake)| stake).sum();
        if !committee.decides(Stake(known.saturating_add(stake(self.config.me)))) {
            return None;
        }
        let mut below = 0;
        seen.into_iter().find_map(|(ahead, stake)| {
            below += stake;
            (below >= known.div_ceil(2)).then_some(ahead)
        })
    }

    /// What the views of leaders with a quorum of the stake stay within; the first estimate while less is measured.
    pub(super) fn measured_delta_ms(&self) -> u64 {
        let (timing, committee) = (&self.config.timing, &self.config.committee);
        let mut measured: Vec<(u64, ValidatorIndex)> = self
            .records
            .view_ms
            .iter()
            .map(|(leader, took)| (*took, *leader))
            .collect();
        measured.sort_unstable();
        let mut within = ValidatorSet::default();
        for (took, leader) in measured {
            within.insert(leader);
            if committee.decides(committee.stake_of(&within)) {
                return took.clamp(timing.delta_min_ms, timing.delta_max_ms);
            }
        }
        timing.delta_ms
    }

    /// True if nothing was heard of a leader for long, while a quorum was heard.
    fn is_silent(&self, now: Now, leader: ValidatorIndex) -> bool {
        let (config, heard) = (&self.config, &self.records.heard);
        if leader == config.me || !self.is_voting() || self.views_since_final() > MAX_SKIPS {
            return false;
        }
        let long_ms = config.timing.retry_ms.max(3 * self.measured_delta_ms());
        let is_long_ago = |last: &LastHeard| now.monotonic.0.saturating_sub(last.at.0) > long_ms;
        let silent = heard.get(&leader).is_some_and(|last| {
            is_long_ago(last) && self.view.0.saturating_sub(last.view.0) >= SILENT_VIEWS
        });
        if !silent {
            return false;
        }
        let mut speaking = ValidatorSet::default();
        speaking.insert(config.me);
        for (index, _) in heard.iter().filter(|(_, last)| !is_long_ago(last)) {
            speaking.insert(*index);
        }
        config
            .committee
            .decides(config.committee.stake_of(&speaking))
    }

    /// True if we lead and lack a final block: the others need not wait until we have it.
    pub(super) fn cannot_lead(&mut self) -> bool {
        self.views_since_final() <= MAX_SKIPS
            && self.is_to_propose()
            && self.distance() != Distance::Known
    }

    /// What the next proposal builds upon, if we hold it.
    fn parent_at_hand(&self) -> Option<CertifiedParent> {
        self.highest_certified().map(|(_, _, parent)| parent)
    }

    /// Looks at the pace again: the parent or what is urgent may have changed.
    pub(super) fn look_at_pace(&mut self, now: Now) {
        self.timers.due = self.due(now, self.parent_at_hand().as_ref());
    }

    /// When the current view's proposal may be made: after the pace if something is urgent, else after the idle target.
    pub(super) fn due(&self, now: Now, parent: Option<&CertifiedParent>) -> Monotonic {
        let timing = &self.config.timing;
        let Some(parent) = parent else {
            return self.entered.after(timing.idle_target_ms);
        };
        let (pace, idle) = (timing.pace_ms, timing.idle_target_ms);
        if parent.urgent {
            return self.earliest(now, parent, pace);
        }
        let idle = self.earliest(now, parent, idle);
        match self.urgent_since {
            Some(since) => self.earliest(now, parent, pace).max(since).min(idle),
            None => idle,
        }
    }

    /// Not before the parent's timestamp plus pace, and never longer after entering than pace and the tolerated clock
    /// error together, so that a clock that is behind does not cost the view.
    fn earliest(&self, now: Now, parent: &CertifiedParent, pace: u64) -> Monotonic {
        let target = parent.timestamp.0.saturating_add(pace);
        let ahead = target.saturating_sub(now.unix.0);
        let passed = now.unix.0.saturating_sub(target);
        let at = Monotonic(now.monotonic.after(ahead).0.saturating_sub(passed));
        let latest = pace.saturating_add(self.config.timing.max_clock_ahead_ms);
        at.min(self.entered.after(latest)).max(self.entered)
    }
}
