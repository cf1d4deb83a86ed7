//! Asking for what is missing, and answering (rule 9). One validator is asked at a time; who does not answer in time
//! is passed over. Nothing is taken that was not asked for, and a range only from whom it was asked: each request has
//! at most one answer, and one that brings nothing counts against its sender and has the next one asked.

use types::codec::Bounded;
use types::hash::BlockId;
use types::number::{ValidatorIndex, View};
use types::vote::Certificate;

use super::Engine;
use super::decide::{Distance, MAX_PATH};
use super::sources::{Ask, BlockSources};
use crate::effect::{Effect, Effects, Recipients};
use crate::message::{MAX_CERTIFICATES, Message, Request};
use types::time::Now;
use types::whole::WholeBlock;

/// Most requests in the air.
const MAX_ASKS: usize = 16;
/// Missing final blocks from which on they are asked for by height rather than one by one.
const RANGE_FROM: u64 = 4;

/// Something that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Want {
    /// Final blocks above the path's end.
    Range,
    /// A block with this id, of any view.
    Block(BlockId),
    /// The notarization of a view.
    Notarization(View),
    /// Nullifications between a parent and the current view: as many as are missing when it is asked for.
    Gap(View),
}

/// What is asked of whom first.
struct WantedItem {
    want: Want,
    request: Request,
    holders: Vec<ValidatorIndex>,
}

impl Engine {
    /// Sends requests for what is missing and not asked for, or not answered in time.
    pub(super) fn fetch(&mut self, now: Now, out: &mut Effects) {
        let wanted = self.wanted();
        let gap = self.distance() != Distance::Known;
        // What was asked for while finality moved on may still come, and is still part of the chain.
        let long_ago = self.config.timing.delta_max_ms;
        self.asks.retain(|want, ask| {
            let coming = gap && matches!(want, Want::Block(_));
            wanted.iter().any(|wanted| wanted.want == *want)
                || (coming && ask.since.after(long_ago) > now.monotonic)
        });
        if !gap {
            self.decided.passed = 0;
            if wanted.is_empty() {
                self.sources = BlockSources::default();
            }
        }
        let retry_ms = self.config.timing.retry_ms;
        for WantedItem {
            want,
            request,
            holders: asked_first,
        } in wanted
        {
            let mut ask = self
                .asks
                .remove(&want)
                .unwrap_or_else(|| Ask::new(now.monotonic));
            if ask.at > now.monotonic {
                self.asks.insert(want, ask);
                continue;
            }
            let is_range = want == Want::Range;
            let candidates = self.candidates(&asked_first);
            let next = if is_range {
                self.sources.for_range(&candidates, &ask)
            } else {
                self.sources.for_thing(&candidates, &ask)
            };
            let Some(to) = next else { continue };
            let wait_ms = if is_range {
                self.sources.time_limit(retry_ms)
            } else {
                retry_ms
            };
            if let Some(silent) = ask.turn_to(to, now.monotonic.after(wait_ms)) {
                self.sources.failed(silent);
            }
            if is_range {
                self.sources.has_turn(to);
            }
            self.asks.insert(want, ask);
            let to = Recipients::One(self.config.id_of(to));
            out.send(to, Message::Request(request));
        }
    }

    /// Those who must have it, starting at our own position so that not all ask the same one, then everybody else.
    fn candidates(&self, first: &[ValidatorIndex]) -> Vec<ValidatorIndex> {
        let me = self.config.me;
        let mut order: Vec<_> = first.iter().copied().filter(|index| *index != me).collect();
        if let Some(start) = order.iter().position(|index| *index > me) {
            order.rotate_left(start);
        }
        let others: Vec<_> = self
            .config
            .committee
            .indices()
            .filter(|index| *index != me && !order.contains(index))
            .collect();
        order.extend(others);
        order
    }

    /// What is missing, most needed first, with those who should have it.
    fn wanted(&mut self) -> Vec<WantedItem> {
        let mut wanted = Vec::new();
        let signers = |certificate: &Certificate| certificate.signers.iter().collect::<Vec<_>>();
        if let Distance::Missing { block, count } = self.distance() {
            let holders = self
                .decided
                .certificate
                .as_ref()
                .map(signers)
                .unwrap_or_default();
            // Whoever gets no block before finality moves on asks by height: that stays the same.
            let far = count.unwrap_or(self.decided.passed) >= RANGE_FROM;
            if far && self.decided.path.len() < MAX_PATH {
                wanted.push(WantedItem {
                    want: Want::Range,
                    request: Request::Range(self.path_end().0.next()),
                    holders: holders.clone(),
                });
            }
            if !far || self.ranges_fail() {
                wanted.push(wanted_block(block, holders));
            }
        }
        self.want_proposal(&mut wanted);
        for round in self.rounds.values().filter(|round| !round.certified) {
            let (Some(certificate), Some((parent_view, block))) =
                (&round.notarization, round.notarized())
            else {
                continue;
            };
            if !self.blocks.contains_key(&block) {
                wanted.push(wanted_block(block, signers(certificate)));
            }
            if self.lacks_notarization(parent_view) {
                wanted.push(wanted_notarization(parent_view, signers(certificate)));
            }
        }
        wanted.truncate(MAX_ASKS);
        wanted
    }

    /// True if everybody was asked for the range and nobody gave any of it: whoever holds the blocks may not have
    /// stored them yet, as after a restart of all. They are then asked for one by one.
    fn ranges_fail(&self) -> bool {
        self.asks
            .get(&Want::Range)
            .is_some_and(|ask| ask.asked >= self.config.committee.members().len())
    }

