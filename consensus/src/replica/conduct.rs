//! What misbehaviour costs its author. Every fault of a validator is counted; from [`TOLERATED`] on its messages are not
//! taken for a time that doubles with each further fault. A correct validator commits none, so that the bound only
//! leaves room for a fault of our own.
//!
//! Finding a fault costs us work: up to milliseconds for a forged certificate of a large committee. The bound limits
//! what one validator can spend of it: [`TOLERATED`] faults at once, then one for each ban, which soon last for minutes.

use std::collections::BTreeMap;

use types::number::ValidatorIndex;
use types::time::Monotonic;

/// Faults that cost their author nothing but a line in our log.
pub const TOLERATED: u32 = 8;
/// How long the first ban lasts, in milliseconds.
pub const FIRST_BAN_MS: u64 = 1_000;
/// How long a ban lasts at most, in milliseconds: about 17 minutes.
pub const LONGEST_BAN_MS: u64 = FIRST_BAN_MS << 10;
/// Time without a fault after the last ban has ended until all is forgotten, in milliseconds.
pub const FORGOTTEN_AFTER_MS: u64 = 3_600_000;

/// What one validator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ConductRecord {
    faults: u32,
    /// How long the next ban lasts.
    next_ban_ms: u64,
    banned_until: Monotonic,
    /// The last fault, or the end of the ban that it led to.
    last: Monotonic,
}

/// What each validator did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Conduct(BTreeMap<ValidatorIndex, ConductRecord>);

impl Conduct {
    /// True if messages of a validator are not taken now.
    pub(super) fn is_banned(&self, now: Monotonic, validator: ValidatorIndex) -> bool {
        self.0
            .get(&validator)
            .is_some_and(|record| now < record.banned_until)
    }

    /// Counts a fault. Gives the length of the ban that it leads to, in milliseconds; none while one lasts, since what
    /// is found then came before it.
    pub(super) fn count(&mut self, now: Monotonic, validator: ValidatorIndex) -> Option<u64> {
        let fresh = ConductRecord {
            faults: 0,
            next_ban_ms: FIRST_BAN_MS,
            banned_until: Monotonic(0),
            last: now,
        };
        let record = self.0.entry(validator).or_insert(fresh);
        if now >= record.last.after(FORGOTTEN_AFTER_MS) {
            *record = fresh;
        }
        if now < record.banned_until {
            return None;
        }
        record.faults = record.faults.saturating_add(1);
        record.last = now;
        if record.faults < TOLERATED {
            return None;
        }
        let for_ms = record.next_ban_ms;
        record.next_ban_ms = for_ms.saturating_mul(2).min(LONGEST_BAN_MS);
        record.banned_until = now.after(for_ms);
        record.last = record.banned_until;
        Some(for_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MALLORY: ValidatorIndex = ValidatorIndex(3);

    #[test]
    fn bans_begin_at_the_bound_and_double() {
        let mut conduct = Conduct::default();
        let mut now = Monotonic(5);
        for _ in 1..TOLERATED {
            assert_eq!(conduct.count(now, MALLORY), None);
            assert!(!conduct.is_banned(now, MALLORY));
        }
        for doubling in 0..12 {
            let expected = FIRST_BAN_MS << doubling.min(10);
            assert_eq!(conduct.count(now, MALLORY), Some(expected));
            assert!(conduct.is_banned(now.after(expected - 1), MALLORY));
            assert_eq!(conduct.count(now, MALLORY), None, "banned already");
            assert!(!conduct.is_banned(now, ValidatorIndex(1)));
            now = now.after(expected);
            assert!(!conduct.is_banned(now, MALLORY));
        }
    }

    #[test]
    fn a_fault_is_forgotten_after_an_hour_without_another() {
        let mut conduct = Conduct::default();
        let mut now = Monotonic(0);
        for _ in 0..5 * TOLERATED {
            assert_eq!(conduct.count(now, MALLORY), None);
            now = now.after(FORGOTTEN_AFTER_MS);
        }
        for _ in 1..TOLERATED {
            conduct.count(now, MALLORY);
        }
        assert_eq!(conduct.count(now, MALLORY), Some(FIRST_BAN_MS));
        let soon = now.after(FIRST_BAN_MS + FORGOTTEN_AFTER_MS - 1);
        assert_eq!(conduct.count(soon, MALLORY), Some(2 * FIRST_BAN_MS));
    }
}
