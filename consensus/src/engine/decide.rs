//! Finality (rule 7): the highest final block, the path from the last committed block to it, and committing along it.
//!
//! A finalization proves itself, so the path may be unknown when it comes. Blocks enter the path once they are shown
//! to be its ancestors: by walking down from it, or by a range of blocks with a finalization of its own. They are
//! executed and committed upwards, whatever views they were proposed in.

use std::collections::{BTreeMap, BTreeSet};

use types::hash::BlockId;
use types::number::{Height, ValidatorIndex, View};
use types::vote::{Certificate, Subject};

use super::Engine;
use super::round::ExecutionState;
use crate::effect::{Effect, Effects, Fault, Halt};
use crate::input::CommittedTip;
use crate::log::Record;
use crate::message::Range;
use types::time::Now;
use types::whole::WholeBlock;

/// Final blocks that wait for execution from which on no more are asked for, and most blocks that are kept above a gap
/// of missing ones.
pub(super) const MAX_PATH: usize = 64;

/// The highest block that is directly final.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Decided {
    pub view: View,
    pub block: BlockId,
    /// Finalization of this block; none for genesis.
    pub certificate: Option<Certificate>,
    /// Finalizations since nothing was missing.
    pub passed: u64,
    /// Blocks above the last committed one that are known to be final, without a hole.
    pub path: BTreeMap<Height, BlockId>,
    /// Finalizations of blocks that are not committed yet.
    pub proofs: BTreeMap<BlockId, Certificate>,
    /// Finalizations that came with ranges and whose block is further up than the path reaches yet.
    pub ahead: BTreeMap<Height, (BlockId, Certificate)>,
}

/// How far the highest final block is from the last committed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distance {
    /// All blocks down to the committed tip are here.
    Known,
    /// This block is not held; that many are missing, as far as is known.
    Missing {
        /// The highest one that is missing.
        block: BlockId,
        /// How many, if anything below it is known.
        count: Option<u64>,
    },
}

/// Blocks that are known to be final.
struct FinalRange {
    blocks: Vec<WholeBlock>,
    /// Of the block that is directly final; not below the last of `blocks`.
    height: Height,
    /// The block that is directly final.
    block: BlockId,
    certificate: Certificate,
}

impl Engine {
    /// A finalization: everything below its view is over.
    pub(super) fn take_finalization(
        &mut self,
        now: Now,
        view: View,
        block: BlockId,
        certificate: Certificate,
        out: &mut Effects,
    ) {
        if view == self.decided.view && block != self.decided.block {
            out.records.extend(
                self.decided
                    .certificate
                    .iter()
                    .chain([&certificate])
                    .cloned()
                    .map(Record::Certificate),
            );
            self.halt(Halt::Conflict { view }, out);
        }
        if view <= self.decided.view || self.halted {
            return;
        }
        out.log_certificate(Some(certificate.clone()));
        self.decided.view = view;
        self.decided.block = block;
        self.decided.passed = self.decided.passed.saturating_add(1);
        self.decided.proofs.insert(block, certificate.clone());
        self.decided.certificate = Some(certificate.clone());
        self.rounds = self.rounds.split_off(&view.next());
        self.standstill.reset(now, &self.config.timing);
        self.offer(now, certificate);
        self.prune();
    }

    /// The last block that is known to be final without a hole below.
    pub(super) fn path_end(&self) -> (Height, BlockId) {
        let last = self
            .decided
            .path
            .last_key_value()
            .map(|(height, id)| (*height, *id));
        last.unwrap_or((self.tip.height, self.tip.id))
    }

    /// Walks down from the highest final block over the blocks held.
    fn walk(&self) -> (Vec<WholeBlock>, BlockId) {
        let end = self.path_end().0;
        let (mut walked, mut next) = (Vec::new(), self.decided.block);
        while let Some(held) = self
            .blocks
            .get(&next)
            .filter(|held| held.block.header.height > end)
        {
            walked.push(held.block.clone());
            next = held.block.header.parent;
        }
        (walked, next)
    }

    /// What is missing between the path's end and the highest final block.
    pub(super) fn distance(&self) -> Distance {
        let (height, end) = self.path_end();
        let (walked, next) = self.walk();
        if next == end {
            return Distance::Known;
        }
        let count = walked
            .last()
            .map(|lowest| lowest.header.height.0.saturating_sub(height.0 + 1));
        Distance::Missing { block: next, count }
    }

    /// Joins the walked blocks to the path once they reach it.
    pub(super) fn extend_path(&mut self, out: &mut Effects) {
        let (height, end) = self.path_end();
        if self.decided.block == end {
            return;
        }
        let (walked, next) = self.walk();
        if next == end {
            self.decided
                .path
                .extend(walked.iter().map(|block| (block.header.height, block.id())));
            self.join_proofs();
        } else if walked
            .last()
            .is_some_and(|lowest| lowest.header.height == height.next())
        {
            self.halt(
                Halt::Conflict {
                    view: self.decided.view,
                },
                out,
            );
        }
    }

    /// Joins the finalizations that came before their blocks to the path as far as it reaches.
    fn join_proofs(&mut self) {
        let end = self.path_end().0;
        while let Some(entry) = self
            .decided
            .ahead
            .first_entry()
            .filter(|entry| *entry.key() <= end)
        {
            let (height, (block, certificate)) = entry.remove_entry();
            if self.decided.path.get(&height) == Some(&block) {
                self.decided.proofs.insert(block, certificate);
            }
        }
    }

