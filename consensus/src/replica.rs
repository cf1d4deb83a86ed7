//! A validator's half of the protocol: collector and engine together, driven by messages and events.
//!
//! Messages come with the validator whose connection they came over. Votes are its own; certificates, blocks and
//! answers prove themselves. What the engine sends as its own vote is counted here, too.
//!
//! Nobody can spend more of this validator's time than its share. Faults are counted, and lead to bans
//! ([`conduct`]); what is asked is answered on an account of whoever asks ([`serving`]); answers that nobody waits for
//! are not looked into.

use std::collections::VecDeque;
use std::sync::Arc;

use types::block::Block;
use types::codec::Bounded;
use types::hash::{Hash32, ValidatorId};
use types::number::{ValidatorIndex, View};
use types::vote::{Proposal, Subject, Vote};

use crate::collector::{Collected, Collector};
use crate::config::Config;
use crate::effect::{Effect, Effects, Fault, Recipients};
use crate::engine::Engine;
use crate::input::{CommittedTip, Event, Restored, StartError};
use crate::log::Record;
use crate::message::{Message, Request};
use types::time::{Monotonic, Now};
use types::whole::WholeBlock;

mod certificates;
pub mod conduct;
mod own_key;
mod serving;
#[cfg(test)]
mod tests;

use conduct::Conduct;
use serving::ServingBudgets;

