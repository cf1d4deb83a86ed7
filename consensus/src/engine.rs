//! The engine: rules 1 to 9, 11 and 14 of the protocol as a pure step.
//!
//! A step takes one event into the tables ([`Engine::take`]), then does everything that the tables allow
//! ([`Engine::advance`]): certify, decide, enter, propose, notarize, finalize, nullify, ask for what is missing. No
//! rule is bound to the event that made it possible, so nothing depends on the order in which events come, and a
//! restart needs no path of its own.
//!
//! A term is one view long (L = 1) and a leader runs no views ahead (k = 0).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::block::Header;
use types::hash::BlockId;
use types::number::{Height, ValidatorIndex, View};
use types::vote::{Certificate, Subject, Vote};

use crate::collector::VIEWS_AHEAD;
use crate::config::Config;
use crate::effect::{Effect, Effects, Fault, Halt};
use crate::input::{CommittedTip, Event, Verdict};
use crate::leader::Leaders;
use crate::log::Record;
use types::time::{Monotonic, Now};
use types::whole::WholeBlock;

mod certify;
mod decide;
mod fetch;
mod gossip;
mod pace;
mod propose;
mod restore;
mod round;
mod sources;
#[cfg(test)]
mod tests;
mod vote;

use decide::Decided;
use fetch::Want;
use gossip::{Offers, Shown, Standstill};
use pace::{LeaderRecords, Timers};
use restore::Voting;
use round::{ExecutionState, Held, Proposed, ViewState};
use sources::{Ask, BlockSources};

/// One validator's view of the chain being decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Engine {
    config: Arc<Config>,
    leaders: Leaders,
    /// The current view; never decreases.
    view: View,
    entered: Monotonic,
    /// The certificate that let us in; none in view 1.
    entry: Option<Certificate>,
    timers: Timers,
    records: LeaderRecords,
    decided: Decided,
    /// The last committed block.
    tip: CommittedTip,
    tip_urgent: bool,
    /// Views above the highest final one.
    rounds: BTreeMap<View, ViewState>,
    /// Blocks above the last committed one.
    blocks: BTreeMap<BlockId, Held>,
    voting: Voting,
    /// Nothing is voted up to this view.
    floor: View,
    /// The highest view that the log keeps for a proposal of ours.
    reserved: View,
    /// Views that were reserved before the start, without what was proposed in them.
    unrecorded: BTreeSet<View>,
    asks: BTreeMap<Want, Ask>,
    sources: BlockSources,
    shown: BTreeMap<ValidatorIndex, Shown>,
    standstill: Standstill,
    offers: Offers,
    /// Since when a transaction other than a beacon output waits, if one does.
    urgent_since: Option<Monotonic>,
    /// Until then nothing is signed: whoever holds the key gave no signature.
    unsigned_until: Monotonic,
    halted: bool,
}

impl Engine {
    /// Takes an event and does everything that follows from it.
    pub fn step(&mut self, now: Now, event: Event) -> Effects {
        let mut out = Effects::default();
        if !self.halted {
            self.take(now, event, &mut out);
            self.advance(now, &mut out);
        }
        out
    }

    /// The view in which this validator votes now.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    /// The highest final view.
    #[must_use]
    pub fn final_view(&self) -> View {
        self.decided.view
    }

    /// The last committed block.
    #[must_use]
    pub fn tip(&self) -> CommittedTip {
        self.tip
    }

    /// The height of the highest final block, as far as its block is known; what is above the tip is being fetched.
    #[must_use]
    pub fn final_height(&self) -> Option<Height> {
        if self.tip.id == self.decided.block {
            return Some(self.tip.height);
        }
        self.blocks
            .get(&self.decided.block)
            .map(|held| held.block.header.height)
    }

    /// True if the last committed block is the highest final one.
    #[must_use]
    pub fn is_in_sync(&self) -> bool {
        self.tip.id == self.decided.block
    }

    /// True once peers have answered what we voted before, so that we vote again.
    #[must_use]
    pub fn is_voting(&self) -> bool {
        self.voting == Voting::Open
    }

    /// The leader of a view.
    pub fn leader(&mut self, view: View) -> ValidatorIndex {
        self.leaders.leader(view)
    }

    /// True if a block above the last committed one is held: its verdict may still be asked for, or is known. What came
    /// of any other block may be forgotten, unless it is still to be written: one that is needed again is executed again.
    #[must_use]
    pub fn holds(&self, block: &BlockId) -> bool {
        self.blocks.contains_key(block)
    }

    /// The header of a block that is held, see [`Engine::holds`].
    #[must_use]
    pub fn header(&self, block: &BlockId) -> Option<&Header> {
        self.blocks.get(block).map(|held| &held.block.header)
    }