    /// What the current view's proposal rests on: its parent's certificate and the nullifications in between.
    fn want_proposal(&mut self, wanted: &mut Vec<WantedItem>) {
        let view = self.view;
        let leader = self.leaders.leader(view);
        let proposed = self
            .rounds
            .get(&view)
            .filter(|round| round.own.notarize.is_none());
        let parent_view = match proposed.and_then(|round| round.proposal) {
            Some(proposed) => proposed.parent_view,
            None if self.is_to_propose() => match self.highest_certified() {
                Some((parent_view, _, _)) => parent_view,
                None => return,
            },
            None => return,
        };
        if self.lacks_notarization(parent_view) {
            wanted.push(wanted_notarization(parent_view, vec![leader]));
        }
        let above = parent_view.max(self.decided.view);
        if let Some((from, to)) = self.missing_nullifications(above, view) {
            wanted.push(WantedItem {
                want: Want::Gap(view),
                request: Request::Certificates { from, to },
                holders: vec![leader],
            });
        }
    }

    fn lacks_notarization(&self, view: View) -> bool {
        view > self.decided.view
            && self
                .rounds
                .get(&view)
                .is_none_or(|round| round.notarization.is_none())
    }

    /// A block that we asked for by its id.
    pub(super) fn take_block(&mut self, block: &WholeBlock) {
        let id = block.id();
        if self.asks.remove(&Want::Block(id)).is_some() {
            let kept = self.blocks.values().filter(|held| held.sought).count();
            let sought = self.ranges_fail() || kept < MAX_ASKS;
            self.hold(block);
            if let Some(held) = self.blocks.get_mut(&id) {
                held.sought |= sought;
            }
        }
    }

    /// True if that block was asked for and has not come.
    pub(crate) fn awaits_block(&self, id: BlockId) -> bool {
        self.asks.contains_key(&Want::Block(id))
    }

    /// True if that validator was asked for a range and has not answered.
    pub(crate) fn awaits_range(&self, from: ValidatorIndex) -> bool {
        self.asks
            .get(&Want::Range)
            .is_some_and(|ask| ask.outstanding(from) > 0)
    }

    /// Notes that a range came. False if none was asked from that validator.
    pub(super) fn note_range(&mut self, from: ValidatorIndex) -> bool {
        self.asks
            .get_mut(&Want::Range)
            .is_some_and(|ask| ask.is_answered_by(from))
    }

    /// Judges a range that came: the next validator is asked at once, unless this one was given up before and brought
    /// nothing while another is waited for.
    pub(super) fn judge_range(&mut self, now: Now, from: ValidatorIndex, useful: bool) {
        let Some(ask) = self.asks.get_mut(&Want::Range) else {
            return;
        };
        let in_time = ask.waits_for(from);
        match (useful, in_time) {
            (false, false) => return,
            (false, true) => self.sources.failed(from),
            (true, false) => self.sources.came_late(),
            (true, true) => {}
        }
        if useful {
            ask.asked = 0;
        }
        ask.ask_next(now.monotonic);
    }

    /// True if certificates were asked for and not all have come.
    pub(crate) fn awaits_certificates(&self) -> bool {
        self.asks
            .keys()
            .any(|want| matches!(want, Want::Notarization(_) | Want::Gap(_)))
    }

    /// Certificates came: if some of the gap are still missing, the next are asked for at once.
    pub(super) fn ask_on(&mut self, now: Now) {
        for (want, ask) in &mut self.asks {
            if matches!(want, Want::Gap(_)) {
                ask.ask_next(now.monotonic);
            }
        }
    }

    /// Answers a request from memory, or has the store answer it.
    pub(super) fn serve(&mut self, from: ValidatorIndex, request: Request, out: &mut Effects) {
        let to = self.config.id_of(from);
        match request {
            Request::Block(id) => match self.blocks.get(&id) {
                Some(held) => {
                    let message = Message::Block(Box::new(held.block.block().as_ref().clone()));
                    out.send(Recipients::One(to), message);
                }
                None => out.late.push(Effect::Serve { to, request }),
            },
            Request::Range(_) => out.late.push(Effect::Serve { to, request }),
            Request::Certificates {
                from: first,
                to: last,
            } => {
                let found = self.certificates_between(first, last);
                if !found.is_empty() {
                    let message = Message::Certificates(Bounded::new(found).unwrap_or_default());
                    out.send(Recipients::One(to), message);
                }
            }
            // Answered by the collector, which holds the votes.
            Request::VoteRecovery { .. } => {}
        }
    }

    fn certificates_between(&self, first: View, last: View) -> Vec<Certificate> {
        let mut found = Vec::new();
        if first <= self.decided.view {
            found.extend(self.decided.certificate.clone());
        }
        if first <= last {
            let rounds = self.rounds.range(first..=last).map(|(_, round)| round);
            let both = rounds
                .flat_map(|round| [&round.notarization, &round.nullification])
                .flatten();
            found.extend(both.take(MAX_CERTIFICATES - found.len()).cloned());
        }
        found
    }
}

fn wanted_block(block: BlockId, holders: Vec<ValidatorIndex>) -> WantedItem {
    WantedItem {
        want: Want::Block(block),
        request: Request::Block(block),
        holders,
    }
}

fn wanted_notarization(view: View, holders: Vec<ValidatorIndex>) -> WantedItem {
    WantedItem {
        want: Want::Notarization(view),
        request: Request::Certificates {
            from: view,
            to: view,
        },
        holders,
    }
}
