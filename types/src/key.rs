//! Keys: ed25519 for accounts and votes, ECVRF over ristretto255 for the beacon and for sortition.
//!
//! Signing is by `ed25519-dalek`; verification follows ZIP-215 (`ed25519-zebra`), under which a signature is valid
//! in a batch exactly if it is valid alone. The VRF is ECVRF-RISTRETTO255-SHA512 (C2SP `vrf-r255`, after RFC 9381).
//! Secrets are zeroised on drop and never printed.

use std::convert::Infallible;
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use ed25519_dalek::Signer as _;
use ed25519_zebra::{VerificationKey, VerificationKeyBytes, batch};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::hash::{Address, ChainId, Domain, Hash32, ValidatorId, hex_text};
use crate::limits::ADDRESS_BYTES;

mod many;

pub use many::{KeyCache, verify_each};

/// Why a key or a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the canonical encoding of a point of large order: under ZIP-215 such a key could verify anything.
    #[error("the public key is not a canonical point of large order")]
    WeakPublicKey,
    /// The signature does not verify.
    #[error("the signature does not fit key and message")]
    BadSignature,
    /// Not a VRF public key.
    #[error("the VRF public key is not a valid ristretto255 point")]
    BadVrfKey,
    /// The VRF proof does not verify.
    #[error("the VRF proof does not fit key and message")]
    BadVrfProof,
    /// The secret is not one.
    #[error("not a valid secret key")]
    BadSecret,
    /// The operating system gave no random bytes.
    #[error("no randomness from the operating system")]
    NoRandomness,
}

/// An ed25519 public key, 32 bytes. Check with [`PublicKey::check_strong`] at registration and first use.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct PublicKey(pub [u8; 32]);
hex_text!(PublicKey, 32);

/// An ed25519 signature, 64 bytes. It never enters an identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);
hex_text!(Signature, 64);

impl PublicKey {
    /// The account of this key.
    #[must_use]
    pub fn address(&self) -> Address {
        let hash = Hash32::of_parts(Domain::ADDRESS, &[&self.0]);
        let mut bytes = [0; ADDRESS_BYTES];
        bytes.copy_from_slice(&hash.0[..ADDRESS_BYTES]);
        Address(bytes)
    }

    /// The id of the validator that takes office with this key.
    #[must_use]
    pub fn validator_id(&self) -> ValidatorId {
        ValidatorId(self.address())
    }

    /// Refuses non-canonical encodings and points of small order.
    pub fn check_strong(&self) -> Result<(), KeyError> {
        self.strong_point().map(|_| ())
    }

    /// The point of a strong key. A coordinate `y` is canonical below `2^255 - 19`; a sign is, unless `x` is 0, and both
    /// points with that are of small order.
    fn strong_point(&self) -> Result<EdwardsPoint, KeyError> {
        let [lowest, between @ .., highest] = &self.0;
        let reduced =
            *lowest < 0xed || *highest & 0x7f != 0x7f || between.iter().any(|b| *b != 0xff);
        let point = CompressedEdwardsY(self.0).decompress();
        point
            .filter(|point| reduced && !point.is_small_order())
            .ok_or(KeyError::WeakPublicKey)
    }

    /// Verifies one signature under ZIP-215.
    pub fn verify(&self, message: &Hash32, signature: &Signature) -> Result<(), KeyError> {
        VerificationKey::try_from(VerificationKeyBytes::from(self.0))
            .and_then(|key| {
                key.verify(
                    &ed25519_zebra::Signature::from_bytes(&signature.0),
                    &message.0,
                )
            })
            .map_err(|_| KeyError::BadSignature)
    }
}

/// One signature to verify in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// Public key under which the signature is checked.
    pub key: PublicKey,
    /// What was signed, see [`signing_hash`].
    pub message: Hash32,
    /// Signature over the signing hash.
    pub signature: Signature,
}