    /// True if a view above the highest final one is known to have ended without a block.
    #[must_use]
    pub fn is_nullified(&self, view: View) -> bool {
        self.rounds
            .get(&view)
            .is_some_and(|round| round.nullification.is_some() && round.notarization.is_none())
    }

    /// Blocks held above the last committed one, for tests of the bound.
    #[must_use]
    pub fn blocks_held(&self) -> usize {
        self.blocks.len()
    }

    /// True if a certificate of that kind and view says nothing new.
    pub(crate) fn knows(&self, certificate: &Certificate) -> bool {
        let view = certificate.statement.view;
        if view < self.decided.view {
            return true;
        }
        let round = self.rounds.get(&view);
        match certificate.statement.subject {
            Subject::Notarize { .. } => {
                view == self.decided.view || round.is_some_and(|r| r.notarization.is_some())
            }
            Subject::Nullify => {
                view == self.decided.view || round.is_some_and(|r| r.nullification.is_some())
            }
            Subject::Finalize { block } => view == self.decided.view && block == self.decided.block,
        }
    }

    /// True if the leader's first proposal of that view is still missing and would be taken. Of a view that is over,
    /// only a notarized block matters.
    pub(crate) fn awaits_proposal(&self, view: View) -> bool {
        let round = self.rounds.get(&view);
        let taken = round.is_some_and(|round| round.proposal.is_some() || round.spoiled);
        let matters = view >= self.view || round.is_some_and(|round| round.notarization.is_some());
        let in_window = view > self.decided.view && view <= self.view.saturating_add(VIEWS_AHEAD);
        in_window && matters && !taken
    }

