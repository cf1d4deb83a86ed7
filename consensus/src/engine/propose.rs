//! Leading a view (rule 2): when to propose, on what, and saying the same thing ever after.

use types::block::Header;
use types::hash::BlockId;
use types::limits::MAX_INLINE_NULLIFICATIONS;
use types::number::{Timestamp, View};
use types::signer::SigningRequest;
use types::vote::{Certificate, Statement, Subject, Vote};

use super::Engine;
use super::certify::CertifiedParent;
use super::round::{HeldProposal, Proposed};
use crate::config::BYTES_PER_MS;
use crate::effect::{Effect, Effects, Recipients};
use crate::log::Record;
use crate::message::Message;
use types::time::{Monotonic, Now};
use types::whole::WholeBlock;

impl Engine {
    /// The highest certified block: of which view, which, and what its child must follow.
    pub(super) fn highest_certified(&self) -> Option<(View, BlockId, CertifiedParent)> {
        let certified = self.rounds.iter().rev().find(|(_, round)| round.certified);
        let (view, block) =
            match certified.and_then(|(view, round)| Some((*view, round.notarized()?.1))) {
                Some(found) => found,
                None if self.is_in_sync() => (self.decided.view, self.decided.block),
                None => return None,
            };
        self.executed(block).map(|parent| (view, block, parent))
    }

    /// The views between a parent's and `view` that were not nullified as far as we know, lowest and highest.
    pub(super) fn missing_nullifications(
        &self,
        parent_view: View,
        view: View,
    ) -> Option<(View, View)> {
        let known = |view: &View| {
            self.rounds
                .get(view)
                .is_some_and(|round| round.nullification.is_some())
        };
        let mut missing = (parent_view.0.saturating_add(1)..view.0)
            .map(View)
            .filter(|view| !known(view));
        let first = missing.next()?;
        Some((first, missing.next_back().unwrap_or(first)))
    }

    /// True if this view's proposal is ours to make and not yet made.
    pub(super) fn is_to_propose(&mut self) -> bool {
        let view = self.view;
        let leads = self.leaders.leader(view) == self.config.me;
        if !leads || !self.may_vote(view) || self.may_have_proposed(view) {
            return false;
        }
        let round = self.rounds.get(&view);
        round.is_none_or(|round| round.own.notarize.is_none() && round.own.nullify.is_none())
    }

    /// Writes with a vote of the current view that the next is ours: once that is on disk, its proposal waits for no disk.
    pub(super) fn reserve(&mut self, out: &mut Effects) {
        let next = self.view.next();
        if next > self.reserved && self.leaders.leader(next) == self.config.me {
            self.reserved = next;
            out.records.push(Record::Reserved(next));
        }
    }

    /// True if a proposal of ours may have left in that view that the log does not hold: the view was reserved before the
    /// start. Whatever we say there, it is no other proposal.
    pub(crate) fn may_have_proposed(&self, view: View) -> bool {
        self.unrecorded.contains(&view)
    }

    /// What the next proposal builds upon, if it is ours to make and everything for it is here.
    fn proposal_parent(&mut self) -> Option<(View, BlockId, CertifiedParent)> {
        if !self.is_to_propose()
            || self
                .rounds
                .get(&self.view)
                .is_some_and(|round| round.asked.is_some())
        {
            return None;
        }
        let found = self.highest_certified()?;
        self.missing_nullifications(found.0, self.view)
            .is_none()
            .then_some(found)
    }

    /// When our proposal is due, if it is ours to make.
    pub(super) fn proposes_at(&mut self, now: Now) -> Option<Monotonic> {
        let (_, _, parent) = self.proposal_parent()?;
        Some(self.due(now, Some(&parent)))
    }

    /// Asks the application for a block once it is time.
    pub(super) fn propose(&mut self, now: Now, out: &mut Effects) {
        if !self.may_sign(now) {
            return;
        }
        let Some((parent_view, block, parent)) = self.proposal_parent() else {
            return;
        };
        if now.monotonic < self.due(now, Some(&parent)) {
            return;
        }
        let view = self.view;
        self.round(view).asked = Some((parent_view, block));
        let timestamp = Timestamp(now.unix.0.max(parent.timestamp.next().0));
        out.early.push(Effect::Propose {
            view,
            parent: block,
            height: parent.height.next(),
            timestamp,
        });
    }