    /// Commits executed blocks along the path. True if one was.
    pub(super) fn commit(&mut self, out: &mut Effects) -> bool {
        let before = self.tip.height;
        while let Some(id) = self.decided.path.get(&self.tip.height.next()).copied() {
            let Some(held) = self.blocks.get(&id) else {
                break;
            };
            let height = held.block.header.height;
            match held.execution {
                ExecutionState::Valid { urgent } => {
                    let block = held.block.clone();
                    assert_eq!(
                        block.header.parent, self.tip.id,
                        "the path to the highest final block has no hole"
                    );
                    self.tip = CommittedTip {
                        id,
                        height,
                        timestamp: block.header.timestamp,
                    };
                    self.tip_urgent = urgent;
                    self.decided.path.remove(&height);
                    let finalization = self.decided.proofs.remove(&id);
                    out.late.push(Effect::Commit {
                        block,
                        finalization,
                    });
                }
                ExecutionState::Invalid => {
                    self.halt(Halt::Diverged { block: id, height }, out);
                    break;
                }
                ExecutionState::New | ExecutionState::Running => break,
            }
        }
        let moved = self.tip.height > before;
        if moved {
            self.prune();
        }
        moved
    }

    /// Forgets blocks that nothing needs: kept are those above the last committed one that are final, notarized,
    /// notarized by us, or proposed for the current view or later. This bounds forks: per view at most one proposal
    /// and one block of ours.
    ///
    /// While a final block is missing, every new one would join those that wait above the gap. The highest are kept;
    /// the others come again with the range that closes it. What was asked for one by one is kept, too: nobody may
    /// have it for a range.
    pub(super) fn prune(&mut self) {
        let (walked, next) = self.walk();
        let gap = next != self.path_end().1;
        let most = if gap { MAX_PATH } else { walked.len() };
        let walked: BTreeSet<BlockId> = walked.iter().take(most).map(WholeBlock::id).collect();
        let mut needed: BTreeSet<BlockId> =
            self.decided.path.values().chain(&walked).copied().collect();
        for (view, round) in &self.rounds {
            needed.extend(round.notarized().map(|(_, block)| block));
            needed.extend(
                round
                    .proposal
                    .filter(|_| *view >= self.view)
                    .map(|proposed| proposed.block),
            );
            if let Some(Subject::Notarize { block, .. }) =
                round.own.notarize.map(|vote| vote.statement.subject)
            {
                needed.insert(block);
            }
        }
        // While a final block is missing, what is below it cannot be told from forks. What is in our log is kept then:
        // after a power cut everywhere ours may be the only copy.
        let height = self.tip.height;
        self.blocks.retain(|id, held| {
            let kept = needed.contains(id) || (gap && (held.logged || held.sought));
            held.block.header.height > height && kept
        });
        let (path, last) = (&self.decided.path, self.decided.block);
        let tip = self.tip.id;
        let on_path = |id: &BlockId| path.values().any(|on_path| on_path == id);
        self.decided
            .proofs
            .retain(|id, _| *id != tip && (*id == last || walked.contains(id) || on_path(id)));
    }

    /// Final blocks in answer to our request. Their finalization was verified; that they lead to it is checked here.
    pub(super) fn take_range(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        range: Range,
        out: &mut Effects,
    ) {
        if !self.note_range(from) {
            return;
        }
        let Some(FinalRange {
            blocks,
            height,
            block,
            certificate,
        }) = self.checked(range)
        else {
            self.judge_range(now, from, false);
            out.late.push(Effect::Report {
                by: self.config.id_of(from),
                fault: Fault::BadAnswer,
            });
            return;
        };
        let useful = self.join_range(&blocks);
        self.judge_range(now, from, useful);
        if useful && (height <= self.path_end().0 || self.decided.ahead.len() < MAX_PATH) {
            self.decided
                .ahead
                .insert(height, (block, certificate.clone()));
        }
        self.join_proofs();
        self.take_finalization(now, certificate.statement.view, block, certificate, out);
    }

    /// Joins blocks that are known to be final to the path, as far as they follow it. True if one did.
    fn join_range(&mut self, blocks: &[WholeBlock]) -> bool {
        let before = self.path_end().0;
        for block in blocks {
            let (height, id) = (block.header.height, block.id());
            let (end_height, end) = self.path_end();
            if height <= end_height {
                continue;
            }
            if height != end_height.next() || block.header.parent != end {
                break;
            }
            self.decided.path.insert(height, id);
            self.hold(block);
        }
        self.path_end().0 > before
    }

    /// The blocks of a range, if each is whole and the parent of the next, up to the one that is finalised.
    fn checked(&self, range: Range) -> Option<FinalRange> {
        let Subject::Finalize { block: finalised } = range.certificate.statement.subject else {
            return None;
        };
        let blocks: Option<Vec<WholeBlock>> = range
            .blocks
            .into_inner()
            .into_iter()
            .map(WholeBlock::new)
            .collect();
        let blocks = blocks?;
        let mut last = blocks.first()?.header.parent;
        let height = range
            .headers
            .iter()
            .last()
            .or(blocks.last().map(|block| &block.header))?
            .height;
        let headers = range.headers.iter().map(|header| (header.id(), header));
        for (id, header) in blocks
            .iter()
            .map(|block| (block.id(), &block.header))
            .chain(headers)
        {
            if header.parent != last || header.chain_id != self.config.chain {
                return None;
            }
            last = id;
        }
        let certificate = range.certificate;
        (last == finalised).then_some(FinalRange {
            blocks,
            height,
            block: finalised,
            certificate,
        })
    }
}