/// Collector and engine of one validator in one term.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replica {
    engine: Engine,
    collector: Collector,
    conduct: Conduct,
    serving: ServingBudgets,
    /// The engine's last timer.
    engine_timer: Option<Monotonic>,
    /// The highest final view at the start: the log may have released votes up to it.
    released: View,
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
            .for_each(|certificate| drop(collector.learn(certificate)));
        let mut replica = Self {
            released: engine.final_view(),
            engine,
            collector,
            conduct: Conduct::default(),
            serving: ServingBudgets::new(config.committee.members().len()),
            engine_timer: None,
            config,
        };
        let votes: Vec<Vote> = replica.engine.own_votes().copied().collect();
        let completed = votes
            .into_iter()
            .filter_map(|vote| replica.collector.insert_verified(vote).certificate);
        let mut events: VecDeque<Event> = completed.map(Event::Certificate).collect();
        let mut out = Effects::default();
        replica.absorb(first, &mut events, &mut out);
        replica.run(now, events, &mut out);
        replica.settle(now, &mut out);
        Ok((replica, out))
    }

    /// Takes an event of the application or a timer.
    pub fn step(&mut self, now: Now, event: Event) -> Effects {
        let mut out = Effects::default();
        self.run(now, VecDeque::from([event]), &mut out);
        self.settle(now, &mut out);
        out
    }

    /// Takes a message that came over the connection of validator `from`.
    ///
    /// Peers are known by their ids; positions are those of this committee and stay inside. A message of somebody who
    /// is no member, who is banned, or of ourselves changes nothing.
    pub fn receive(&mut self, now: Now, from: ValidatorId, message: Message) -> Effects {
        let mut out = Effects::default();
        let from = match self.config.committee.index_of(&from) {
            Some(from) if from != self.config.me => from,
            _ => return out,
        };
        if self.conduct.is_banned(now.monotonic, from) {
            return out;
        }
        let mut events = VecDeque::new();
        self.take(now, from, message, &mut events, &mut out);
        self.run(now, events, &mut out);
        self.settle(now, &mut out);
        out
    }

    /// Counts a fault that was found outside of consensus, for instance in a frame of another channel.
    pub fn blame(&mut self, now: Now, by: ValidatorId, fault: Fault) -> Effects {
        let mut out = Effects::default();
        if let Some(by) = self.config.committee.index_of(&by) {
            self.report(by, fault, &mut out);
            self.settle(now, &mut out);
        }
        out
    }

    /// True if nothing of that validator is taken now, on any channel.
    #[must_use]
    pub fn is_banned(&self, now: Now, validator: &ValidatorId) -> bool {
        let index = self.config.committee.index_of(validator);
        index.is_some_and(|index| self.conduct.is_banned(now.monotonic, index))
    }

    /// The store's answer to an [`Effect::Serve`] was sent and had that many bytes; 0 if it had none.
    pub fn served(&mut self, now: Now, to: ValidatorId, bytes: usize) -> Effects {
        let mut out = Effects::default();
        if let Some(to) = self.config.committee.index_of(&to) {
            self.serving.store_is_done(now.monotonic, to, bytes);
            self.settle(now, &mut out);
        }
        out
    }

    fn take(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        message: Message,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        match message {
            Message::Vote(vote) => self.take_vote(now, from, vote, events, out),
            Message::Proposal(proposal) => {
                self.take_proposal(now, from, &proposal, events, out);
            }
            Message::Certificate(certificate) => {
                self.take_offer(now, from, certificate, events, out);
            }
            Message::Certificates(_) if !self.engine.awaits_certificates() => {}
            Message::Certificates(certificates) => {
                let certificates = certificates.into_inner();
                self.take_certificates(from, certificates, events, out);
            }
            Message::Request(request) => self.serving.ask(from, request),
            Message::Block(block) if !self.engine.awaits_block(block.id()) => {}
            Message::Block(block) => self.take_block(from, *block, events, out),
            Message::Range(_) if !self.engine.awaits_range(from) => {}
            Message::Range(range) => {
                if self
                    .collector
                    .verify_certificate(&range.certificate)
                    .is_ok()
                {
                    events.push_back(Event::Range { from, range });
                } else {
                    self.report(from, Fault::BadCertificate, out);
                }
            }
            Message::Evidence(evidence) => self.take_evidence(from, &evidence, out),
            Message::VoteRecovery { session, .. }
                if !self.engine.awaits_vote_recovery(from, session) => {}
            Message::VoteRecovery {
                session,
                votes,
                entry,
            } => {
                let me = self.config.me;
                let mut votes = votes.into_inner();
                let told = votes.len();
                votes.retain(|vote| self.collector.is_by(vote, me));
                let proven = |entry: &types::vote::Certificate| {
                    self.collector.verify_certificate(entry).is_ok()
                };
                let shown = entry.is_some();
                let ended = entry.filter(proven).map(|entry| entry.statement.view);
                if votes.len() < told || (shown && ended.is_none()) {
                    self.report(from, Fault::BadAnswer, out);
                }
                events.push_back(Event::VoteRecovery {
                    from,
                    session,
                    votes,
                    ended,
                });
            }
        }
    }

    /// True while the others have not confirmed what a lost log held: until then the log must keep its first record.
    #[must_use]
    pub fn awaits_confirmation(&self) -> bool {
        self.engine.awaits_confirmation()
    }

    /// Our position in the committee.
    #[must_use]
    pub fn position(&self) -> ValidatorIndex {
        self.config.me
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
            if self.stops_for_foreign_vote(&event, out) {
                return;
            }
            let learnt = match &event {
                Event::Certificate(certificate) => std::slice::from_ref(certificate),
                Event::Certificates(certificates) => certificates,
                _ => &[],
            };
            for certificate in learnt {
                let faults = self.collector.learn(certificate);
                self.report_all(faults, out);
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
                Message::Proposal(proposal) => proposal.leaders_vote(self.config.me),
                _ => continue,
            };
            let collected = self.collector.insert_verified(vote);
            self.report_all(collected.faults, out);
            events.extend(collected.certificate.map(Event::Certificate));
        }
        out.merge(effects);
    }

    /// What ends every step: requests are answered whose time has come, faults that were found are counted, and the
    /// timer is the earlier one of the engine and of the requests that wait.
    fn settle(&mut self, now: Now, out: &mut Effects) {
        while let Some((from, request)) = self.serving.next(now.monotonic) {
            self.answer(now, from, request, out);
        }
        let faults = out.late.iter().filter_map(|effect| match effect {
            Effect::Report { by, .. } => Some(*by),
            _ => None,
        });
        for validator in faults.collect::<Vec<_>>() {
            let index = self.config.committee.index_of(&validator);
            let index = index.filter(|index| *index != self.config.me);
            let ban = index.and_then(|index| self.conduct.count(now.monotonic, index));
            out.late
                .extend(ban.map(|for_ms| Effect::Ban { validator, for_ms }));
        }
        self.engine_timer = out.timer.or(self.engine_timer);
        if let Some(due) = self.serving.next_due() {
            let due = due.max(now.monotonic.after(1));
            out.timer = Some(self.engine_timer.map_or(due, |timer| timer.min(due)));
        }
    }

    /// Answers a request on the account of whoever asked.
    fn answer(&mut self, now: Now, from: ValidatorIndex, request: Request, out: &mut Effects) {
        if let Request::VoteRecovery { session } = request {
            return self.answer_vote_recovery(now, from, session, out);
        }
        let effects = self.engine.step(now, Event::Request { from, request });
        let to = self.config.id_of(from);
        for effect in &effects.late {
            match effect {
                Effect::Send {
                    to: Recipients::One(one),
                    message,
                } if *one == to => {
                    self.serving
                        .charge(now.monotonic, from, message.encoded_bytes());
                }
                Effect::Serve { .. } => self.serving.store_works(now.monotonic, from),
                _ => {}
            }
        }
        let mut events = VecDeque::new();
        self.absorb(effects, &mut events, out);
        self.run(now, events, out);
    }

    /// Tells a validator what it said last.
    fn answer_vote_recovery(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        session: u64,
        out: &mut Effects,
    ) {
        let (votes, fault) = self.collector.latest_of(from);
        if let Some(fault) = fault {
            self.report(from, fault, out);
        }
        let votes = Bounded::new(votes).unwrap_or_default();
        let entry = self.engine.shown_entry().cloned();
        let message = Message::VoteRecovery {
            session,
            votes,
            entry,
        };
        self.serving
            .charge(now.monotonic, from, message.encoded_bytes());
        out.send(Recipients::One(self.config.id_of(from)), message);
    }

    fn take_vote(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        vote: Vote,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        let statement = vote.statement;
        self.engine.note_heard(now, from);
        let nullify = statement.subject == Subject::Nullify;
        let near = self.collector.admits(&statement);
        let by_leader = nullify && near && self.engine.leader(statement.view) == from;
        let Collected {
            certificate,
            faults,
            verified,
        } = self.collector.insert(from, vote, by_leader);
        self.report_all(faults, out);
        let passed = match statement.subject {
            Subject::Finalize { .. } => statement.view,
            _ => statement.view.saturating_sub(1),
        };
        self.engine.note_shown(from, passed, View::ZERO);
        self.engine.note_voted(from, passed.max(statement.view));
        if by_leader && verified {
            events.push_back(Event::LeaderNullified(statement.view));
        }
        events.extend(certificate.map(Event::Certificate));
    }

    /// A block that was asked for.
    fn take_block(
        &self,
        from: ValidatorIndex,
        block: Block,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        match WholeBlock::new(block) {
            Some(block) => events.push_back(Event::Block(block)),
            None => self.report(from, Fault::BadAnswer, out),
        }
    }

    /// A proposal is verified if the engine still lacks the view's first one, or if it contradicts that: then it is
    /// evidence, and verified once. One that comes when its block is final already is the block that is asked for.
    fn take_proposal(
        &mut self,
        now: Now,
        from: ValidatorIndex,
        proposal: &Proposal,
        events: &mut VecDeque<Event>,
        out: &mut Effects,
    ) {
        let view = proposal.view;
        let awaited = self.engine.awaits_proposal(view);
        if !awaited && self.engine.awaits_block(proposal.block.id()) {
            self.take_block(from, proposal.block.clone(), events, out);
        }
        let contradicts = || {
            let statement = proposal.notarize_statement();
            self.collector.would_contradict(&statement, from)
        };
        if !awaited && !contradicts() {
            return;
        }
        if self.engine.leader(view) != from {
            return self.report(from, Fault::NotItsOwn, out);
        }
        if !self.collector.verify_proposal(proposal, from) {
            return self.report(from, Fault::BadSignature, out);
        }
        self.engine.note_heard(now, from);
        if awaited {
            self.engine
                .note_shown(from, view.saturating_sub(1), View::ZERO);
            let certificates = proposal.certificates().cloned();
            self.take_certificates(from, certificates, events, out);
            events.push_back(proposal.into());
        }
        let collected = self.collector.insert_verified(proposal.leaders_vote(from));
        self.report_all(collected.faults, out);
        events.extend(collected.certificate.map(Event::Certificate));
    }

    fn report_all(&self, faults: Vec<(ValidatorIndex, Fault)>, out: &mut Effects) {
        for (by, fault) in faults {
            self.report(by, fault, out);
        }
    }

    fn report(&self, by: ValidatorIndex, fault: Fault, out: &mut Effects) {
        let by = self.config.id_of(by);
        if let Fault::Equivocation(evidence) = &fault
            && evidence.signer() != self.config.me
        {
            // It may not know that its key signs twice.
            let message = Message::Evidence(evidence.clone());
            out.send(Recipients::One(by), message);
        }
        out.late.push(Effect::Report { by, fault });
    }
}
