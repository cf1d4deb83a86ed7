//! Holding, executing and certifying blocks, and entering views (rules 1 and 4).

use types::hash::BlockId;
use types::number::{Height, Timestamp, View};

use super::Engine;
use super::round::{ExecutionState, Held, ViewState};
use crate::effect::{Effect, Effects};
use crate::log::Record;
use types::time::Now;
use types::whole::WholeBlock;

/// What a block must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CertifiedParent {
    pub height: Height,
    pub timestamp: Timestamp,
    pub urgent: bool,
}

impl CertifiedParent {
    /// True if the block's height and timestamp follow this parent's.
    pub(super) fn is_followed_by(&self, block: &WholeBlock) -> bool {
        block.header.height == self.height.next() && block.header.timestamp > self.timestamp
    }
}

impl Engine {
    /// Keeps a block above the last committed one.
    pub(super) fn hold(&mut self, block: &WholeBlock) {
        if block.header.height > self.tip.height {
            let held = || Held {
                block: block.clone(),
                execution: ExecutionState::New,
                logged: false,
                sought: false,
            };
            self.blocks.entry(block.id()).or_insert_with(held);
        }
    }

    /// A block whose state is known: committed last, or executed.
    pub(super) fn executed(&self, id: BlockId) -> Option<CertifiedParent> {
        if id == self.tip.id {
            let (height, timestamp) = (self.tip.height, self.tip.timestamp);
            return Some(CertifiedParent {
                height,
                timestamp,
                urgent: self.tip_urgent,
            });
        }
        let held = self.blocks.get(&id)?;
        let ExecutionState::Valid { urgent } = held.execution else {
            return None;
        };
        let header = &held.block.header;
        Some(CertifiedParent {
            height: header.height,
            timestamp: header.timestamp,
            urgent,
        })
    }

    /// Starts the execution of everything that matters and whose parent was executed: final blocks, notarized blocks
    /// and the current proposal. True if a block turned out not to follow its parent.
    pub(super) fn execute(&mut self, out: &mut Effects) -> bool {
        let notarized = self
            .rounds
            .values()
            .filter(|round| !round.certified)
            .filter_map(ViewState::notarized);
        let mut wanted: Vec<BlockId> = notarized.map(|(_, block)| block).collect();
        wanted.extend(self.decided.path.values());
        let current = self.rounds.get(&self.view).and_then(|round| round.proposal);
        wanted.extend(current.map(|proposed| proposed.block));
        let mut refused = false;
        for id in wanted {
            let Some(held) = self
                .blocks
                .get(&id)
                .filter(|held| held.execution == ExecutionState::New)
            else {
                continue;
            };
            let Some(parent) = self.executed(held.block.header.parent) else {
                continue;
            };
            let follows = parent.is_followed_by(&held.block);
            if follows {
                out.early.push(Effect::Execute(held.block.clone()));
            }
            refused |= !follows;
            if let Some(held) = self.blocks.get_mut(&id) {
                held.execution = if follows {
                    ExecutionState::Running
                } else {
                    ExecutionState::Invalid
                };
            }
        }
        refused
    }

    /// True if that block of that view may be built upon.
    pub(super) fn is_certified(&self, view: View, block: BlockId) -> bool {
        if view == self.decided.view {
            return block == self.decided.block && block == self.tip.id;
        }
        let round = self.rounds.get(&view).filter(|round| round.certified);
        round
            .and_then(ViewState::notarized)
            .is_some_and(|(_, notarized)| notarized == block)
    }

    /// Certifies notarized blocks, parents first. True if one was.
    pub(super) fn certify(&mut self) -> bool {
        let mut ready = Vec::new();
        for (view, round) in &self.rounds {
            let Some((parent_view, block)) = round.notarized().filter(|_| !round.certified) else {
                continue;
            };
            let Some(held) = self.blocks.get(&block) else {
                continue;
            };
            let valid = matches!(held.execution, ExecutionState::Valid { .. });
            if valid && self.is_certified(parent_view, held.block.header.parent) {
                ready.push(*view);
            }
        }
        for view in &ready {
            self.round(*view).certified = true;
        }
        !ready.is_empty()
    }

    /// Writes what certification rests on: whoever restarts can serve it, and votes Finalize upon it.
    pub(super) fn log_certified(&mut self, out: &mut Effects) {
        let fresh = |round: &ViewState| round.certified && !round.logged.notarization;
        let views: Vec<View> = self
            .rounds
            .iter()
            .filter(|(_, round)| fresh(round))
            .map(|(view, _)| *view)
            .collect();
        for view in views {
            let Some((_, block)) = self.round(view).notarized() else {
                continue;
            };
            self.log_body(view, block, out);
            self.log_notarization(view, out);
        }
    }

    /// Writes a block's body, once.
    pub(super) fn log_body(&mut self, view: View, block: BlockId, out: &mut Effects) {
        let Some(held) = self.blocks.get_mut(&block) else {
            return;
        };
        if !held.logged {
            held.logged = true;
            let block = Box::new(held.block.block().as_ref().clone());
            out.records.push(Record::Block { view, block });
        }
    }

    pub(super) fn log_notarization(&mut self, view: View, out: &mut Effects) {
        let round = self.round(view);
        if !round.logged.notarization {
            round.logged.notarization = true;
            let certificate = round.notarization.clone();
            out.log_certificate(certificate);
        }
    }

    /// Enters the highest view that a certificate opens. True if it is a new one.
    pub(super) fn enter(&mut self, now: Now, out: &mut Effects) -> bool {
        let ended = |round: &ViewState| round.certified || round.nullification.is_some();
        let last = self
            .rounds
            .iter()
            .rev()
            .find(|(_, round)| ended(round))
            .map(|(view, _)| *view);
        let last = last.unwrap_or_default().max(self.decided.view);
        if last < self.view {
            return false;
        }
        let by_notarization = self.rounds.get(&last).is_some_and(|round| round.certified);
        if last == self.view && by_notarization {
            self.measure(now);
        }
        self.view = last.next();
        if last == self.decided.view {
            self.entry.clone_from(&self.decided.certificate);
        } else {
            self.log_entry(last, out);
        }
        self.begin(now);
        self.prune();
        true
    }

    /// Writes what ended a view, and notes it as what let us into the next.
    fn log_entry(&mut self, last: View, out: &mut Effects) {
        let round = self.round(last);
        if round.certified {
            let notarization = round.notarization.clone();
            self.entry = notarization;
            self.log_notarization(last, out);
        } else {
            let nullification = round.nullification.clone();
            let logged = std::mem::replace(&mut round.logged.nullification, true);
            self.entry.clone_from(&nullification);
            if !logged {
                out.log_certificate(nullification);
            }
        }
    }
}
