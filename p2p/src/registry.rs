//! Which peer is which validator's: genesis' node keys, then the newest valid record of each validator. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use libp2p::identity::ed25519;
use libp2p::{Multiaddr, PeerId};
use types::committee::Committee;
use types::hash::{ChainId, ValidatorId};
use types::key::PublicKey;

use crate::names::ResolvedNames;
use crate::pace::EventPace;
use crate::record::{PeerRecord, RecordError, SignedRecord, is_private};

/// Records of one validator that count at once: the addresses of a start, and a few restarts.
const RECORDS_AT_ONCE: u32 = 16;

/// The libp2p name of a node key, if it is a point at all.
pub(crate) fn peer_id(key: &PublicKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&key.0).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}

/// What became of a valid record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Not newer than what is known.
    Stale,
    /// It is this node's own, and its current one does not replace it: the next one needs a higher sequence. Left by
    /// an earlier life with a clock ahead.
    Own(u64),
    /// Its node is bound to another validator here. Elsewhere it may not be: two validators that share a node let every
    /// peer bind it to the one that it heard of first. So this says nothing about who passed the record on.
    Taken {
        /// Peer id that the record binds.
        node: PeerId,
        /// Validator to which the node is bound here.
        by: ValidatorId,
    },
    /// It is newer, and comes too soon after others of its validator.
    TooSoon,
    /// It counts from now on.
    New {
        /// Validator whose record it is.
        validator: ValidatorId,
        /// The peer that it binds.
        peer: PeerId,
        /// The peer that was bound until now, if it is another.
        replaced: Option<PeerId>,
    },
}

/// Why genesis' node keys are not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// A node key is not an ed25519 point.
    #[error("the node key of validator {0} is not a valid key")]
    NodeKey(ValidatorId),
    /// Two validators have one node key.
    #[error("validators {0} and {1} have the same node key")]
    Shared(ValidatorId, ValidatorId),
}

/// Which libp2p node speaks for which validator, by the newest signed records.
#[derive(Debug)]
pub(crate) struct Registry {
    chain: ChainId,
    committee: Committee,
    /// This node, if it is a validator's.
    own: Option<(ValidatorId, PublicKey)>,
    /// What this node says of itself.
    own_record: Option<SignedRecord>,
    peers: BTreeMap<PeerId, ValidatorId>,
    records: BTreeMap<ValidatorId, SignedRecord>,
    /// How often records of one validator count.
    record_every: Duration,
    paces: BTreeMap<ValidatorId, EventPace>,
}

impl Registry {
    pub(crate) fn new(
        chain: ChainId,
        committee: Committee,
        own: Option<(ValidatorId, PublicKey)>,
        record_every: Duration,
    ) -> Result<Self, RegistryError> {
        let mut peers = BTreeMap::new();
        for member in committee.members() {
            let validator = member.id();
            // This node's binding is its configuration, whatever genesis says.
            let key = own
                .filter(|(own, _)| *own == validator)
                .map_or(member.node_key, |(_, key)| key);
            let peer = peer_id(&key).ok_or(RegistryError::NodeKey(validator))?;
            if let Some(other) = peers.insert(peer, validator) {
                return Err(RegistryError::Shared(other, validator));
            }
        }
        Ok(Self {
            chain,
            committee,
            own,
            own_record: None,
            peers,
            records: BTreeMap::new(),
            record_every,
            paces: BTreeMap::new(),
        })
    }

    /// The validator that a peer is bound to.
    pub(crate) fn validator_of(&self, peer: &PeerId) -> Option<ValidatorId> {
        self.peers.get(peer).copied()
    }

    /// The peer that is bound to a validator.
    pub(crate) fn peer_of(&self, validator: ValidatorId) -> Option<PeerId> {
        self.peers
            .iter()
            .find(|(_, bound)| **bound == validator)
            .map(|(peer, _)| *peer)
    }

    /// Peer ids of all nodes that are bound to a validator.
    pub(crate) fn known(&self) -> BTreeSet<PeerId> {
        self.peers.keys().copied().collect()
    }

