//! What follows from what happened: other nodes' messages, votes on accepted blocks, the need for a block, the timer.

use chain::Destination;
use state::DecidedState;
use types::hash::{BlockId, ValidatorId};
use types::number::Height;
use types::time::{Monotonic, Now};

use super::Subnet;
use crate::effect::{Effect, Phase};
use crate::finality::Office;
use crate::message::SubnetMessage;

impl Subnet {
    pub(super) fn message(
        &mut self,
        now: Now,
        state: &dyn DecidedState,
        from: ValidatorId,
        message: SubnetMessage,
        out: &mut Vec<Effect>,
    ) {
        match message {
            SubnetMessage::Pool(message) => {
                let message = chain::Gossip::Pool(message);
                let event = chain::Event::Gossip { from, message };
                self.tell_chain(now, state, event, out);
            }
            SubnetMessage::Blobs(message) => {
                let message = chain::Gossip::Blobs(message);
                let event = chain::Event::Gossip { from, message };
                self.tell_chain(now, state, event, out);
            }
            SubnetMessage::Vote(vote) => {
                self.votes.receive(vote);
            }
            SubnetMessage::Finality(certificate) => {
                if self.votes.receive_certificate(certificate)
                    && let Some((height, certificate)) = self.votes.certified().cloned()
                {
                    out.push(Effect::Certified(height, certificate));
                }
            }
            SubnetMessage::WantFinality(height) => {
                if let Some((at, certificate)) = self.votes.certified()
                    && *at >= height
                {
                    let message = SubnetMessage::Finality(certificate.clone());
                    let to = Destination::One(from);
                    out.push(Effect::Send { to, message });
                }
            }
        }
    }

    /// Says that the host has accepted a block, and gathers what others said of it.
    pub(super) fn vote(&mut self, now: Now, height: Height, block: BlockId, out: &mut Vec<Effect>) {
        let office = Office::from(self.chain.rules().as_ref());
        let key = self.key.as_ref().filter(|_| self.phase == Phase::Normal);
        let now_ms = now.monotonic.0;
        if let Some(vote) = self.votes.accepted(office, height, block, key, now_ms) {
            out.push(to_all(SubnetMessage::Vote(vote)));
        }
    }

    /// What follows from whatever happened.
    pub(super) fn settle(&mut self, now: Now, state: &dyn DecidedState, out: &mut Vec<Effect>) {
        if self.stopped {
            return;
        }
        let (processing, verifying) = (&self.processing, &self.verifying);
        self.chain
            .retain(|block| processing.contains_key(block) || verifying.contains_key(block));
        let effects = self.chain.settle(now, state);
        self.obey(now, state, effects, out);
        if self.stopped {
            return;
        }
        if let Some((height, certificate)) = self.votes.gather() {
            out.push(Effect::Certified(height, certificate));
        }
        if self.phase == Phase::Normal
            && let Some((vote, height)) = self.votes.repeat(self.key.as_ref(), now.monotonic.0)
        {
            out.extend(vote.map(|vote| to_all(SubnetMessage::Vote(vote))));
            out.push(to_all(SubnetMessage::WantFinality(height)));
        }
        let wanted = self.wanted(now, state);
        out.extend(self.pace.changed(wanted).map(Effect::Wanted));
        let wakes = [
            self.chain.next_wake(),
            self.votes.next_wake_ms().map(Monotonic),
            self.pace.next_wake(),
        ];
        let next = wakes.into_iter().flatten().min();
        out.extend(next.map(Effect::SetTimer));
    }

    /// True if the host should have a block built now.
    pub(super) fn wanted(&mut self, now: Now, state: &dyn DecidedState) -> bool {
        let own = self.key.as_ref().map(|key| key.public().validator_id());
        let rules = self.chain.rules();
        let may_propose = own.is_some_and(|own| rules.committee.validator(&own).is_some());
        let Some(time) = self.time_of(&self.preferred) else {
            return false;
        };
        if self.phase != Phase::Normal || !may_propose || self.building.is_some() {
            return false;
        }
        let idle_ms = rules.params.idle_target_ms;
        let undecided = self.processing.get(&self.preferred);
        let follows = undecided.map(|at| at.urgent);
        let has_candidates = || self.chain.has_candidates(state, &self.preferred);
        let preferred = (self.preferred, time);
        self.pace
            .wanted(now, preferred, idle_ms, follows, has_candidates)
    }
}

fn to_all(message: SubnetMessage) -> Effect {
    Effect::Send {
        to: Destination::All { except: None },
        message,
    }
}
