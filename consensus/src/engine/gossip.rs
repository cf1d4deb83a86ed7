//! Passing on and saying again: offers (rules 4, 6 and 7), proposals that may be lost (rule 2), nullify retries
//! (rule 5) and standstill (rule 8).

use std::collections::VecDeque;

use types::hash::ValidatorId;
use types::number::{ValidatorIndex, View};
use types::vote::{Certificate, Subject};

use super::Engine;
use crate::config::Timing;
use crate::effect::{Effects, Recipients};
use crate::message::Message;
use types::time::{Monotonic, Now};

/// Longest time between a certificate and its offer, in milliseconds.
const MAX_OFFER_DELAY_MS: u64 = 50;

/// Most items that a standstill tick sends.
const MAX_STANDSTILL_ITEMS: usize = 64;

/// Most items of one view: both certificates and our three votes.
const MAX_ROUND_ITEMS: usize = 5;

/// What a validator has shown to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Shown {
    /// A certificate that ends this view.
    pub view: View,
    /// A finalization of this view.
    pub final_view: View,
    /// That it needs no proposal up to this view any more: it voted for one, or gave the view up.
    pub voted: View,
}

/// The clock of rule 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Standstill {
    /// Time of the next tick.
    pub at: Monotonic,
    /// The view at which it goes on, so that what does not fit a tick comes in the next.
    pub cursor: View,
}

impl Standstill {
    pub(super) fn reset(&mut self, now: Now, timing: &Timing) {
        *self = Self {
            at: now.monotonic.after(timing.standstill_ms),
            cursor: View::ZERO,
        };
    }
}

/// Certificates that will be offered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Offers(VecDeque<(Monotonic, Certificate)>);

impl Offers {
    /// When the next is due.
    pub(super) fn at(&self) -> Option<Monotonic> {
        self.0.front().map(|(at, _)| *at)
    }
}

impl Engine {
    /// Notes that a validator holds a certificate that ends `view`, and a finalization of `final_view`.
    pub(crate) fn note_shown(&mut self, from: ValidatorIndex, view: View, final_view: View) {
        let shown = self.shown.entry(from).or_default();
        shown.view = shown.view.max(view);
        shown.final_view = shown.final_view.max(final_view);
    }

    /// Notes that a validator notarized or nullified that view.
    pub(crate) fn note_voted(&mut self, from: ValidatorIndex, view: View) {
        let shown = self.shown.entry(from).or_default();
        shown.voted = shown.voted.max(view);
    }

    /// True if a validator is known to have notarized or nullified that view, or a later one.
    pub(crate) fn has_voted(&self, from: ValidatorIndex, view: View) -> bool {
        let shown = self.shown.get(&from);
        shown.is_some_and(|shown| shown.voted >= view)
    }

    /// Has a new certificate offered after half a delay: until then most show by a later vote that they hold it, and
    /// often something newer makes it useless.
    pub(super) fn offer(&mut self, now: Now, certificate: Certificate) {
        let delay_ms = (self.measured_delta_ms() / 2).min(MAX_OFFER_DELAY_MS);
        let last = self.offers.0.back().map_or(now.monotonic, |(at, _)| *at);
        let at = last.max(now.monotonic.after(delay_ms));
        self.offers.0.push_back((at, certificate));
    }

    /// Offers what is due and still says something.
    pub(super) fn make_offers(&mut self, now: Now, out: &mut Effects) {
        while self.offers.at().is_some_and(|at| at <= now.monotonic)
            && let Some((_, certificate)) = self.offers.0.pop_front()
        {
            let view = certificate.statement.view;
            let is_newest = self.decided.certificate.as_ref() == Some(&certificate);
            if view > self.decided.view || is_newest {
                self.send_to_who_lacks(certificate, out);
            }
        }
    }