    /// The certificates above the highest final view, and its own.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let above = self
            .rounds
            .values()
            .flat_map(|round| [&round.notarization, &round.nullification]);
        std::iter::once(&self.decided.certificate)
            .chain(above)
            .flatten()
    }

    /// Our own votes above the highest final view.
    pub(crate) fn own_votes(&self) -> impl Iterator<Item = &Vote> {
        self.rounds.values().flat_map(|round| round.own.votes())
    }

    /// True if every vote of ours in that view was cast since the start or is in the log: the peers said what the log may
    /// lack, and the view lies above that.
    /// What proves where we stand, and where we stood at most: nothing as long as we do not know that.
    pub(crate) fn shown_entry(&self) -> Option<&Certificate> {
        let above = |entry: &&Certificate| entry.statement.view >= self.floor;
        let entry = self.entry.as_ref().filter(above);
        entry.filter(|_| !self.awaits_confirmation())
    }

    /// True while the others have not confirmed what a lost log held.
    #[must_use]
    pub fn awaits_confirmation(&self) -> bool {
        matches!(self.voting, Voting::Asking { lost: Some(_), .. })
    }

    /// True if every vote of ours in that view is known.
    pub(crate) fn knows_own_votes(&self, view: View) -> bool {
        self.is_voting() && view > self.floor
    }

    /// Stops for good: somebody else votes with our key.
    pub(crate) fn meets_foreign_vote(&mut self, view: View) -> Effects {
        let mut out = Effects::default();
        self.halt(Halt::ForeignVote { view }, &mut out);
        out
    }

    fn round(&mut self, view: View) -> &mut ViewState {
        self.rounds.entry(view).or_default()
    }

    fn take(&mut self, now: Now, event: Event, out: &mut Effects) {
        match event {
            Event::Timer => {}
            Event::Urgent(true) => {
                self.urgent_since.get_or_insert(now.monotonic);
            }
            Event::Urgent(false) => self.urgent_since = None,
            Event::Proposal {
                view,
                parent_view,
                block,
            } => self.take_proposal(now, view, parent_view, block, out),
            Event::Certificate(certificate) => self.take_certificate(now, certificate, out),
            Event::Certificates(certificates) => {
                for certificate in certificates {
                    self.take_certificate(now, certificate, out);
                }
                self.ask_on(now);
            }
            Event::LeaderNullified(view) => {
                if view >= self.view && view <= self.view.saturating_add(VIEWS_AHEAD) {
                    self.round(view).leader_nullified = true;
                }
            }
            Event::Block(block) => self.take_block(&block),
            Event::Range { from, range } => self.take_range(now, from, *range, out),
            Event::Request { from, request } => self.serve(from, request, out),
            Event::VoteRecovery {
                from,
                session,
                votes,
                ended,
            } => self.take_vote_recovery(from, session, &votes, ended, out),
            Event::Executed { block, verdict } => self.take_verdict(block, verdict),
            Event::Proposed { view, block } => {
                self.take_own_block(now, view, &block, out);
            }
        }
    }

    /// Does all that the tables allow, until nothing more moves.
    fn advance(&mut self, now: Now, out: &mut Effects) {
        loop {
            self.extend_path(out);
            if self.halted {
                return;
            }
            let mut moved = self.execute(out);
            moved |= self.commit(out);
            moved |= self.certify();
            moved |= self.enter(now, out);
            if !moved || self.halted {
                break;
            }
        }
        if self.halted {
            return;
        }
        self.assert_above_final();
        self.log_certified(out);
        self.look_at_pace(now);
        self.propose(now, out);
        self.notarize(now, out);
        self.finalize(now, out);
        self.nullify(now, out);
        self.fetch(now, out);
        self.ask_vote_recovery(now, out);
        self.make_offers(now, out);
        self.resend(now, out);
        out.timer = Some(self.next_timer(now));
    }

    /// What every rule below relies on: votes are cast and rounds kept above the highest final view alone.
    fn assert_above_final(&self) {
        let last = self.decided.view;
        assert!(
            self.view > last,
            "view {} is over: {last} is final",
            self.view
        );
        let lowest = self.rounds.keys().next();
        assert!(
            lowest.is_none_or(|lowest| *lowest > last),
            "rounds up to the final view {last} are gone"
        );
    }

    /// The first proposal of a view from its leader.
    fn take_proposal(
        &mut self,
        now: Now,
        view: View,
        parent_view: View,
        block: Option<WholeBlock>,
        out: &mut Effects,
    ) {
        if !self.awaits_proposal(view) {
            return;
        }
        let proposer = self.config.id_of(self.leaders.leader(view));
        let fits = |block: &WholeBlock| {
            let header = &block.header;
            header.chain_id == self.config.chain
                && header.proposer == proposer
                && parent_view < view
        };
        let Some(block) = block.filter(fits) else {
            self.round(view).spoiled = true;
            out.late.push(Effect::Report {
                by: proposer,
                fault: Fault::BadProposal(view),
            });
            return;
        };
        if view == self.view {
            self.compare_clocks(now, block.header.timestamp);
        }
        self.round(view).proposal = Some(Proposed {
            parent_view,
            block: block.id(),
        });
        self.hold(&block);
    }

    fn take_certificate(&mut self, now: Now, certificate: Certificate, out: &mut Effects) {
        let view = certificate.statement.view;
        match certificate.statement.subject {
            Subject::Finalize { block } => {
                self.take_finalization(now, view, block, certificate, out);
            }
            _ if view <= self.decided.view => {}
            Subject::Notarize { .. } => {
                let round = self.round(view);
                if round.notarization.is_none() {
                    round.notarization = Some(certificate.clone());
                    self.offer(now, certificate);
                }
            }
            Subject::Nullify => {
                let round = self.round(view);
                if round.nullification.is_none() {
                    round.nullification = Some(certificate.clone());
                    self.offer(now, certificate);
                }
            }
        }
    }

    fn take_verdict(&mut self, block: BlockId, verdict: Verdict) {
        if let Some(held) = self.blocks.get_mut(&block)
            && held.execution == ExecutionState::Running
        {
            held.execution = match verdict {
                Verdict::Valid { urgent } => ExecutionState::Valid { urgent },
                Verdict::Invalid => ExecutionState::Invalid,
            };
        }
    }

    fn halt(&mut self, why: Halt, out: &mut Effects) {
        if self.halted {
            return;
        }
        self.halted = true;
        match why {
            Halt::Conflict { view } => out.records.push(Record::Conflict(view)),
            // The next start votes only above it, whatever its peers remember.
            Halt::ForeignVote { view } => out.records.push(Record::Floor(view)),
            Halt::Diverged { .. } => {}
        }
        out.late.push(Effect::Stop(why));
    }

    /// The earliest time at which something is to be done without another event. There always is one: standstill.
    fn next_timer(&mut self, now: Now) -> Monotonic {
        let mut next = self.standstill.at;
        let mut at = |time: Option<Monotonic>| next = next.min(time.unwrap_or(next));
        let round = self.rounds.get(&self.view);
        if !self.may_sign(now) {
            at(Some(self.unsigned_until));
        } else if self.may_vote(self.view) {
            let nullified = round.is_some_and(|round| round.own.nullify.is_some());
            let proposed = round.is_some_and(|round| round.proposal.is_some());
            at(self.resends_at());
            at((!nullified).then_some(self.timers.still()));
            at((!nullified && !proposed).then_some(self.timers.proposal()));
        }
        at(self.offers.at());
        at(self.voting.asks_at());
        at(self.asks.values().map(|ask| ask.at).min());
        if self.may_sign(now) {
            at(self.proposes_at(now));
            at(self.notarizes_at(now));
        }
        next.max(now.monotonic.after(1))
    }
}
