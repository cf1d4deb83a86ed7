//! One key, one signer: a vote with our signature that we did not cast ends this process.
//!
//! Two processes with one key, each with a clean log, contradict each other sooner or later. Neither can see the other, but
//! both see what the committee certifies, and their peers, who find a contradiction first, send it back to its author.
//! Whoever meets a vote of its own that it does not know of votes no more: somebody else has the key, or the log was cut
//! after the peers were asked for what it lacks. That it votes on above a view after it asked (see `engine/restore.rs`) is
//! no exception: what its peers told it then is known.
//!
//! Known are the votes cast since the start and those of the log; the collector holds both. Views that were final at the
//! start, or that the peers spoke of, are past: what was signed there says nothing about who signs today. Neither does the
//! vote of a proposal that left before it was written (see `engine/propose.rs`), unless there are two of them in one view. What it leaves
//! out: which of two processes is the right one. Both may stop; the operator starts one of them again.

use types::number::{ValidatorIndex, View};
use types::vote::{Certificate, Statement, Vote};

use super::Replica;
use crate::effect::{Effects, Fault};
use crate::evidence::Evidence;
use crate::input::Event;

impl Replica {
    /// Stops if a verified certificate of an event holds a vote of ours that we do not know of. True if it did.
    pub(super) fn stops_for_foreign_vote(&mut self, event: &Event, out: &mut Effects) -> bool {
        let shown = match event {
            Event::Certificate(certificate) => std::slice::from_ref(certificate),
            Event::Certificates(certificates) => certificates,
            Event::Range { range, .. } => std::slice::from_ref(&range.certificate),
            _ => &[],
        };
        let foreign = shown
            .iter()
            .find(|shown| self.shows_foreign_vote(shown))
            .map(|shown| shown.statement.view);
        if let Some(view) = foreign {
            self.stop_for_foreign_vote(view, out);
        }
        foreign.is_some()
    }

    /// True if a certificate names us as a signer of what we do not know that we signed. Signatures are not looked at.
    pub(super) fn shows_foreign_vote(&self, certificate: &Certificate) -> bool {
        certificate.signers.contains(self.config.me) && self.is_foreign(&certificate.statement)
    }

    /// Our vote of a certificate.
    pub(super) fn own_vote_of(&self, certificate: &Certificate) -> Option<Vote> {
        let (me, statement) = (self.config.me, certificate.statement);
        let mut pairs = certificate.signers.iter().zip(&certificate.signatures);
        pairs
            .find(|(signer, _)| *signer == me)
            .map(|(signer, signature)| Vote {
                statement,
                signer,
                signature: *signature,
            })
    }

    /// Somebody sent two votes of ours that exclude each other. One of them at least is not from here.
    pub(super) fn take_evidence(
        &mut self,
        from: ValidatorIndex,
        evidence: &Evidence,
        out: &mut Effects,
    ) {
        let said = [evidence.first.statement, evidence.second.statement];
        if evidence.signer() != self.config.me {
            return self.report(from, Fault::NotItsOwn, out);
        }
        // Of two proposals in one view one at most left before it was written.
        let one_too_many = said.iter().all(|statement| self.is_unknown(statement));
        if !one_too_many && !said.iter().any(|statement| self.is_foreign(statement)) {
            return;
        }
        if self.collector.verify_evidence(evidence) {
            self.stop_for_foreign_vote(evidence.view(), out);
        } else {
            self.report(from, Fault::BadSignature, out);
        }
    }

    /// True if a vote of ours is one that we neither cast nor were told of when we asked, nor can have lost.
    fn is_foreign(&self, statement: &Statement) -> bool {
        let may_be_lost = self.engine.may_be_unrecorded(statement)
            && !self.collector.would_contradict(statement, self.config.me);
        self.is_unknown(statement) && !may_be_lost
    }

    /// True if a vote of ours is one that we do not remember, and would if it had been written.
    fn is_unknown(&self, statement: &Statement) -> bool {
        let view = statement.view;
        view > self.released
            && self.engine.knows_own_votes(view)
            && self.collector.remembers(statement)
            && !self.collector.holds(statement, self.config.me)
    }

    pub(super) fn stop_for_foreign_vote(&mut self, view: View, out: &mut Effects) {
        out.merge(self.engine.meets_foreign_vote(view));
    }
}
