//! A subnet's validators as Warp counts them, and when their signatures are enough.
//!
//! The rules are AvalancheGo's: nodes with one key are one validator with their weights together, validators stand in the
//! order of their uncompressed keys, the weight of nodes without a key counts in the total and can never sign. A quorum
//! is 67 % of the total weight, the default of every chain that takes such messages.

use std::collections::BTreeMap;

use blst::BLST_ERROR;
use blst::min_pk::{AggregatePublicKey, AggregateSignature, PublicKey, Signature};

use crate::claim::{SIGNATURE_BYTES, SignedClaim, StateClaim};
use crate::id::AvalancheNodeId;

/// Bytes of a compressed public key.
pub const PUBLIC_KEY_BYTES: usize = 48;
/// Percent of the total weight that must have signed.
pub const QUORUM_PERCENT: u64 = 67;

/// The ciphersuite of Avalanche's signatures: those of keys whose possession was proven, on the P-chain.
pub(crate) const CIPHERSUITE: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// A node of a validator set, as the P-chain gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeighedNode {
    /// Id of the node.
    pub node: AvalancheNodeId,
    /// Its weight in the subnet.
    pub weight: u64,
    /// Its compressed BLS key; none if the P-chain knows none.
    pub key: Option<[u8; PUBLIC_KEY_BYTES]>,
}

/// Why nodes are no validator set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorsError {
    /// A key is no point of the curve's group.
    #[error("the BLS key of {node} is invalid")]
    Key {
        /// The node with that key.
        node: AvalancheNodeId,
    },
    /// The weights have no sum.
    #[error("the weights of the validators are too large")]
    Weight,
}

/// Why signatures do not show that a subnet's validators made a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// A subnet without validators, as one without sybil protection shows it.
    #[error("the subnet has no validators on the P-chain, so nobody's signature counts")]
    NoValidators,
    /// The set of signers has a form that another one has too.
    #[error("the set of signers has zeros before its first bit")]
    SignerForm,
    /// A signer that is not in the validator set.
    #[error("the message is signed by validator {found}, the subnet has {validators}")]
    UnknownSigner {
        /// Position of the signer.
        found: usize,
        /// Number of validators with a key.
        validators: usize,
    },
    /// Less than [`QUORUM_PERCENT`] of the weight.
    #[error(
        "validators with {signed} of {total} of the weight signed, {QUORUM_PERCENT} % are needed; {refused} signatures do not count"
    )]
    TooLight {
        /// Weight of those that signed.
        signed: u64,
        /// Weight of all validators of the subnet.
        total: u64,
        /// Signatures by others than validators, for something else, or of one validator twice.
        refused: usize,
    },
    /// The aggregate is not the signature of the signers over the message.
    #[error("the signature is not that of these validators over this message")]
    Signature,
}

/// What a quorum signed, and how large it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// The message with its signature.
    pub message: SignedClaim,
    /// Number of validators that signed.
    pub signers: usize,
    /// Weight of those validators.
    pub signed: u64,
    /// The weight of all.
    pub total: u64,
}

#[derive(Debug, Clone)]
struct KeyedValidator {
    key: PublicKey,
    weight: u64,
}

/// The validators of a subnet at one height of the P-chain.
#[derive(Debug, Clone)]
pub struct WarpValidators {
    /// Those with a key, in the canonical order.
    validators: Vec<KeyedValidator>,
    /// Where each node stands in it.
    positions: BTreeMap<AvalancheNodeId, usize>,
    total: u64,
}

impl WarpValidators {
    /// The set of these nodes, in any order. The first of two entries of one node counts.
    pub fn new(nodes: &[WeighedNode]) -> Result<Self, ValidatorsError> {
        let mut by_node = BTreeMap::new();
        for node in nodes {
            by_node.entry(node.node).or_insert(node);
        }
        let mut total = 0u64;
        let mut by_key: BTreeMap<[u8; 96], (PublicKey, u64, Vec<AvalancheNodeId>)> =
            BTreeMap::new();
        for (id, node) in by_node {
            let sum = total.checked_add(node.weight);
            total = sum.ok_or(ValidatorsError::Weight)?;
            let Some(key) = &node.key else { continue };
            let key = PublicKey::key_validate(key);
            let key = key.map_err(|_| ValidatorsError::Key { node: id })?;
            let entry = by_key.entry(key.serialize());
            let (_, weight, ids) = entry.or_insert_with(|| (key, 0, Vec::new()));
            // Not above the total.
            *weight = weight.saturating_add(node.weight);
            ids.push(id);
        }
        let (mut validators, mut positions) = (Vec::new(), BTreeMap::new());
        for (key, weight, ids) in by_key.into_values() {
            positions.extend(ids.into_iter().map(|id| (id, validators.len())));
            validators.push(KeyedValidator { key, weight });
        }
        Ok(Self {
            validators,
            positions,
            total,
        })
    }

