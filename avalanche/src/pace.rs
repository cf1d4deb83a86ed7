//! When the next block should come. The host asks for one only when it was told so.
//!
//! - At once, if transactions or statements wait that a block on the preferred one could hold, or if the preferred block
//!   changed something: its state is shown by the block after it. So is that of genesis: before the first block nothing
//!   can be proven to a partner.
//! - At the network's idle pace, as long as a job or an unbonding is live: their deadlines are counted in chain time,
//!   which only blocks move.
//! - Otherwise not: an idle subnet makes no blocks.

use state::DecidedState;
use types::hash::BlockId;
use types::number::{Height, Timestamp};
use types::time::{Monotonic, Now};

/// How long the host may take to prefer a block that was built for it, in milliseconds. Until then no second one is wanted
/// on the same parent: the host asks again as soon as it has the first, before it prefers it.
const BUILT_MS: u64 = 1_000;

/// How long nothing is looked for again after nothing was found on a block that is not decided, in milliseconds: it takes a
/// look at all that waits.
const LOOK_AGAIN_MS: u64 = 20;

/// What is known of the need for a block.
#[derive(Debug)]
pub struct Pace {
    /// Something waits, seen from the decided state.
    waiting: bool,
    /// The last decided block changed something, or is that of genesis.
    follows: bool,
    /// A job or an unbonding is live in the decided state.
    live: bool,
    /// The block that the last one was built on, and until when that counts.
    built_on: Option<(BlockId, Monotonic)>,
    /// The undecided block on which something was looked for, whether it was found, and until when that counts.
    looked: Option<(BlockId, bool, Monotonic)>,
    /// What was last said; nothing at first, which is no.
    said: Option<bool>,
    wake: Option<Monotonic>,
}

impl Pace {
    /// Nothing waits on the decided state.
    pub fn new(state: &dyn DecidedState) -> Result<Self, chain::Fatal> {
        let mut pace = Self {
            waiting: false,
            follows: false,
            live: false,
            built_on: None,
            looked: None,
            said: None,
            wake: None,
        };
        pace.decided(state)?;
        Ok(pace)
    }

    /// Whether something waits that a block on the decided state could hold.
    pub fn waiting(&mut self, waiting: bool) {
        self.waiting = waiting;
    }

    /// A block was decided, which led to this state.
    pub fn decided(&mut self, state: &dyn DecidedState) -> Result<(), chain::Fatal> {
        let chain = vm::chain_record(state)?;
        self.follows = chain.urgent || state.tip().height == Height::ZERO;
        self.live = chain.unbondings.is_some() || chain.live_jobs > 0;
        Ok(())
    }

    /// A block was built on this one.
    pub fn built(&mut self, now: Now, parent: BlockId) {
        self.built_on = Some((parent, now.monotonic.after(BUILT_MS)));
    }

    /// True if a block should come now on the preferred one, whose id and time are given. `undecided` tells of a preferred
    /// block that is not decided yet whether it changed something; `has_candidates` whether a block on it would hold
    /// anything.
    pub fn wanted(
        &mut self,
        now: Now,
        (preferred, time): (BlockId, Timestamp),
        idle_ms: u64,
        undecided: Option<bool>,
        has_candidates: impl FnOnce() -> bool,
    ) -> bool {
        self.wake = None;
        if let Some((parent, until)) = self.built_on
            && parent == preferred
            && now.monotonic < until
        {
            self.wake = Some(until);
            return false;
        }
        let at_once = match undecided {
            None => self.waiting || self.follows,
            Some(follows) => {
                follows || (self.waiting && self.finds(now, preferred, has_candidates))
            }
        };
        if at_once {
            return true;
        }
        if !self.live {
            return false;
        }
        let due = time.0.saturating_add(idle_ms);
        let left_ms = due.saturating_sub(now.unix.0);
        if left_ms > 0 {
            let due = now.monotonic.after(left_ms);
            self.wake = Some(self.wake.map_or(due, |wake| wake.min(due)));
        }
        left_ms == 0
    }

    /// Looks for something that a block on an undecided one could hold, unless it has just been looked for in vain.
    fn finds(&mut self, now: Now, preferred: BlockId, look: impl FnOnce() -> bool) -> bool {
        let is_known = |(block, found, until): &(BlockId, bool, Monotonic)| {
            *block == preferred && (*found || now.monotonic < *until)
        };
        let (found, until) = match self.looked.filter(is_known) {
            Some((_, found, until)) => (found, until),
            None => (look(), now.monotonic.after(LOOK_AGAIN_MS)),
        };
        self.looked = Some((preferred, found, until));
        if !found {
            self.wake = Some(until);
        }
        found
    }

    /// What is to be said, if it is another thing than the last time.
    pub fn changed(&mut self, wanted: bool) -> Option<bool> {
        let said = self.said.replace(wanted).unwrap_or_default();
        (said != wanted).then_some(wanted)
    }

    /// When it is to be asked again though nothing happens.
    pub fn next_wake(&self) -> Option<Monotonic> {
        self.wake
    }
}