    /// Sends a certificate to whoever has not shown to hold it.
    fn send_to_who_lacks(&self, certificate: Certificate, out: &mut Effects) {
        let statement = certificate.statement;
        let holds = |index: ValidatorIndex| {
            let shown = self.shown.get(&index).copied().unwrap_or_default();
            match statement.subject {
                Subject::Finalize { .. } => shown.final_view >= statement.view,
                _ => shown.view >= statement.view,
            }
        };
        let to = self.others_but(holds);
        if !to.is_empty() {
            out.send(Recipients::Some(to), Message::Certificate(certificate));
        }
    }

    /// The other validators for which that does not hold.
    fn others_but(&self, holds: impl Fn(ValidatorIndex) -> bool) -> Vec<ValidatorId> {
        let config = &self.config;
        let others = config.committee.indices().filter(|to| *to != config.me);
        others
            .filter(|index| !holds(*index))
            .map(|index| config.id_of(index))
            .collect()
    }

    /// Tells a validator that speaks of an older finalization about ours.
    pub(crate) fn newer_finalization(&self, view: View) -> Option<Certificate> {
        self.decided
            .certificate
            .clone()
            .filter(|certificate| certificate.statement.view > view)
    }

    /// When our nullify vote of the current view is due again, or our proposal that is not notarized yet.
    pub(super) fn resends_at(&self) -> Option<Monotonic> {
        let round = self.rounds.get(&self.view)?;
        let proposes = round.own.proposal.is_some() && round.notarization.is_none();
        let waits = self.may_vote(self.view) && (round.own.nullify.is_some() || proposes);
        waits.then_some(self.timers.retry)
    }

    /// Sends again what may have been lost: the word of the current view, and everything at standstill.
    pub(super) fn resend(&mut self, now: Now, out: &mut Effects) {
        if self.resends_at().is_some_and(|at| at <= now.monotonic) {
            self.repeat_word(now, out);
        }
        if now.monotonic >= self.standstill.at {
            self.standstill.at = now.monotonic.after(self.config.timing.standstill_ms);
            self.tick(out);
        }
    }

    /// Sends the current nullify vote again, else our proposal to whoever has not voted. A proposal is large, so that its
    /// pauses double.
    fn repeat_word(&mut self, now: Now, out: &mut Effects) {
        let view = self.view;
        let Some(round) = self.rounds.get(&view) else {
            return;
        };
        let retry_ms = self.config.timing.retry_ms;
        if let Some(vote) = round.own.nullify {
            self.timers.retry = now.monotonic.after(retry_ms);
            if let Some(entry) = self.entry.clone() {
                out.send(Recipients::All, Message::Certificate(entry));
            }
            return out.send(Recipients::All, Message::Vote(vote));
        }
        let Some(proposal) = &round.own.proposal else {
            return;
        };
        let to = self.others_but(|index| self.has_voted(index, view));
        if !to.is_empty() {
            let message = Message::Proposal(Box::new(proposal.to_proposal()));
            out.send(Recipients::Some(to), message);
        }
        let lasted_ms = now.monotonic.0.saturating_sub(self.timers.due.0);
        self.timers.retry = now.monotonic.after(lasted_ms.max(retry_ms));
    }

    /// Sends the highest finalization, then certificates above it and our own votes, oldest first from where the last
    /// tick ended.
    fn tick(&mut self, out: &mut Effects) {
        let mut items: Vec<Message> = self
            .decided
            .certificate
            .iter()
            .cloned()
            .map(Message::Certificate)
            .collect();
        let from = self.standstill.cursor;
        self.standstill.cursor = View::ZERO;
        for (view, round) in self.rounds.range(from..) {
            if items.len() + MAX_ROUND_ITEMS > MAX_STANDSTILL_ITEMS {
                self.standstill.cursor = *view;
                break;
            }
            let certificates = [&round.notarization, &round.nullification]
                .into_iter()
                .flatten();
            items.extend(certificates.cloned().map(Message::Certificate));
            if self.is_voting() {
                items.extend(round.own.votes().copied().map(Message::Vote));
            }
        }
        for message in items {
            out.send(Recipients::All, message);
        }
    }
}
