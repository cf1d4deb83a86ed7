//! Whose requests are answered, and when. Everything that a validator is served, from memory or from the store, is
//! charged to one account of its own: the bytes of the answer and a fixed cost of looking for it, paid off at a constant
//! rate. Who owes more than the credit waits; a few requests of each wait in a queue and are answered in their order.
//!
//! So a request of a few bytes for a block of a megabyte costs its sender its share of our bandwidth and work, and
//! nobody else's. A correct validator asks for a thing at most once per retry interval and finds room in the queue.

use std::collections::{BTreeMap, VecDeque};

use types::number::ValidatorIndex;
use types::time::Monotonic;

use crate::config::BYTES_PER_MS;
use crate::message::Request;

/// Bytes that one validator is served in the long run, whatever the size of the committee, per millisecond.
const MIN_BYTES_PER_MS: u64 = 128;
/// Bytes that one validator may owe before it waits: two ranges or blocks of maximum size.
pub(super) const CREDIT_BYTES: u64 = 4 << 20;
/// What a request costs beside the bytes of its answer: reading, and perhaps the store.
const REQUEST_BYTES: u64 = 4 << 10;
/// What a vote recovery costs: signatures may have to be verified for it.
const VOTE_RECOVERY_BYTES: u64 = 256 << 10;
/// Requests of one validator that wait.
pub(super) const MAX_WAITING: usize = 16;
/// Time after which an answer of the store that never came is no longer waited for, in milliseconds.
const STORE_PATIENCE_MS: u64 = 10_000;

/// What one validator was served and still wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct PeerBudget {
    owed: u64,
    /// When `owed` was reckoned.
    at: Monotonic,
    waiting: VecDeque<Request>,
    /// The store works on an answer; until then nothing else is asked of it.
    store_until: Option<Monotonic>,
}

/// The accounts of all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ServingBudgets {
    bytes_per_ms: u64,
    accounts: BTreeMap<ValidatorIndex, PeerBudget>,
}

impl PeerBudget {
    fn settle(&mut self, now: Monotonic, bytes_per_ms: u64) {
        let passed = now.0.saturating_sub(self.at.0);
        self.owed = self
            .owed
            .saturating_sub(passed.saturating_mul(bytes_per_ms));
        self.at = now;
    }

    /// When the next waiting request may be answered, if one waits.
    fn due(&self, bytes_per_ms: u64) -> Option<Monotonic> {
        self.waiting.front()?;
        let above = self.owed.saturating_sub(CREDIT_BYTES);
        let paid = self.at.after(above.div_ceil(bytes_per_ms));
        Some(self.store_until.map_or(paid, |until| until.max(paid)))
    }
}

/// What a request costs, whatever its answer is.
fn cost(request: &Request) -> u64 {
    match request {
        Request::VoteRecovery { .. } => VOTE_RECOVERY_BYTES,
        Request::Block(_) | Request::Range(_) | Request::Certificates { .. } => REQUEST_BYTES,
    }
}

impl ServingBudgets {
    /// Accounts for a committee of that many members.
    pub(super) fn new(members: usize) -> Self {
        let members = u64::try_from(members).unwrap_or(u64::MAX).max(1);
        Self {
            bytes_per_ms: (BYTES_PER_MS / members).max(MIN_BYTES_PER_MS),
            accounts: BTreeMap::new(),
        }
    }

    /// Puts a request into the queue of its sender; one that waits already, or finds the queue full, is dropped. Of vote
    /// recoveries the last one counts.
    pub(super) fn ask(&mut self, from: ValidatorIndex, request: Request) {
        let waiting = &mut self.accounts.entry(from).or_default().waiting;
        if matches!(request, Request::VoteRecovery { .. }) {
            waiting.retain(|other| !matches!(other, Request::VoteRecovery { .. }));
        }
        if waiting.len() < MAX_WAITING && !waiting.contains(&request) {
            waiting.push_back(request);
        }
    }

    /// The next request that is to be answered now, with who asked; its cost is charged.
    pub(super) fn next(&mut self, now: Monotonic) -> Option<(ValidatorIndex, Request)> {
        let rate = self.bytes_per_ms;
        let is_due = |account: &&mut PeerBudget| account.due(rate).is_some_and(|due| due <= now);
        let mut accounts = self.accounts.iter_mut();
        let (from, account) = accounts.find_map(|(from, account)| {
            let mut account = Some(account).filter(is_due)?;
            account.settle(now, rate);
            account = Some(account).filter(is_due)?;
            Some((*from, account))
        })?;
        let request = account.waiting.pop_front()?;
        account.store_until = None;
        account.owed = account.owed.saturating_add(cost(&request));
        Some((from, request))
    }

