//! When transactions that were submitted here are sent again: each after pauses that double, a few at a time.
//!
//! The next one is found in the order of time, so that asking costs the same however many wait. What it leaves out:
//! the transactions themselves, which are the mempool's.

use std::collections::{BTreeMap, BTreeSet};

use types::hash::TransactionId;

/// Pause before the first repetition, and between two rounds of repetitions, in milliseconds.
pub(crate) const FIRST_PAUSE_MS: u64 = 10_000;
/// Most transactions in a round.
const MAX_ROUND: usize = 32;
/// Most transactions that are sent again; later ones are sent once.
const MAX_QUEUED: usize = 1_024;

/// When a transaction is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Schedule {
    next_ms: u64,
    pause_ms: u64,
}

/// The transactions to send again, in the order of time.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResendQueue {
    schedules: BTreeMap<TransactionId, Schedule>,
    /// The same by time.
    by_time: BTreeSet<(u64, TransactionId)>,
    /// When the next round may begin.
    round_ms: u64,
}

impl ResendQueue {
    /// Adds a transaction that was just sent, if there is room.
    pub(crate) fn add(&mut self, id: TransactionId, now_ms: u64) {
        if self.schedules.len() >= MAX_QUEUED || self.schedules.contains_key(&id) {
            return;
        }
        let schedule = Schedule {
            next_ms: now_ms.saturating_add(FIRST_PAUSE_MS),
            pause_ms: FIRST_PAUSE_MS,
        };
        self.set(id, schedule);
    }

    fn set(&mut self, id: TransactionId, schedule: Schedule) {
        if let Some(before) = self.schedules.insert(id, schedule) {
            self.by_time.remove(&(before.next_ms, id));
        }
        self.by_time.insert((schedule.next_ms, id));
    }

    /// Begins a round if it is time for one: the transactions that have waited longest.
    pub(crate) fn take_round(&mut self, now_ms: u64) -> Vec<TransactionId> {
        if self.round_ms > now_ms {
            return Vec::new();
        }
        let waiting = self.by_time.iter().take(MAX_ROUND);
        let round: Vec<_> = waiting
            .take_while(|(next_ms, _)| *next_ms <= now_ms)
            .map(|(_, id)| *id)
            .collect();
        for id in &round {
            let pause_ms = self
                .schedules
                .get(id)
                .map_or(FIRST_PAUSE_MS, |schedule| schedule.pause_ms)
                .saturating_mul(2);
            let schedule = Schedule {
                next_ms: now_ms.saturating_add(pause_ms),
                pause_ms,
            };
            self.set(*id, schedule);
        }
        if !round.is_empty() {
            self.round_ms = now_ms.saturating_add(FIRST_PAUSE_MS);
        }
        round
    }

    /// Keeps those for which it holds.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&TransactionId) -> bool) {
        let by_time = &mut self.by_time;
        self.schedules.retain(|id, schedule| {
            let kept = is_kept(id);
            if !kept {
                by_time.remove(&(schedule.next_ms, *id));
            }
            kept
        });
    }

    /// When the next round begins; none if nothing waits.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let (next_ms, _) = self.by_time.first()?;
        Some(self.round_ms.max(*next_ms))
    }
}

#[cfg(test)]
mod tests {
    use types::hash::Hash32;

    use super::*;

    fn id(number: u64) -> TransactionId {
        let mut bytes = [0; 32];
        // The lowest ids wait longest, so that the order of ids is not the order of time.
        bytes[..8].copy_from_slice(&(u64::MAX - number).to_be_bytes());
        TransactionId(Hash32(bytes))
    }

    #[test]
    fn rounds_take_those_that_waited_longest_and_pauses_double() {
        let mut queue = ResendQueue::default();
        for number in 0..40 {
            queue.add(id(number), number);
        }
        assert_eq!(queue.next_ms(), Some(FIRST_PAUSE_MS));
        assert!(queue.take_round(FIRST_PAUSE_MS - 1).is_empty());
        let first = queue.take_round(FIRST_PAUSE_MS + 100);
        assert_eq!(first, (0..32).map(id).collect::<Vec<_>>());
        assert_eq!(
            queue.next_ms(),
            Some(2 * FIRST_PAUSE_MS + 100),
            "eight wait, but a round has just begun"
        );
        assert!(queue.take_round(2 * FIRST_PAUSE_MS).is_empty());
        let second = queue.take_round(2 * FIRST_PAUSE_MS + 100);
        assert_eq!(second, (32..40).map(id).collect::<Vec<_>>());
        assert_eq!(queue.next_ms(), Some(3 * FIRST_PAUSE_MS + 100));
        let again: BTreeSet<_> = queue.take_round(4 * FIRST_PAUSE_MS).into_iter().collect();
        assert_eq!(again, first.into_iter().collect());
    }

    #[test]
    fn both_orders_hold_the_same_transactions_whatever_happens() {
        let mut queue = ResendQueue::default();
        for number in 0..2_000 {
            queue.add(id(number), number * 7);
            queue.add(id(number / 2), number * 7);
            if number.is_multiple_of(5) {
                queue.take_round(number * 7);
            }
            if number.is_multiple_of(11) {
                let gone = id(number / 3);
                queue.retain(|id| *id != gone);
            }
            let by_time: BTreeSet<_> = queue
                .schedules
                .iter()
                .map(|(id, schedule)| (schedule.next_ms, *id))
                .collect();
            assert_eq!(queue.by_time, by_time, "after {number}");
            let naive = by_time
                .iter()
                .map(|(next_ms, _)| queue.round_ms.max(*next_ms))
                .min();
            assert_eq!(queue.next_ms(), naive);
        }
        assert!(queue.schedules.len() <= MAX_QUEUED);
        queue.retain(|_| false);
        assert_eq!(queue.next_ms(), None);
    }
}
