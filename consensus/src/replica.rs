//! A validator's half of the protocol: collector and engine together, driven by messages and events.
//!
//! Messages come with the validator whose connection they came over. Votes are its own; certificates, blocks and
//! answers prove themselves. What the engine sends as its own vote is counted here, too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use types::codec::Bounded;
use types::hash::{Hash32, ValidatorId};
use types::number::{ValidatorIndex, View};
use types::vote::{Certificate, Proposal, Subject, Vote};

use crate::collector::{Collected, Collector};
use crate::config::Config;
use crate::effect::{Effect, Effects, Fault, Recipients};
use crate::engine::Engine;
use crate::input::{CommittedTip, Event, Restored, StartError};
use crate::log::Record;
use crate::message::{Message, Request};
use types::time::{Monotonic, Now};
use types::whole::WholeBlock;

#[cfg(test)]
mod tests;

/// Collector and engine of one validator in one term.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replica {
    engine: Engine,
    collector: Collector,
    /// When each validator's next vote recovery is answered.
    vote_recoveries: BTreeMap<ValidatorIndex, Monotonic>,
    config: Arc<Config>,
}

impl Replica {
    /// Starts from what is on disk. `secret` must be unpredictable to other validators: batches of signatures are
    /// combined with it.
    pub fn start(
        config: Config,
        secret: Hash32,
        now: Now,
        restored: Restored,
    ) -> Result<(Self, Effects), StartError> {
        let config = Arc::new(config);
        let mut collector = Collector::new(&config, secret);
        let logged = restored.records.iter().filter_map(|record| match record {
            Record::Certificate(certificate) => Some(certificate),
            _ => None,
        });
        for certificate in logged.chain(&restored.finalization) {
            let view = certificate.statement.view;
            collector
                .verify_certificate(certificate)
                .map_err(|_| StartError::BadCertificate(view))?;
        }
        let (engine, first) = Engine::start(Arc::clone(&config), now, restored)?;
        collector.advance(engine.view(), engine.final_view());
        engine
            .certificates()
            .for_each(|certificate| collector.learn(certificate));
        let mut replica = Self {
            engine,
            collector,
            vote_recoveries: BTreeMap::new(),
            config,
        };
        let votes: Vec<Vote> = replica.engine.own_votes().copied().collect();
        let completed = votes
            .into_iter()
            .filter_map(|vote| replica.collector.insert_verified(vote));
        let mut events: VecDeque<Event> = completed.map(Event::Certificate).collect();
        let mut out = Effects::default();
        replica.absorb(first, &mut events, &mut out);
        replica.run(now, events, &mut out);
        Ok((replica, out))
    }

    /// Takes an event of the application or a timer.
    pub fn step(&mut self, now: Now, event: Event) -> Effects {
        let mut out = Effects::default();
        self.run(now, VecDeque::from([event]), &mut out);
        out
    }

    /// Takes a message that came over the connection of validator `from`.
    ///
    /// Peers are known by their ids; positions are those of this committee and stay inside. A message of somebody who
    /// is no member, or of ourselves, changes nothing.
    pub fn receive(&mut self, now: Now, from: ValidatorId, message: Message) -> Effects {
        let mut out = Effects::default();
        let from = match self.config.committee.index_of(&from) {
            Some(from) if from != self.config.me => from,
            _ => return out,
        };
        let mut events = VecDeque::new();
        match message {
            Message::Vote(vote) => self.take_vote(from, vote, &mut events, &mut out),
            Message::Proposal(proposal) => {
                self.take_proposal(from, &proposal, &mut events, &mut out);
            }
            Message::Certificate(certificate) => {
                self.take_offer(from, certificate, &mut events, &mut out);
            }
            Message::Certificates(_) if !self.engine.awaits_certificates() => {}
            Message::Certificates(certificates) => {
                for certificate in certificates.into_inner() {
                    self.take_certificate(from, certificate, &mut events, &mut out);
                }
            }
            Message::Request(Request::VoteRecovery { session }) => {
                self.answer_vote_recovery(now, from, session, &mut out);
            }
            Message::Request(request) => events.push_back(Event::Request { from, request }),
            Message::Block(block) if !self.engine.awaits_block(block.id()) => {}
            Message::Block(block) => match WholeBlock::new(*block) {
                Some(block) => events.push_back(Event::Block(block)),
                None => self.report(from, Fault::BadAnswer, &mut out),
            },
            Message::Range(_) if !self.engine.awaits_range(from) => {}
            Message::Range(range) => {
                if self
                    .collector
                    .verify_certificate(&range.certificate)
                    .is_ok()
                {
                    events.push_back(Event::Range { from, range });
                } else {
                    self.report(from, Fault::BadCertificate, &mut out);
                }
            }
            Message::VoteRecovery { session, votes } => {
                let me = self.config.me;
                let votes = votes
                    .iter()
                    .copied()
                    .filter(|vote| self.collector.is_by(vote, me))
                    .collect();
                events.push_back(Event::VoteRecovery {
                    from,
                    session,
                    votes,
                });
            }
        }
        self.run(now, events, &mut out);
        out
    }

    /// The view in which this validator votes now.
    #[must_use]
    pub fn view(&self) -> View {
        self.engine.view()
    }

    /// The highest view that is final.
    #[must_use]
    pub fn final_view(&self) -> View {
        self.engine.final_view()
    }