    /// The application's block becomes our proposal: it is written whole and sent, in a reserved view in any order.
    pub(super) fn take_own_block(
        &mut self,
        now: Now,
        view: View,
        block: &WholeBlock,
        out: &mut Effects,
    ) {
        if view != self.view || !self.is_to_propose() {
            return;
        }
        let Some((parent_view, parent)) = self.round(view).asked else {
            return;
        };
        if !self.is_ours(&block.header, parent) || !self.is_certified(parent_view, parent) {
            return;
        }
        let Some(proposal) = self.signed_proposal(view, parent_view, block.clone()) else {
            // The application is asked for a block again.
            self.round(view).asked = None;
            return self.put_off_signing(now);
        };
        let vote = Vote {
            statement: proposal.statement(),
            signer: self.config.me,
            signature: proposal.notarize,
        };
        let wire = Box::new(proposal.to_proposal());
        out.records.push(Record::Proposal(wire.clone()));
        let message = Message::Proposal(wire);
        let wait_ms = self.config.timing.retry_ms + self.sending_ms(message.encoded_bytes());
        self.timers.retry = now.monotonic.after(wait_ms);
        out.send(Recipients::All, message);
        self.hold(block);
        if let Some(held) = self.blocks.get_mut(&block.id()) {
            held.logged = true;
        }
        let round = self.round(view);
        round.proposal = Some(Proposed {
            parent_view,
            block: block.id(),
        });
        round.own.notarize = Some(vote);
        round.own.proposal = Some(proposal);
    }

    /// How long it may take to send that many bytes to all: before, nothing of it is lost.
    fn sending_ms(&self, bytes: usize) -> u64 {
        let others = self.config.committee.members().len().saturating_sub(1);
        let bytes = u64::try_from(bytes.saturating_mul(others)).unwrap_or(u64::MAX);
        bytes / BYTES_PER_MS
    }

    fn is_ours(&self, header: &Header, parent: BlockId) -> bool {
        header.parent == parent
            && header.proposer == self.config.id()
            && header.chain_id == self.config.chain
    }

    fn signed_proposal(
        &self,
        view: View,
        parent_view: View,
        block: WholeBlock,
    ) -> Option<HeldProposal> {
        let (epoch, chain, id) = (self.config.epoch, self.config.chain, block.id());
        let subject = Subject::Notarize {
            parent_view,
            block: id,
        };
        let statement = Statement {
            epoch,
            view,
            subject,
        };
        let [signature, notarize] = self.config.signer.sign_all([
            SigningRequest::Proposal {
                chain,
                epoch,
                view,
                parent_view,
                block: id,
            },
            SigningRequest::Vote { chain, statement },
        ])?;
        Some(HeldProposal {
            epoch,
            view,
            parent_view,
            block,
            parent_certificate: self.certificate_of(parent_view),
            nullifications: self.nullifications(parent_view, view),
            signature,
            notarize,
        })
    }

    /// Why the certified block of a view may be built upon; nothing for genesis.
    fn certificate_of(&self, view: View) -> Option<Certificate> {
        if view == self.decided.view {
            return self.decided.certificate.clone();
        }
        self.rounds
            .get(&view)
            .and_then(|round| round.notarization.clone())
    }

    /// The nullifications between a parent's view and `view`, as many as fit; the reader asks for the rest.
    fn nullifications(&self, parent_view: View, view: View) -> Vec<Certificate> {
        let gap = self.rounds.range(parent_view.next()..view);
        gap.filter_map(|(_, round)| round.nullification.clone())
            .take(MAX_INLINE_NULLIFICATIONS)
            .collect()
    }

    /// Sends the proposal that was made before a restart again, unchanged.
    pub(super) fn repeat_proposal(&mut self, out: &mut Effects) {
        let view = self.view;
        if !self.may_vote(view) {
            return;
        }
        let Some(own) = self
            .rounds
            .get(&view)
            .map(|round| &round.own)
            .filter(|own| own.nullify.is_none())
        else {
            return;
        };
        if let Some(proposal) = &own.proposal {
            let message = Message::Proposal(Box::new(proposal.to_proposal()));
            out.send(Recipients::All, message);
        }
    }
}