    /// Charges an answer of that many bytes that was sent.
    pub(super) fn charge(&mut self, now: Monotonic, to: ValidatorIndex, bytes: usize) {
        let rate = self.bytes_per_ms;
        let account = self.accounts.entry(to).or_default();
        account.settle(now, rate);
        account.owed = account
            .owed
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// True if something may be sent to a validator that it did not ask for, on its account.
    pub(super) fn has_credit(&mut self, now: Monotonic, to: ValidatorIndex) -> bool {
        let rate = self.bytes_per_ms;
        let account = self.accounts.entry(to).or_default();
        account.settle(now, rate);
        account.owed <= CREDIT_BYTES
    }

    /// The store makes an answer for a validator.
    pub(super) fn store_works(&mut self, now: Monotonic, to: ValidatorIndex) {
        let account = self.accounts.entry(to).or_default();
        account.store_until = Some(now.after(STORE_PATIENCE_MS));
    }

    /// The store has made its answer of that many bytes, or found nothing.
    pub(super) fn store_is_done(&mut self, now: Monotonic, to: ValidatorIndex, bytes: usize) {
        self.charge(now, to, bytes);
        if let Some(account) = self.accounts.get_mut(&to) {
            account.store_until = None;
        }
    }

    /// When the next waiting request may be answered.
    pub(super) fn next_due(&self) -> Option<Monotonic> {
        let rate = self.bytes_per_ms;
        self.accounts
            .values()
            .filter_map(|account| account.due(rate))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use types::number::Height;

    use super::*;

    const HONEST: ValidatorIndex = ValidatorIndex(1);
    const MALLORY: ValidatorIndex = ValidatorIndex(2);

    fn range(height: u64) -> Request {
        Request::Range(Height(height))
    }

    /// Asks for a megabyte every millisecond; gives the number of answers in that time.
    fn megabytes_served(serving: &mut ServingBudgets, from: ValidatorIndex, ms: u64) -> u64 {
        let mut served = 0;
        for at in 0..ms {
            let now = Monotonic(at);
            serving.ask(from, range(at));
            while let Some((to, _)) = serving.next(now) {
                assert_eq!(to, from);
                serving.charge(now, to, 1 << 20);
                served += 1;
            }
        }
        served
    }

    #[test]
    fn who_asks_without_pause_gets_its_share_of_the_bandwidth() {
        for members in [1, 4, 32] {
            let mut serving = ServingBudgets::new(usize::try_from(members).unwrap());
            let served = megabytes_served(&mut serving, MALLORY, 10_000);
            let paid = 10_000 * (BYTES_PER_MS / members) + CREDIT_BYTES;
            let expected = paid / ((1 << 20) + REQUEST_BYTES);
            assert!(
                (expected..=expected + 1).contains(&served),
                "{served} of {expected} with {members} members"
            );
        }
    }

    #[test]
    fn a_second_request_waits_and_is_answered_in_its_turn() {
        let mut serving = ServingBudgets::new(4);
        let now = Monotonic(7);
        serving.ask(HONEST, range(1));
        assert_eq!(serving.next(now), Some((HONEST, range(1))));
        serving.store_works(now, HONEST);
        serving.ask(HONEST, range(2));
        serving.ask(HONEST, range(2));
        assert_eq!(serving.next(now), None, "the store is not done");
        serving.ask(MALLORY, range(9));
        assert_eq!(serving.next(now), Some((MALLORY, range(9))));
        serving.store_is_done(now, HONEST, 1_000);
        assert_eq!(serving.next(now), Some((HONEST, range(2))));
        assert_eq!(serving.next(now), None, "asked twice, answered once");
    }

    #[test]
    fn the_queue_of_each_is_bounded_and_empties_in_time() {
        let mut serving = ServingBudgets::new(4);
        let owed = usize::try_from(3 * CREDIT_BYTES).unwrap();
        serving.charge(Monotonic(0), MALLORY, owed);
        for height in 0..1_000 {
            serving.ask(MALLORY, range(height));
        }
        assert_eq!(serving.next(Monotonic(0)), None);
        let due = serving.next_due().unwrap();
        assert_eq!(due, Monotonic(2 * CREDIT_BYTES / (8 << 10)));
        assert_eq!(serving.next(Monotonic(due.0 - 1)), None);
        let mut answered = 0;
        while serving.next(due.after(1_000)).is_some() {
            answered += 1;
        }
        assert_eq!(answered, MAX_WAITING);
        assert_eq!(serving.next_due(), None);
    }

    #[test]
    fn an_answer_of_the_store_that_never_comes_blocks_nobody_for_ever() {
        let mut serving = ServingBudgets::new(4);
        serving.store_works(Monotonic(0), HONEST);
        serving.ask(HONEST, range(1));
        assert_eq!(serving.next_due(), Some(Monotonic(STORE_PATIENCE_MS)));
        assert!(serving.next(Monotonic(STORE_PATIENCE_MS)).is_some());
    }
}
