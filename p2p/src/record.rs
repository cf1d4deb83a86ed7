//! Peer records: which node key and which addresses a validator has.
//!
//! A record is signed twice over the same hash, in the domain `SIGN_PEER` and over the chain's id: by the validator
//! key, so that nobody else can speak for the validator, and by the node key, so that a validator cannot claim the
//! connections of another. A record replaces those with a lower sequence.

use borsh::{BorshDeserialize, BorshSerialize};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use types::codec::{Bounded, CodecError, decode, encode};
use types::committee::Committee;
use types::hash::{ChainId, Domain, ValidatorId};
use types::job::Name;
use types::key::{KeyError, PublicKey, SecretKey, Signature, signing_hash};
use types::limits::MAX_NAME_BYTES;
use types::signer::{MAX_SIGNED_RECORD_BYTES, SigningRequest};

use crate::names::is_host_name;

/// Most addresses in a record.
pub const MAX_ADDRESSES: usize = 8;
/// Longest address, in bytes of its binary form.
pub const MAX_ADDRESS_BYTES: usize = 128;
/// Largest encoded signed record, in bytes.
pub const MAX_RECORD_BYTES: usize = 2_048;

const _: () = assert!(
    MAX_RECORD_BYTES <= MAX_SIGNED_RECORD_BYTES,
    "a signer takes every record"
);
const _: () = assert!(
    MAX_ADDRESSES * (MAX_ADDRESS_BYTES + 4) + MAX_NAME_BYTES + 256 <= MAX_RECORD_BYTES,
    "a full record fits"
);

/// An address in its binary form.
type AddressBytes = Bounded<u8, MAX_ADDRESS_BYTES>;

/// What a validator says about where it is.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PeerRecord {
    /// Whose node it is.
    pub validator: PublicKey,
    /// The node's libp2p identity.
    pub node_key: PublicKey,
    /// Where to dial it, best first.
    pub addresses: Bounded<AddressBytes, MAX_ADDRESSES>,
    /// What its operator calls it, for people: nobody checks it, and two may say the same. Empty without one.
    pub name: Name,
    /// Grows with every record of the validator.
    pub sequence: u64,
}

/// A record with both signatures.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRecord {
    /// Record that both keys sign.
    pub record: PeerRecord,
    /// By the validator key.
    pub validator_signature: Signature,
    /// By the node key.
    pub node_signature: Signature,
}

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not canonical bytes, or too many of them.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Its validator is no member of the committee.
    #[error("{0} is no member of the committee")]
    Stranger(PublicKey),
    /// The node key could verify anything.
    #[error("the node key is refused: {0}")]
    NodeKey(KeyError),
    /// The validator did not sign it, or for another chain.
    #[error("the record is not signed by its validator's key for this chain")]
    ValidatorSignature,
    /// The node did not sign it, or for another chain.
    #[error("the record is not signed by its node's key for this chain")]
    NodeSignature,
    /// An address that this network cannot dial.
    #[error("an address is not an IP address or a host name with a TCP port")]
    Address,
}

impl PeerRecord {
    /// A record over those of `addresses` that fit one: an IP address or a host name, a TCP port and nothing else.
    #[must_use]
    pub fn new(
        validator: PublicKey,
        node_key: PublicKey,
        addresses: &[Multiaddr],
        sequence: u64,
    ) -> Self {
        let fitting = addresses
            .iter()
            .filter(|address| is_dialable(address))
            .take(MAX_ADDRESSES);
        let bytes = fitting
            .filter_map(|address| Bounded::new(address.to_vec()).ok())
            .collect();
        let addresses = Bounded::new(bytes).expect("at most as many as were taken");
        Self {
            validator,
            node_key,
            addresses,
            name: Name::default(),
            sequence,
        }
    }

    /// The same record with a name for people.
    #[must_use]
    pub fn named(mut self, name: Name) -> Self {
        self.name = name;
        self
    }

    /// What the validator's key is asked to sign.
    #[must_use]
    pub fn signing_request(&self, chain: ChainId) -> SigningRequest {
        let record = Bounded::new(encode(self)).expect("a full record fits, see MAX_RECORD_BYTES");
        SigningRequest::PeerRecord { chain, record }
    }

    /// With the signature of the validator's key, signed with the node's.
    #[must_use]
    pub fn signed(
        self,
        validator_signature: Signature,
        chain: ChainId,
        node: &SecretKey,
    ) -> SignedRecord {
        let hash = signing_hash(Domain::SIGN_PEER, chain, &self);
        SignedRecord {
            validator_signature,
            node_signature: node.sign(&hash),
            record: self,
        }
    }

    /// Signs it with both keys.
    #[must_use]
    pub fn sign(self, chain: ChainId, validator: &SecretKey, node: &SecretKey) -> SignedRecord {
        let hash = signing_hash(Domain::SIGN_PEER, chain, &self);
        self.signed(validator.sign(&hash), chain, node)
    }

    /// The addresses; those that do not parse are left out.
    #[must_use]
    pub fn dialable(&self) -> Vec<Multiaddr> {
        let parsed = self
            .addresses
            .iter()
            .filter_map(|bytes| Multiaddr::try_from(bytes.to_vec()).ok());
        parsed.filter(is_dialable).collect()
    }
}

impl SignedRecord {
    /// Canonical bytes of the signed record, at most `MAX_RECORD_BYTES`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes a record; says nothing about its signatures.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        Ok(decode(bytes, MAX_RECORD_BYTES)?)
    }

    /// Verifies membership, addresses and both signatures; gives the validator's id.
    pub fn verify(
        &self,
        committee: &Committee,
        chain: ChainId,
    ) -> Result<ValidatorId, RecordError> {
        let record = &self.record;
        let member = committee
            .validator(&record.validator.validator_id())
            .ok_or(RecordError::Stranger(record.validator))?;
        if record.dialable().len() != record.addresses.len() {
            return Err(RecordError::Address);
        }
        record
            .node_key
            .check_strong()
            .map_err(RecordError::NodeKey)?;
        let hash = signing_hash(Domain::SIGN_PEER, chain, record);
        record
            .validator
            .verify(&hash, &self.validator_signature)
            .map_err(|_| RecordError::ValidatorSignature)?;
        record
            .node_key
            .verify(&hash, &self.node_signature)
            .map_err(|_| RecordError::NodeSignature)?;
        Ok(member.id())
    }
}

/// True for an address that means another machine in another network: loopback, private, link-local and unique local ones.
pub(crate) fn is_private(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Some(Protocol::Ip6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
            None => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        },
        _ => false,
    }
}

/// An IP address that is not the unspecified one or a host name, a TCP port above zero, and nothing else.
pub(crate) fn is_dialable(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    let host = match parts.next() {
        Some(Protocol::Ip4(ip)) => !ip.is_unspecified(),
        Some(Protocol::Ip6(ip)) => !ip.is_unspecified(),
        Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)) => {
            is_host_name(&name)
        }
        _ => false,
    };
    host && matches!(parts.next(), Some(Protocol::Tcp(1..))) && parts.next().is_none()
}

#[cfg(test)]
mod tests;