    /// The last committed block.
    #[must_use]
    pub fn tip(&self) -> CommittedTip {
        self.engine.tip()
    }

    /// True if the last committed block is the highest final one and the peers let us vote.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.engine.is_in_sync() && self.engine.is_voting()
    }

    /// The engine, for inspection.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Steps the engine through events, and through what our own votes complete.
    fn run(&mut self, now: Now, mut events: VecDeque<Event>, out: &mut Effects) {
        while let Some(event) = events.pop_front() {
            if let Event::Certificate(certificate) = &event {
                self.collector.learn(certificate);
            }
            let effects = self.engine.step(now, event);
            self.absorb(effects, &mut events, out);
            self.collector
                .advance(self.engine.view(), self.engine.final_view());
        }
    }

    /// Counts our own votes among the effects and joins them to the others.
    fn absorb(&mut self, effects: Effects, events: &mut VecDeque<Event>, out: &mut Effects) {
        for effect in &effects.late {
            let Effect::Send { message, .. } = effect else {
                continue;
            };
            let vote = match message {
                Message::Vote(vote) => *vote,
                Message::Proposal(proposal) => leaders_vote(proposal, self.config.me),
                _ => continue,
            };
            events.extend(self.collector.insert_verified(vote).map(Event::Certificate));
        }
        out.merge(effects);
    }

    /// Tells a validator what it said last, at most as often as a correct one asks.
    fn answer_vote_recovery(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        session: u64,
        out: &mut Effects,
    ) {
        if self
            .vote_recoveries
            .get(&from)
            .is_some_and(|next| now.monotonic < *next)
        {
            return;
        }
        self.vote_recoveries
            .insert(from, now.monotonic.after(self.config.timing.retry_ms));
        let (votes, fault) = self.collector.latest_of(from);
        if let Some(fault) = fault {
            self.report(from, fault, out);
        }
        let votes = Bounded::new(votes).unwrap_or_default();
        out.send(
            Recipients::One(self.config.id_of(from)),
            Message::VoteRecovery { session, votes },
        );
    }

    fn take_vote(
        &mut self,
        from: ValidatorIndex,
        vote: Vote,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        let statement = vote.statement;
        let nullify = statement.subject == Subject::Nullify;
        let near = self.collector.admits(&statement);
        let by_leader = nullify && near && self.engine.leader(statement.view) == from;
        let Collected {
            certificate,
            faults,
            verified,
        } = self.collector.insert(from, vote, by_leader);
        for (by, fault) in faults {
            self.report(by, fault, out);
        }
        let passed = match statement.subject {
            Subject::Finalize { .. } => statement.view,
            _ => statement.view.saturating_sub(1),
        };
        self.engine.note_shown(from, passed, View::ZERO);
        if by_leader && verified {
            events.push_back(Event::LeaderNullified(statement.view));
        }
        events.extend(certificate.map(Event::Certificate));
    }

    /// A proposal is verified only if the engine still lacks the view's first one.
    fn take_proposal(
        &mut self,
        from: ValidatorIndex,
        proposal: &Proposal,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        let view = proposal.view;
        if !self.engine.awaits_proposal(view) {
            return;
        }
        if self.engine.leader(view) != from {
            return self.report(from, Fault::NotItsOwn, out);
        }
        if !self.collector.verify_proposal(proposal, from) {
            return self.report(from, Fault::BadSignature, out);
        }
        self.engine
            .note_shown(from, view.saturating_sub(1), View::ZERO);
        let certificates = proposal
            .parent_certificate
            .iter()
            .chain(&proposal.nullifications);
        for certificate in certificates {
            self.take_certificate(from, certificate.clone(), events, out);
        }
        events.push_back(proposal.into());
        let completed = self.collector.insert_verified(leaders_vote(proposal, from));
        events.extend(completed.map(Event::Certificate));
    }

    /// A certificate that a validator sent unasked; one that speaks of an old finalization is told of ours.
    fn take_offer(
        &mut self,
        from: ValidatorIndex,
        certificate: Certificate,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        let view = certificate.statement.view;
        let is_final = matches!(certificate.statement.subject, Subject::Finalize { .. });
        self.engine
            .note_shown(from, view, if is_final { view } else { View::ZERO });
        if is_final && let Some(newer) = self.engine.newer_finalization(view) {
            let to = Recipients::One(self.config.id_of(from));
            out.send(to, Message::Certificate(newer));
        }
        self.take_certificate(from, certificate, events, out);
    }

    fn take_certificate(
        &self,
        from: ValidatorIndex,
        certificate: Certificate,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        if self.engine.knows(&certificate) {
            return;
        }
        match self.collector.verify_certificate(&certificate) {
            Ok(()) => events.push_back(Event::Certificate(certificate)),
            Err(_) => self.report(from, Fault::BadCertificate, out),
        }
    }

    fn report(&self, by: ValidatorIndex, fault: Fault, out: &mut Effects) {
        let by = self.config.id_of(by);
        out.late.push(Effect::Report { by, fault });
    }
}

/// The notarize vote that a proposal carries.
fn leaders_vote(proposal: &Proposal, signer: ValidatorIndex) -> Vote {
    Vote {
        statement: proposal.notarize_statement(),
        signer,
        signature: proposal.notarize,
    }
}
