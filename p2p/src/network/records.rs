//! Peer records in the loop: taking those of others, passing them on, and saying this node's own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::PeerId;
use types::hash::ValidatorId;

use super::NetworkLoop;
use crate::names::names_of;
use crate::pace::EventPace;
use crate::record::{PeerRecord, SignedRecord};
use crate::registry::Accepted;

/// Head start of the peer with the lower id when two learn of each other, so that rarely both dial.
const HEAD_START: Duration = Duration::from_secs(1);

/// Times that a validator is told all records at once: a few restarts.
const GREETINGS_AT_ONCE: u32 = 3;
/// Warnings of one cause in the long run, and at once.
const WARN_EVERY: Duration = Duration::from_secs(10);
const WARNINGS_AT_ONCE: u32 = 3;

/// When a validator was told all records, and whether it waits for them.
#[derive(Debug)]
pub(super) struct Greeting {
    pace: EventPace,
    is_due: bool,
}

impl NetworkLoop {
    pub(super) fn on_record(&mut self, from: PeerId, bytes: &Bytes) {
        if !self.peers.contains_key(&from) {
            return;
        }
        let now = Instant::now();
        let outcome =
            SignedRecord::from_bytes(bytes).and_then(|record| self.registry.accept(record, now));
        match outcome {
            Ok(Accepted::Stale) => self.shared.counters.records_stale.add(1),
            Ok(Accepted::TooSoon) => self.shared.counters.records_paced.add(1),
            Ok(Accepted::Own(sequence)) => self.outbid(sequence),
            Ok(Accepted::Taken { node, by }) => {
                if self.may_warn("taken", now) {
                    tracing::warn!(%from, %node, %by, "refused a peer record: its node is another validator's");
                }
                self.shared.counters.records_taken.add(1);
                if node == from {
                    return self.disconnect(from);
                }
            }
            Ok(Accepted::New {
                validator,
                peer,
                replaced,
            }) => {
                self.shared.counters.records_accepted.add(1);
                if let Some(record) = self.registry.record_of(validator) {
                    self.shared.learn(validator, record);
                }
                self.on_binding(validator, peer, replaced);
                self.pass_on(from, peer, bytes);
            }
            Err(error) => {
                if self.may_warn("refused", now) {
                    tracing::warn!(%from, %error, "refused a peer record");
                }
                self.shared.counters.records_refused.add(1);
                return self.disconnect(from);
            }
        }
        // The first record of a peer must bind it.
        if self
            .peers
            .get(&from)
            .is_some_and(|known| known.validator.is_none())
        {
            self.shared.counters.strangers_closed.add(1);
            self.disconnect(from);
        }
    }

    /// A validator's newest record binds a peer, in place of another maybe.
    fn on_binding(&mut self, validator: ValidatorId, peer: PeerId, replaced: Option<PeerId>) {
        self.swarm
            .behaviour_mut()
            .streams
            .set_known(self.registry.known());
        self.name_addresses();
        if let Some(old) = replaced {
            self.dialer.remove_peer(old);
            self.disconnect(old);
        }
        self.schedule(peer, validator, Instant::now());
        if self.peers.contains_key(&peer) {
            self.bind(peer, validator);
        }
    }

    /// Says whose connections have a half of each lobby to themselves: the addresses of records and the configuration;
    /// and which host names are to be resolved.
    pub(super) fn name_addresses(&self) {
        let given: Vec<_> = self.registry.given_addresses().collect();
        let wanted = names_of(self.bootstrap.iter().chain(&given));
        self.wanted_names.send_if_modified(|names| {
            let is_other = *names != wanted;
            *names = wanted;
            is_other
        });
        let names = self.names.borrow();
        let recorded: Vec<_> = self.registry.all_addresses(&names).collect();
        let bootstrap = names.expand(&self.bootstrap);
        self.known.set(bootstrap.iter().chain(&recorded));
    }

    /// Host names mean other addresses now.
    pub(super) fn on_names(&mut self, now: Instant) {
        self.name_addresses();
        let bindings: Vec<_> = self.registry.bindings().collect();
        for (peer, validator) in bindings {
            self.schedule(peer, validator, now);
        }
    }

