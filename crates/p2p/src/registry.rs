//! Which peer is which validator's: genesis' node keys, then the newest valid record of each validator. Pure.

use std::collections::{BTreeMap, BTreeSet};

use libp2p::identity::ed25519;
use libp2p::{Multiaddr, PeerId};
use types::committee::Committee;
use types::hash::ChainId;
use types::key::PublicKey;
use types::number::ValidatorIndex;

use crate::record::{RecordError, SignedRecord};

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
    /// It is this node's own, from an earlier life with a clock ahead: the next one needs a higher sequence.
    Own(u64),
    /// It counts from now on.
    New {
        /// Whose it is.
        validator: ValidatorIndex,
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
    NodeKey(ValidatorIndex),
    /// Two validators have one node key.
    #[error("validators {0} and {1} have the same node key")]
    Shared(ValidatorIndex, ValidatorIndex),
}

/// The bindings.
#[derive(Debug)]
pub(crate) struct Registry {
    chain: ChainId,
    committee: Committee,
    /// This node, if it is a validator's.
    own: Option<(ValidatorIndex, PublicKey)>,
    peers: BTreeMap<PeerId, ValidatorIndex>,
    records: BTreeMap<ValidatorIndex, SignedRecord>,
}

impl Registry {
    pub(crate) fn new(
        chain: ChainId,
        committee: Committee,
        own: Option<(ValidatorIndex, PublicKey)>,
    ) -> Result<Self, RegistryError> {
        let mut peers = BTreeMap::new();
        for (index, member) in committee.indices().zip(committee.members()) {
            // This node's binding is its configuration, whatever genesis says.
            let key = own.filter(|(own, _)| *own == index).map_or(member.node_key, |(_, key)| key);
            let peer = peer_id(&key).ok_or(RegistryError::NodeKey(index))?;
            if let Some(other) = peers.insert(peer, index) {
                return Err(RegistryError::Shared(other, index));
            }
        }
        Ok(Self { chain, committee, own, peers, records: BTreeMap::new() })
    }

    /// The validator that a peer is bound to.
    pub(crate) fn validator_of(&self, peer: &PeerId) -> Option<ValidatorIndex> {
        self.peers.get(peer).copied()
    }

    /// The peer that is bound to a validator.
    pub(crate) fn peer_of(&self, validator: ValidatorIndex) -> Option<PeerId> {
        self.peers.iter().find(|(_, bound)| **bound == validator).map(|(peer, _)| *peer)
    }

    /// All bound peers.
    pub(crate) fn known(&self) -> BTreeSet<PeerId> {
        self.peers.keys().copied().collect()
    }

    /// The newest records of all validators but this one.
    pub(crate) fn records(&self) -> impl Iterator<Item = &SignedRecord> {
        self.records.values()
    }

    /// The addresses that a validator gave last.
    pub(crate) fn addresses(&self, validator: ValidatorIndex) -> Vec<Multiaddr> {
        self.records.get(&validator).map(|signed| signed.record.dialable()).unwrap_or_default()
    }

    /// Verifies a record and takes it if it is newer.
    pub(crate) fn accept(&mut self, signed: SignedRecord) -> Result<Accepted, RecordError> {
        let validator = signed.verify(&self.committee, self.chain)?;
        let (key, sequence) = (signed.record.node_key, signed.record.sequence);
        if let Some((own, own_key)) = self.own
            && own == validator
        {
            return Ok(if key == own_key { Accepted::Own(sequence) } else { Accepted::Stale });
        }
        if sequence <= self.records.get(&validator).map_or(0, |known| known.record.sequence) {
            return Ok(Accepted::Stale);
        }
        let peer = peer_id(&key).ok_or(RecordError::NodeKey(types::key::KeyError::WeakPublicKey))?;
        if let Some(other) = self.validator_of(&peer).filter(|other| *other != validator) {
            return Err(RecordError::Taken(other));
        }
        let replaced = self.peer_of(validator).filter(|old| *old != peer);
        if let Some(old) = &replaced {
            self.peers.remove(old);
        }
        self.peers.insert(peer, validator);
        self.records.insert(validator, signed);
        Ok(Accepted::New { validator, peer, replaced })
    }
}

#[cfg(test)]
mod tests;
