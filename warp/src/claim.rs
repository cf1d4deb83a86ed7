//! The message that validators sign, and the message with their signatures: Avalanche's codec of version 0, whose numbers
//! are big endian and whose bytes have their length before them.
//!
//! The payload is an `AddressedCall` without a source address, the form that every EVM chain of Avalanche delivers. In it
//! stand, in the same codec, a version, the kind of the message, a height and a state root. All of it has one length and
//! one form: a message is taken only if it is what its own content gives.

use types::hash::Hash32;
use types::number::Height;

use crate::id::AvalancheId;

/// Bytes of a signature, of one validator or of many.
pub const SIGNATURE_BYTES: usize = 96;

/// Version of the codec, which begins every value that it writes.
const CODEC: [u8; 2] = [0, 0];
/// Among the payloads of Warp messages: an addressed call.
const ADDRESSED_CALL: u32 = 1;
/// Among the messages of this chain: a claim about its state.
const STATE: u32 = 0;
/// Among the signatures of Warp messages: a set of signers with their aggregate.
const BIT_SET: u32 = 0;
/// Bytes of a message without signatures.
const CLAIM_BYTES: usize = 102;
/// Most bytes that name signers: one bit for each of 65,536 validators.
const MAX_SIGNER_BYTES: usize = 8_192;

/// "The state of this chain after this accepted height has this root."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateClaim {
    /// Number of the Avalanche network.
    pub network: u32,
    /// Id of the chain at Avalanche.
    pub chain: AvalancheId,
    /// Height of an accepted block.
    pub height: Height,
    /// Root of the state tree after that block.
    pub state_root: Hash32,
}

/// A claim with the signatures of a subnet's validators. Whether they are a quorum's is for
/// [`WarpValidators`](crate::WarpValidators) to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedClaim {
    /// The claim that is signed.
    pub claim: StateClaim,
    /// Who signed: bit i of the big-endian number stands for validator i in the canonical order.
    pub signers: Vec<u8>,
    /// The aggregate of their signatures.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// Why bytes are no message about this chain's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Another number of bytes.
    #[error("the message has {found} bytes, not {expected}")]
    Length {
        /// Bytes of a claim, or with signatures those that it says it has.
        expected: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// The bytes differ from what their content gives: another version, kind or payload.
    #[error("byte {at} of the message is not that of a claim about the state")]
    Form {
        /// The first byte that differs.
        at: usize,
    },
    /// More signers than a subnet can have.
    #[error("{found} bytes name the signers, at most {MAX_SIGNER_BYTES} are read")]
    Signers {
        /// Bytes that name the signers.
        found: u32,
    },
}

impl StateClaim {
    /// The payload: what the host's signer is given.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut content = CODEC.to_vec();
        content.extend(STATE.to_be_bytes());
        content.extend(self.height.0.to_be_bytes());
        content.extend(self.state_root.0);
        let mut payload = CODEC.to_vec();
        payload.extend(ADDRESSED_CALL.to_be_bytes());
        put(&mut payload, &[]);
        put(&mut payload, &content);
        payload
    }

    /// The message that is signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = CODEC.to_vec();
        bytes.extend(self.network.to_be_bytes());
        bytes.extend(self.chain.0);
        put(&mut bytes, &self.payload());
        bytes
    }

    /// Reads a message that somebody wants signed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ClaimError> {
        let (expected, found) = (CLAIM_BYTES, bytes.len());
        let length = ClaimError::Length { expected, found };
        let bytes: &[u8; CLAIM_BYTES] = bytes.try_into().map_err(|_| length)?;
        let claim = Self {
            network: u32::from_be_bytes(part(bytes, 2)),
            chain: AvalancheId(part(bytes, 6)),
            height: Height(u64::from_be_bytes(part(bytes, 62))),
            state_root: Hash32(part(bytes, 70)),
        };
        same(&claim.to_bytes(), bytes)?;
        Ok(claim)
    }
}

impl SignedClaim {
    /// The whole message, as any chain of Avalanche takes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.claim.to_bytes();
        bytes.extend(BIT_SET.to_be_bytes());
        put(&mut bytes, &self.signers);
        bytes.extend(self.signature);
        bytes
    }

    /// Reads a whole message. Nothing is verified.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ClaimError> {
        let least = CLAIM_BYTES + 8 + SIGNATURE_BYTES;
        let length = |expected| ClaimError::Length {
            expected,
            found: bytes.len(),
        };
        let (claim, rest) = bytes.split_at_checked(CLAIM_BYTES).ok_or(length(least))?;
        let (head, rest) = rest.split_first_chunk::<8>().ok_or(length(least))?;
        let count = u32::from_be_bytes(part(head, 4));
        let signers = usize::try_from(count).unwrap_or(usize::MAX);
        if signers > MAX_SIGNER_BYTES {
            return Err(ClaimError::Signers { found: count });
        }
        let (signers, signature) = rest
            .split_at_checked(signers)
            .ok_or(length(least + signers))?;
        let signature = signature
            .try_into()
            .map_err(|_| length(least + signers.len()))?;
        let signed = Self {
            claim: StateClaim::from_bytes(claim)?,
            signers: signers.to_vec(),
            signature,
        };
        same(&signed.to_bytes(), bytes)?;
        Ok(signed)
    }
}

/// Writes bytes with their length before them.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("messages are far below 4 GiB");
    out.extend(length.to_be_bytes());
    out.extend(bytes);
}

/// Some bytes of a text that is long enough.
fn part<const LENGTH: usize>(bytes: &[u8], at: usize) -> [u8; LENGTH] {
    let mut found = [0; LENGTH];
    found.copy_from_slice(&bytes[at..at + LENGTH]);
    found
}

fn same(expected: &[u8], found: &[u8]) -> Result<(), ClaimError> {
    let pairs = expected.iter().zip(found);
    match pairs.clone().position(|(a, b)| a != b) {
        Some(at) => Err(ClaimError::Form { at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> StateClaim {
        StateClaim {
            network: 12_345,
            chain: AvalancheId([3; 32]),
            height: Height(77),
            state_root: Hash32([5; 32]),
        }
    }

    #[test]
    fn every_other_byte_is_another_claim_or_none() {
        let bytes = claim().to_bytes();
        assert_eq!(bytes.len(), CLAIM_BYTES);
        assert_eq!(StateClaim::from_bytes(&bytes), Ok(claim()));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let read = StateClaim::from_bytes(&other);
            let is_value = (2..38).contains(&at) || at >= 62;
            assert_eq!(read.is_ok(), is_value, "byte {at}");
            assert_ne!(read, Ok(claim()));
            assert!(StateClaim::from_bytes(&bytes[..at]).is_err());
        }
        assert!(StateClaim::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn signed_messages_come_back_and_no_length_is_believed() {
        for signers in [vec![], vec![1], vec![0x1f; 9]] {
            let signed = SignedClaim {
                claim: claim(),
                signers,
                signature: [8; SIGNATURE_BYTES],
            };
            let bytes = signed.to_bytes();
            assert_eq!(SignedClaim::from_bytes(&bytes), Ok(signed));
            for length in 0..bytes.len() {
                SignedClaim::from_bytes(&bytes[..length]).unwrap_err();
            }
            SignedClaim::from_bytes(&[&bytes[..], &[0]].concat()).unwrap_err();
            let mut long = bytes;
            long[CLAIM_BYTES + 4..CLAIM_BYTES + 8].copy_from_slice(&[0xff; 4]);
            assert_eq!(
                SignedClaim::from_bytes(&long),
                Err(ClaimError::Signers { found: u32::MAX })
            );
        }
    }
}
