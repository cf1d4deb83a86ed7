//! Whom to ask for what while a state is synced. Pure: time is an argument.
//!
//! A node is asked for few things at a time. One that refuses, or is slow, is left in peace for a while; one that gives
//! something else than was asked for is not asked again. If nothing right came for long, the sync is given up.

use std::collections::{BTreeMap, BTreeSet};

use types::hash::ValidatorId;
use types::time::Monotonic;

use super::request::SyncRequest;

/// Requests under way to one node.
pub const ASKED_OF_ONE: usize = 2;
/// Requests under way in all.
pub const ASKED_OF_ALL: usize = 16;
/// How long a node that did not answer is left in peace, in milliseconds.
const PAUSE_MS: u64 = 1_000;
/// Time without anything right after which a sync is given up, in milliseconds.
pub const GIVE_UP_MS: u64 = 120_000;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncAnswer {
    /// What was asked for came.
    Right,
    /// Nothing came.
    Nothing,
    /// Something else came: the node is faulty.
    Wrong,
}

/// What is known of a node.
#[derive(Debug, Clone, Copy, Default)]
struct AskedNode {
    asked: usize,
    /// How often nothing came, without anything right between.
    failed: u32,
    /// Not to be asked before.
    until: Monotonic,
    is_faulty: bool,
}

/// What is wanted, what is asked for, and of whom.
#[derive(Debug)]
pub struct SyncPlan {
    nodes: BTreeMap<ValidatorId, AskedNode>,
    connected: BTreeSet<ValidatorId>,
    wanted: BTreeSet<SyncRequest>,
    asked: BTreeSet<SyncRequest>,
    /// When something right came last, or it began.
    right: Monotonic,
}

impl SyncPlan {
    /// Nothing wanted yet, of nobody.
    #[must_use]
    pub fn new(now: Monotonic) -> Self {
        Self {
            nodes: BTreeMap::new(),
            connected: BTreeSet::new(),
            wanted: BTreeSet::new(),
            asked: BTreeSet::new(),
            right: now,
        }
    }

    /// These nodes can be asked from now on. What is known of others is kept: who is faulty does not become right by
    /// connecting again.
    pub fn connected(&mut self, nodes: BTreeSet<ValidatorId>) {
        self.connected = nodes;
    }

    /// This is wanted too.
    pub fn want(&mut self, request: SyncRequest) {
        if !self.asked.contains(&request) {
            self.wanted.insert(request);
        }
    }

    /// What is wanted or asked for.
    pub fn open(&self) -> impl Iterator<Item = &SyncRequest> {
        self.wanted.iter().chain(&self.asked)
    }

    /// The next request, and whom to send it to; none if nothing is wanted, or nobody may be asked now.
    pub fn ask(&mut self, now: Monotonic) -> Option<(ValidatorId, SyncRequest)> {
        if self.asked.len() >= ASKED_OF_ALL {
            return None;
        }
        let nodes = &self.nodes;
        let known = |id: &ValidatorId| nodes.get(id).copied().unwrap_or_default();
        let free = self.connected.iter().filter(|id| {
            let node = known(id);
            !node.is_faulty && node.until <= now && node.asked < ASKED_OF_ONE
        });
        // The one with the fewest requests, so that all carry alike.
        let to = *free.min_by_key(|id| known(id).asked)?;
        let request = self.wanted.pop_first()?;
        self.asked.insert(request);
        self.nodes.entry(to).or_default().asked += 1;
        Some((to, request))
    }

    /// A request ended. What did not come is wanted again.
    pub fn ended(
        &mut self,
        now: Monotonic,
        node: ValidatorId,
        request: SyncRequest,
        answer: SyncAnswer,
    ) {
        self.asked.remove(&request);
        let node = self.nodes.entry(node).or_default();
        node.asked = node.asked.saturating_sub(1);
        match answer {
            SyncAnswer::Right => {
                (node.failed, self.right) = (0, now);
                return;
            }
            SyncAnswer::Nothing => {
                node.failed = node.failed.saturating_add(1);
                let pause = PAUSE_MS.saturating_mul(u64::from(node.failed.min(10)));
                node.until = now.after(pause);
            }
            SyncAnswer::Wrong => node.is_faulty = true,
        }
        self.wanted.insert(request);
    }

    /// When a node may be asked that may not be now, or the sync is given up, whatever comes first.
    #[must_use]
    pub fn wake(&self, now: Monotonic) -> Monotonic {
        let pauses = self.nodes.values().map(|node| node.until);
        let next = pauses.filter(|until| *until > now).min();
        let end = self.right.after(GIVE_UP_MS);
        next.map_or(end, |next| next.min(end))
    }

    /// True if nothing right came for so long that nothing will.
    #[must_use]
    pub fn is_given_up(&self, now: Monotonic) -> bool {
        now >= self.right.after(GIVE_UP_MS)
    }
}

#[cfg(test)]
mod tests {
    use types::number::Height;
    use types::testing::validator_id;

    use super::*;

    fn plan(nodes: u8, wanted: u64) -> SyncPlan {
        let mut plan = SyncPlan::new(Monotonic(0));
        plan.connected((1..=nodes).map(validator_id).collect());
        (0..wanted).for_each(|n| plan.want(SyncRequest::Block(Height(n))));
        plan
    }

    #[test]
    fn each_node_and_all_together_are_asked_for_a_bounded_number() {
        let mut few = plan(3, 100);
        let asked: Vec<_> = std::iter::from_fn(|| few.ask(Monotonic(0))).collect();
        assert_eq!(asked.len(), 3 * ASKED_OF_ONE);
        for n in 1..=3 {
            let to = |(to, _): &&(ValidatorId, SyncRequest)| *to == validator_id(n);
            assert_eq!(asked.iter().filter(to).count(), ASKED_OF_ONE);
        }
        let mut many = plan(100, 100);
        let asked = std::iter::from_fn(|| many.ask(Monotonic(0))).count();
        assert_eq!(asked, ASKED_OF_ALL);
    }

    #[test]
    fn who_gives_something_else_is_never_asked_again_and_what_was_asked_is_wanted() {
        let mut plan = plan(2, 1);
        let (first, request) = plan.ask(Monotonic(0)).unwrap();
        assert!(plan.ask(Monotonic(0)).is_none());
        plan.ended(Monotonic(1), first, request, SyncAnswer::Wrong);
        // It connects again.
        plan.connected(BTreeSet::new());
        plan.connected((1..=2).map(validator_id).collect());
        let (second, again) = plan.ask(Monotonic(1)).unwrap();
        assert!(second != first && again == request);
        plan.ended(Monotonic(1), second, again, SyncAnswer::Nothing);
        assert!(plan.ask(Monotonic(u64::MAX / 2)).unwrap().0 == second);
    }

    #[test]
    fn who_does_not_answer_has_a_pause_and_in_the_end_it_is_given_up() {
        let mut plan = plan(1, 1);
        let mut now = Monotonic(0);
        let mut times = 0;
        while !plan.is_given_up(now) {
            if let Some((node, request)) = plan.ask(now) {
                plan.ended(now, node, request, SyncAnswer::Nothing);
                times += 1;
            }
            let wake = plan.wake(now);
            assert!(wake > now && wake.0 <= GIVE_UP_MS);
            now = wake;
        }
        assert!((10..30).contains(&times), "{times}");
        assert_eq!(now.0, GIVE_UP_MS);
    }
}