/// Verifies all of `items` at once; true exactly if each verifies alone (up to 2^-128). `secret` must be
/// unpredictable to whoever made the items; the coefficients come from it and the items, so the call is pure.
#[must_use]
pub fn verify_batch(items: &[Signed], secret: &Hash32) -> bool {
    let mut seed = blake3::Hasher::new_keyed(&secret.0);
    let mut verifier = batch::Verifier::new();
    for item in items {
        seed.update(&item.key.0)
            .update(&item.message.0)
            .update(&item.signature.0);
        let signature = ed25519_zebra::Signature::from_bytes(&item.signature.0);
        verifier.queue((
            VerificationKeyBytes::from(item.key.0),
            signature,
            &item.message.0,
        ));
    }
    verifier.verify(Coefficients(seed.finalize_xof())).is_ok()
}

/// The random coefficients of a batch: a BLAKE3 stream over a secret and the items.
struct Coefficients(blake3::OutputReader);

impl rand_core::TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(target);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Coefficients {}

/// What is signed: a hash in the kind's own domain over the chain's id and the value's canonical bytes.
#[must_use]
pub fn signing_hash<T: BorshSerialize + ?Sized>(
    domain: Domain,
    chain: ChainId,
    value: &T,
) -> Hash32 {
    Hash32::of_parts(domain, &[&chain.0.0, &crate::codec::encode(value)])
}

/// An ed25519 secret key; zeroised on drop, never printed.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// A new key from the operating system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut()).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// The key of a 32-byte seed (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for a key file.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key that belongs to this secret.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message that is a [`signing_hash`]; equal inputs give equal signatures.
    #[must_use]
    pub fn sign(&self, message: &Hash32) -> Signature {
        Signature(self.0.sign(&message.0).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

/// A VRF public key, 32 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct VrfPublicKey(pub [u8; 32]);
hex_text!(VrfPublicKey, 32);

/// A VRF proof, 80 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct VrfProof(pub [u8; 80]);
hex_text!(VrfProof, 80);

/// A VRF output, reduced to 32 bytes in the domain it is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VrfOutput(pub [u8; 64]);

impl VrfOutput {
    /// The output as a hash in a domain.
    #[must_use]
    pub fn hash(&self, domain: Domain) -> Hash32 {
        Hash32::of_parts(domain, &[&self.0])
    }
}

impl VrfPublicKey {
    /// Refuses encodings that are not a valid key.
    pub fn check(&self) -> Result<(), KeyError> {
        vrf_r255::PublicKey::from_bytes(self.0)
            .map(|_| ())
            .ok_or(KeyError::BadVrfKey)
    }

    /// Verifies a proof over a message and gives its output.
    pub fn verify(&self, message: &Hash32, proof: &VrfProof) -> Result<VrfOutput, KeyError> {
        let key = vrf_r255::PublicKey::from_bytes(self.0).ok_or(KeyError::BadVrfKey)?;
        let proof = vrf_r255::Proof::from_bytes(proof.0).ok_or(KeyError::BadVrfProof)?;
        Option::from(key.verify(&message.0, &proof))
            .map(VrfOutput)
            .ok_or(KeyError::BadVrfProof)
    }
}

/// A VRF secret: 32 zeroised bytes holding a canonical scalar. The library's own key type is neither zeroised nor
/// unprintable, so it is built for the length of one call.
#[derive(Clone)]
pub struct VrfSecretKey(Zeroizing<[u8; 32]>);

impl VrfSecretKey {
    /// A new key from the operating system's randomness: 252 random bits are a canonical scalar.
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        getrandom::fill(bytes.as_mut()).map_err(|_| KeyError::NoRandomness)?;
        bytes[31] &= 0x0f;
        Self::from_bytes(&bytes)
    }

    /// The key of a canonical non-zero scalar.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let valid = bool::from(vrf_r255::SecretKey::from_bytes(*bytes).is_some());
        if !valid {
            return Err(KeyError::BadSecret);
        }
        Ok(Self(Zeroizing::new(*bytes)))
    }

    /// The scalar, for a key file.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    fn key(&self) -> vrf_r255::SecretKey {
        Option::from(vrf_r255::SecretKey::from_bytes(*self.0)).expect("checked when it was made")
    }

    /// The VRF's public key that belongs to this secret.
    #[must_use]
    pub fn public(&self) -> VrfPublicKey {
        VrfPublicKey(vrf_r255::PublicKey::from(self.key()).to_bytes())
    }

    /// The proof for a message; the same every time.
    #[must_use]
    pub fn prove(&self, message: &Hash32) -> VrfProof {
        VrfProof(self.key().prove(&message.0).to_bytes())
    }
}