    /// The newest records of all validators but this one.
    pub(crate) fn records(&self) -> impl Iterator<Item = &SignedRecord> {
        self.records.values()
    }

    /// The newest record of another validator.
    pub(crate) fn record_of(&self, validator: ValidatorId) -> Option<&PeerRecord> {
        self.records.get(&validator).map(|signed| &signed.record)
    }

    /// The addresses that a validator gave last, names resolved. Private ones count where this node's own are: elsewhere
    /// they would make it dial machines of its own network.
    pub(crate) fn addresses(
        &self,
        validator: ValidatorId,
        names: &ResolvedNames,
    ) -> Vec<Multiaddr> {
        let resolved = |signed: &SignedRecord| names.expand(&signed.record.dialable());
        let mut addresses = self.records.get(&validator).map_or_else(Vec::new, resolved);
        let own = self.own_record.as_ref().map(resolved);
        let is_public = own.is_some_and(|own| !own.is_empty() && !own.iter().any(is_private));
        addresses.retain(|address| !is_public || !is_private(address));
        addresses
    }

    /// The addresses of all other validators that gave any, names resolved.
    pub(crate) fn all_addresses(&self, names: &ResolvedNames) -> impl Iterator<Item = Multiaddr> {
        let each = self.records.keys().copied();
        each.flat_map(|validator| self.addresses(validator, names))
    }

    /// The addresses in all records and in this node's own, as they were given.
    pub(crate) fn given_addresses(&self) -> impl Iterator<Item = Multiaddr> {
        let each = self.records.values().chain(&self.own_record);
        each.flat_map(|signed| signed.record.dialable())
    }

    /// Every other validator's bound peer.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (PeerId, ValidatorId)> {
        self.peers
            .iter()
            .map(|(peer, validator)| (*peer, *validator))
    }

    /// Takes note of what this node says of itself from now on.
    pub(crate) fn set_own(&mut self, signed: SignedRecord) {
        self.own_record = Some(signed);
    }

    /// True if whoever holds this record of ours takes the current one in its place, or if it is the current one.
    fn replaces(&self, held: &SignedRecord) -> bool {
        self.own_record
            .as_ref()
            .is_some_and(|own| own.record.sequence > held.record.sequence || own == held)
    }

    /// Verifies a record and takes it if it is newer.
    pub(crate) fn accept(
        &mut self,
        signed: SignedRecord,
        now: Instant,
    ) -> Result<Accepted, RecordError> {
        let validator = signed.verify(&self.committee, self.chain)?;
        let (key, sequence) = (signed.record.node_key, signed.record.sequence);
        if let Some((own, own_key)) = self.own
            && own == validator
        {
            let beaten = key != own_key || self.replaces(&signed);
            return Ok(if beaten {
                Accepted::Stale
            } else {
                Accepted::Own(sequence)
            });
        }
        if sequence
            <= self
                .records
                .get(&validator)
                .map_or(0, |known| known.record.sequence)
        {
            return Ok(Accepted::Stale);
        }
        let peer =
            peer_id(&key).ok_or(RecordError::NodeKey(types::key::KeyError::WeakPublicKey))?;
        if let Some(other) = self.validator_of(&peer).filter(|other| *other != validator) {
            return Ok(Accepted::Taken {
                node: peer,
                by: other,
            });
        }
        let every = self.record_every;
        let pace = self.paces.entry(validator);
        let pace = pace.or_insert_with(|| EventPace::new(every, RECORDS_AT_ONCE, now));
        if !pace.take(now) {
            return Ok(Accepted::TooSoon);
        }
        let replaced = self.peer_of(validator).filter(|old| *old != peer);
        if let Some(old) = &replaced {
            self.peers.remove(old);
        }
        self.peers.insert(peer, validator);
        self.records.insert(validator, signed);
        Ok(Accepted::New {
            validator,
            peer,
            replaced,
        })
    }
}

#[cfg(test)]
mod tests;
