//! Voting (rules 3, 4 and 5). Every vote is written before it is sent, with what it rests on.

use types::number::View;
use types::signer::SigningRequest;
use types::vote::{Statement, Subject, Vote};

use super::Engine;
use super::round::{ExecutionState, Proposed, ViewState};
use crate::effect::{Effect, Effects, Fault, Recipients};
use crate::log::Record;
use crate::message::Message;
use types::time::{Monotonic, Now};

/// What stands between a proposal and our vote for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    /// Proposal is complete and may be voted for.
    Ready(Proposed),
    /// Our clock; until then.
    Early(Monotonic),
    /// Something that may still come.
    Waiting,
    /// It breaks a rule.
    Spoiled,
}

impl Engine {
    /// True if nothing forbids votes in that view: peers have answered the vote recovery, and no vote may have been lost.
    pub(super) fn may_vote(&self, view: View) -> bool {
        !self.halted && self.is_voting() && view > self.floor
    }

    /// True unless whoever holds the key gave no signature a moment ago.
    pub(super) fn may_sign(&self, now: Now) -> bool {
        now.monotonic >= self.unsigned_until
    }

    /// Waits a little before the next signature is asked for. What was to be signed is tried again then: it is in the tables.
    pub(super) fn put_off_signing(&mut self, now: Now) {
        self.unsigned_until = now.monotonic.after(self.config.timing.retry_ms);
    }

    fn cast(&mut self, now: Now, view: View, subject: Subject, out: &mut Effects) {
        let statement = Statement {
            epoch: self.config.epoch,
            view,
            subject,
        };
        let chain = self.config.chain;
        let request = SigningRequest::Vote { chain, statement };
        let Some(signature) = self.config.signer.sign(request) else {
            return self.put_off_signing(now);
        };
        let vote = Vote {
            statement,
            signer: self.config.me,
            signature,
        };
        *self.round(view).own.slot(&subject) = Some(vote);
        out.records.push(Record::Vote(vote));
        self.reserve(out);
        out.send(Recipients::All, Message::Vote(vote));
    }

    /// Rule 3: the first proposal of the current view, if everything about it that needs no execution is right.
    pub(super) fn notarize(&mut self, now: Now, out: &mut Effects) {
        let view = self.view;
        match self.readiness(now) {
            Readiness::Ready(_) if !self.may_sign(now) => {}
            Readiness::Ready(Proposed { parent_view, block }) => {
                self.log_body(view, block, out);
                self.cast(now, view, Subject::Notarize { parent_view, block }, out);
            }
            Readiness::Spoiled => {
                self.round(view).spoiled = true;
                let by = self.config.id_of(self.leaders.leader(view));
                out.late.push(Effect::Report {
                    by,
                    fault: Fault::BadProposal(view),
                });
            }
            Readiness::Early(_) | Readiness::Waiting => {}
        }
    }

    /// When the current proposal's timestamp comes within the bound, if that is all that is missing.
    pub(super) fn notarizes_at(&self, now: Now) -> Option<Monotonic> {
        match self.readiness(now) {
            Readiness::Early(at) => Some(at),
            _ => None,
        }
    }

    fn readiness(&self, now: Now) -> Readiness {
        let view = self.view;
        let Some(round) = self.rounds.get(&view).filter(|round| !round.spoiled) else {
            return Readiness::Waiting;
        };
        let Some(proposed) = round.proposal else {
            return Readiness::Waiting;
        };
        if !self.may_vote(view) || round.own.notarize.is_some() || round.own.nullify.is_some() {
            return Readiness::Waiting;
        }
        let Some(held) = self.blocks.get(&proposed.block) else {
            // Blocks of the current proposal are kept unless they are not above what is committed.
            return Readiness::Spoiled;
        };
        let header = &held.block.header;
        if held.execution == ExecutionState::Invalid
            || self.excludes(proposed.parent_view, header.parent)
        {
            return Readiness::Spoiled;
        }
        let gap = self.missing_nullifications(proposed.parent_view, view);
        if !self.is_certified(proposed.parent_view, header.parent) || gap.is_some() {
            return Readiness::Waiting;
        }
        // That it follows its parent was checked when it was given to execution: see [`Engine::execute`].
        let allowed = now
            .unix
            .0
            .saturating_add(self.config.timing.max_clock_ahead_ms);
        match header.timestamp.0.checked_sub(allowed) {
            Some(ahead) if ahead > 0 => Readiness::Early(now.monotonic.after(ahead)),
            _ => Readiness::Ready(proposed),
        }
    }

    /// True if that block of that view can never be certified any more: another was, or what is final excludes it.
    fn excludes(&self, view: View, block: types::hash::BlockId) -> bool {
        if view <= self.decided.view {
            return view < self.decided.view || block != self.decided.block;
        }
        let other = self.rounds.get(&view).and_then(ViewState::notarized);
        other.is_some_and(|(_, notarized)| notarized != block)
    }

    /// Rule 4: Finalize for every certified block of a view that we did not nullify. A view that others nullified can
    /// no longer be final, so that vote is spared.
    pub(super) fn finalize(&mut self, now: Now, out: &mut Effects) {
        let mut due = Vec::new();
        for (view, round) in &self.rounds {
            let silent = round.nullification.is_none() && round.own.nullify.is_none();
            if round.certified && round.own.finalize.is_none() && silent && self.may_vote(*view) {
                due.extend(round.notarized().map(|(_, block)| (*view, block)));
            }
        }
        for (view, block) in due {
            if !self.may_sign(now) {
                return;
            }
            self.log_notarization(view, out);
            self.cast(now, view, Subject::Finalize { block }, out);
        }
    }

    /// Rule 5: Nullify the current view once it is hopeless, unless Finalize was sent for it.
    pub(super) fn nullify(&mut self, now: Now, out: &mut Effects) {
        let view = self.view;
        if !self.may_vote(view) || !self.may_sign(now) {
            return;
        }
        let cannot_lead = self.cannot_lead();
        let round = self.round(view);
        if round.own.nullify.is_some() || round.own.finalize.is_some() {
            return;
        }
        let (proposal, hopeless) = (round.proposal, round.spoiled || round.leader_nullified);
        let refused = proposal.and_then(|proposed| self.blocks.get(&proposed.block));
        let refused = refused.is_some_and(|held| held.execution == ExecutionState::Invalid);
        let late = now.monotonic >= self.timers.still();
        let silent = proposal.is_none() && now.monotonic >= self.timers.proposal();
        if !(hopeless || refused || late || silent || cannot_lead) {
            return;
        }
        self.timers.retry = now.monotonic.after(self.config.timing.retry_ms);
        self.cast(now, view, Subject::Nullify, out);
    }
}