impl fmt::Debug for VrfSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VrfSecretKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u8) -> Hash32 {
        signing_hash(Domain::SIGN_TRANSACTION, ChainId::default(), &n)
    }

    #[test]
    fn a_batch_is_valid_exactly_if_each_item_is() {
        let secret = Hash32([7; 32]);
        let mut items: Vec<_> = (0..8u8)
            .map(|n| {
                let key = SecretKey::from_bytes(&[n; 32]);
                Signed {
                    key: key.public(),
                    message: message(n),
                    signature: key.sign(&message(n)),
                }
            })
            .collect();
        assert!(verify_batch(&items, &secret));
        items[3].signature.0[1] ^= 1;
        assert!(!verify_batch(&items, &secret));
        assert_eq!(
            items[3].key.verify(&items[3].message, &items[3].signature),
            Err(KeyError::BadSignature)
        );
    }

    #[test]
    fn weak_and_non_canonical_keys_are_refused() {
        let mut identity = [0u8; 32];
        identity[0] = 1;
        assert_eq!(
            PublicKey(identity).check_strong(),
            Err(KeyError::WeakPublicKey)
        );
        // y = p + 3 encodes y = 3 non-canonically.
        let mut non_canonical = [0xff; 32];
        non_canonical[0] = 0xf0;
        non_canonical[31] = 0x7f;
        assert_eq!(
            PublicKey(non_canonical).check_strong(),
            Err(KeyError::WeakPublicKey)
        );
        assert!(
            SecretKey::from_bytes(&[3; 32])
                .public()
                .check_strong()
                .is_ok()
        );
    }

    /// What a strong key is by its definition: it decodes, encodes to the same bytes, and is of large order.
    fn is_strong(key: &PublicKey) -> bool {
        let point = ed25519_dalek::VerifyingKey::from_bytes(&key.0);
        point.is_ok_and(|key_point| {
            !key_point.is_weak() && key_point.to_edwards().compress().to_bytes() == key.0
        })
    }

    #[test]
    fn a_strong_key_is_one_by_its_definition() {
        let mut strong = 0;
        let mut check = |bytes: [u8; 32]| {
            let key = PublicKey(bytes);
            assert_eq!(key.check_strong().is_ok(), is_strong(&key), "{bytes:x?}");
            strong += u32::from(is_strong(&key));
        };
        // Coordinates around 0 and around the field's order, with both signs.
        for sign in [0, 0x80] {
            for low in 0..=0xff {
                let mut small = [0; 32];
                (small[0], small[31]) = (low, sign);
                check(small);
                let mut large = [0xff; 32];
                (large[0], large[31]) = (low, 0x7f | sign);
                check(large);
            }
        }
        for order in curve25519_dalek::constants::EIGHT_TORSION {
            let mut bytes = order.compress().to_bytes();
            check(bytes);
            bytes[31] ^= 0x80;
            check(bytes);
        }
        for n in 0u32..2_000 {
            check(Hash32::of_parts(Domain::ADDRESS, &[&n.to_le_bytes()]).0);
        }
        assert!(strong > 1_000, "{strong} of them are strong");
    }

    #[test]
    fn vrf_proofs_verify_and_bind_key_and_message() {
        let key = VrfSecretKey::from_bytes(&[5; 32].map(|b: u8| b & 0x0f)).unwrap();
        let proof = key.prove(&message(1));
        let output = key.public().verify(&message(1), &proof).unwrap();
        assert_eq!(
            output,
            key.public()
                .verify(&message(1), &key.prove(&message(1)))
                .unwrap()
        );
        assert!(key.public().verify(&message(2), &proof).is_err());
        assert!(VrfSecretKey::from_bytes(&[0; 32]).is_err());
        assert!(VrfSecretKey::from_bytes(&[0xff; 32]).is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let text = format!(
            "{:?} {:?}",
            SecretKey::from_bytes(&[9; 32]),
            VrfSecretKey::from_bytes(&[9; 32]).unwrap()
        );
        assert!(!text.contains("0909"));
    }
}
