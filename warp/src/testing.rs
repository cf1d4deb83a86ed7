//! Keys for tests: what AvalancheGo's signer does, with keys that are made of a number.

use blst::min_pk::SecretKey;

use crate::claim::SIGNATURE_BYTES;
use crate::validators::{CIPHERSUITE, PUBLIC_KEY_BYTES};

/// A validator's BLS key.
#[derive(Debug, Clone)]
pub struct BlsKey(SecretKey);

impl BlsKey {
    /// The key of a number.
    #[must_use]
    pub fn of(number: u8) -> Self {
        Self(SecretKey::key_gen(&[number; 32], &[]).expect("32 bytes are enough"))
    }

    /// Compressed public key.
    #[must_use]
    pub fn public(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.0.sk_to_pk().compress()
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(bytes, CIPHERSUITE, &[]).compress()
    }
}