    /// Aggregates what nodes signed. A signature of somebody else, of another message or that is none at all does not
    /// count and does no harm; the rest must be a quorum's.
    pub fn aggregate(
        &self,
        claim: &StateClaim,
        signatures: &[(AvalancheNodeId, [u8; SIGNATURE_BYTES])],
    ) -> Result<Aggregate, QuorumError> {
        let bytes = claim.to_bytes();
        let mut counted: BTreeMap<usize, Signature> = BTreeMap::new();
        for (node, signature) in signatures {
            let Some(&position) = self.positions.get(node) else {
                continue;
            };
            let Ok(signature) = Signature::sig_validate(signature, true) else {
                continue;
            };
            if is_signature(&signature, &self.validators[position].key, &bytes) {
                counted.insert(position, signature);
            }
        }
        let signed = self.weight_of(counted.keys().copied());
        let refused = signatures.len().saturating_sub(counted.len());
        self.check_weight(signed, refused)?;
        let all: Vec<_> = counted.values().collect();
        // They are points of the group, each one checked.
        let sum = AggregateSignature::aggregate(&all, false).map_err(|_| QuorumError::Signature)?;
        let message = SignedClaim {
            claim: *claim,
            signers: bits(counted.keys().copied()),
            signature: sum.to_signature().compress(),
        };
        // As a chain that gets it would.
        self.verify(&message)?;
        Ok(Aggregate {
            message,
            signers: counted.len(),
            signed,
            total: self.total,
        })
    }

    /// Verifies a message: signed by validators with [`QUORUM_PERCENT`] of the weight. Gives their weight.
    pub fn verify(&self, message: &SignedClaim) -> Result<u64, QuorumError> {
        let signers = positions(&message.signers)?;
        if let Some(&found) = signers.last().filter(|at| **at >= self.validators.len()) {
            let validators = self.validators.len();
            return Err(QuorumError::UnknownSigner { found, validators });
        }
        let signed = self.weight_of(signers.iter().copied());
        self.check_weight(signed, 0)?;
        let keys: Vec<_> = signers.iter().map(|at| &self.validators[*at].key).collect();
        let key = AggregatePublicKey::aggregate(&keys, false);
        let key = key.map_err(|_| QuorumError::Signature)?.to_public_key();
        let signature = Signature::sig_validate(&message.signature, true);
        let signature = signature.map_err(|_| QuorumError::Signature)?;
        if !is_signature(&signature, &key, &message.claim.to_bytes()) {
            return Err(QuorumError::Signature);
        }
        Ok(signed)
    }

    fn weight_of(&self, signers: impl Iterator<Item = usize>) -> u64 {
        let weights = signers.filter_map(|at| self.validators.get(at));
        // Not above the total, which is a sum that was checked.
        weights.fold(0, |sum, validator| sum.saturating_add(validator.weight))
    }

    fn check_weight(&self, signed: u64, refused: usize) -> Result<(), QuorumError> {
        let total = self.total;
        if total == 0 || self.validators.is_empty() {
            return Err(QuorumError::NoValidators);
        }
        let needed = u128::from(total) * u128::from(QUORUM_PERCENT);
        if u128::from(signed) * 100 < needed {
            return Err(QuorumError::TooLight {
                signed,
                total,
                refused,
            });
        }
        Ok(())
    }
}

/// True if the signature over these bytes is by the owner of the key. Both were checked to be points of their groups.
fn is_signature(signature: &Signature, key: &PublicKey, bytes: &[u8]) -> bool {
    let found = signature.verify(false, bytes, CIPHERSUITE, &[], key, false);
    found == BLST_ERROR::BLST_SUCCESS
}

/// A set of positions as a big-endian number without leading zeros.
fn bits(positions: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut little = Vec::new();
    for position in positions {
        let (byte, bit) = (position / 8, position % 8);
        if little.len() <= byte {
            little.resize(byte + 1, 0);
        }
        little[byte] |= 1u8 << bit;
    }
    little.reverse();
    little
}

/// The positions of such a number, ascending.
fn positions(bits: &[u8]) -> Result<Vec<usize>, QuorumError> {
    if bits.first() == Some(&0) {
        return Err(QuorumError::SignerForm);
    }
    let bytes = bits.iter().rev().enumerate();
    let all = bytes.flat_map(|(at, byte)| (0..8).map(move |bit| (at * 8 + bit, byte >> bit & 1)));
    Ok(all
        .filter_map(|(at, set)| (set == 1).then_some(at))
        .collect())
}

#[cfg(test)]
mod tests;