    /// A validator's peer is to be dialled where its record says.
    fn schedule(&mut self, peer: PeerId, validator: ValidatorId, now: Instant) {
        let delay = if *self.swarm.local_peer_id() < peer {
            Duration::ZERO
        } else {
            HEAD_START
        };
        let addresses = self.registry.addresses(validator, &self.names.borrow());
        self.dialer.add_peer(peer, addresses, now, delay);
    }

    /// Tells a validator all records, if it was not told lately; else once the time is over.
    pub(super) fn greet(&mut self, validator: ValidatorId, now: Instant) {
        let every = self.limits.reconnect_every;
        let greeting = self.greetings.entry(validator);
        let greeting = greeting.or_insert_with(|| Greeting {
            pace: EventPace::new(every, GREETINGS_AT_ONCE, now),
            is_due: false,
        });
        greeting.is_due = !greeting.pace.take(now);
        let peer = self.registry.peer_of(validator);
        let Some((peer, known)) = peer.and_then(|peer| Some((peer, self.peers.get(&peer)?))) else {
            return;
        };
        if greeting.is_due {
            return;
        }
        for record in self.registry.records() {
            if crate::registry::peer_id(&record.record.node_key) != Some(peer) {
                known.records.push(record.to_bytes().into());
            }
        }
    }

    /// Greets those who had to wait for it.
    pub(super) fn greet_waiting(&mut self, now: Instant) {
        let waiting = self
            .greetings
            .iter()
            .filter(|(_, greeting)| greeting.is_due);
        let waiting: Vec<_> = waiting.map(|(validator, _)| *validator).collect();
        for validator in waiting {
            self.greet(validator, now);
        }
    }

    /// False if a cause was warned of lately, so that nobody fills the log.
    pub(super) fn may_warn(&mut self, cause: &'static str, now: Instant) -> bool {
        let pace = self.warnings.entry(cause);
        pace.or_insert_with(|| EventPace::new(WARN_EVERY, WARNINGS_AT_ONCE, now))
            .take(now)
    }

    /// Tells a new record to all validators but those who know it.
    fn pass_on(&self, from: PeerId, subject: PeerId, record: &Bytes) {
        for (peer, known) in &self.peers {
            if known.validator.is_some() && *peer != from && *peer != subject {
                known.records.push(record.clone());
            }
        }
    }

    /// Peers hold a record of this node that the current one does not replace, left by a life with a clock ahead.
    fn outbid(&mut self, sequence: u64) {
        if let Some(signer) = &mut self.signer {
            signer.sequence = signer.sequence.max(sequence);
            self.announce();
        }
    }

    pub(super) fn on_addresses(&mut self) {
        let addresses: Vec<_> = self.swarm.listeners().cloned().collect();
        if *self.shared.addresses() != addresses {
            *self.shared.addresses() = addresses;
            self.announce();
        }
    }

    /// Tries again what could not be signed.
    pub(super) fn announce_due(&mut self, now: Instant) {
        let is_due = self.signer.as_ref().is_some_and(|signer| signer.is_due);
        if is_due && self.may_warn("own record", now) {
            self.announce();
        }
    }

    /// Signs a record with the next sequence and tells everybody.
    fn announce(&mut self) {
        let Some(signer) = &mut self.signer else {
            return;
        };
        signer.sequence = signer.sequence.saturating_add(1);
        let listening = self.shared.addresses().clone();
        let addresses = if signer.external.is_empty() {
            &listening
        } else {
            &signer.external
        };
        let record = PeerRecord::new(
            signer.key.public(),
            signer.node_key.public(),
            addresses,
            signer.sequence,
        )
        .named(signer.name.clone());
        let signature = signer.key.sign(record.signing_request(signer.chain));
        signer.is_due = signature.is_none();
        let Some(signature) = signature else {
            return;
        };
        self.shared.learn(signer.validator, &record);
        let own = record.signed(signature, signer.chain, &signer.node_key);
        let record: Bytes = own.to_bytes().into();
        self.registry.set_own(own);
        let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        tracing::info!(validator = %signer.validator, addresses = shown.join(" "), "others are told where this node is found");
        for known in self.peers.values() {
            known.records.push(record.clone());
        }
        self.own_record = Some(record);
        self.name_addresses();
    }
}
