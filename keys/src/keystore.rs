//! The encrypted part of a key file: 32 secret bytes under a passphrase.
//!
//! scrypt makes a key of the passphrase and a random salt; XChaCha20-Poly1305 encrypts the secret under it with a random nonce and
//! binds the kind and the public half, so that neither can be changed. A checksum over all of it, which needs no passphrase, tells
//! a damaged file from a wrong passphrase. What scrypt may cost is bounded before any memory is taken for it.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::passphrase::Passphrase;

/// Name of the one scheme.
const SCHEME: &str = "scrypt-xchacha20poly1305";
/// Exponent of scrypt's N for new files: 128 MiB, a third of a second of one core.
const LOG_N: u8 = 17;
/// Exponents that are read: 1 MiB to 256 MiB.
const LOG_N_READ: std::ops::RangeInclusive<u8> = 10..=18;
/// scrypt's r, its block size in units of 128 bytes.
const BLOCK_SIZE: u32 = 8;
/// scrypt's p: nothing is done side by side.
const PARALLEL: u32 = 1;

/// What is wrong with an encrypted secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A scheme that this program does not know.
    #[error("its scheme {0:?} is unknown: this program knows {SCHEME}")]
    Scheme(String),
    /// More or less work than is sensible.
    #[error("it asks for scrypt with N = 2^{0}: 2^10 to 2^18 is allowed")]
    Cost(u8),
    /// The file is not what was written.
    #[error("its checksum does not match: the file is damaged")]
    Damaged,
    /// The passphrase is another one; or somebody changed the file, with its checksum.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Randomness,
}

/// An encrypted secret as it stands in a key file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedSecret {
    scheme: String,
    log_n: u8,
    /// 16 bytes.
    salt: String,
    /// 24 bytes.
    nonce: String,
    /// 32 bytes and the cipher's tag of 16.
    secret: String,
    /// Of everything before, of the kind and of the public half: 8 bytes.
    checksum: String,
}

impl SealedSecret {
    /// Encrypts a secret; `context` names its kind and its public half.
    pub fn new(
        secret: &[u8; 32],
        context: &str,
        passphrase: &Passphrase,
    ) -> Result<Self, SealError> {
        Self::with_cost(secret, context, passphrase, LOG_N)
    }

    fn with_cost(
        secret: &[u8; 32],
        context: &str,
        passphrase: &Passphrase,
        log_n: u8,
    ) -> Result<Self, SealError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        getrandom::fill(&mut salt).map_err(|_| SealError::Randomness)?;
        getrandom::fill(&mut nonce).map_err(|_| SealError::Randomness)?;
        let cipher = cipher(passphrase, &salt, log_n)?;
        let mut text = Zeroizing::new(*secret);
        let tag = cipher
            .encrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                context.as_bytes(),
                &mut text[..],
            )
            .expect("32 bytes are fewer than the cipher's bound");
        let mut sealed = Self {
            scheme: SCHEME.to_owned(),
            log_n,
            salt: hex::encode(salt),
            nonce: hex::encode(nonce),
            secret: hex::encode([&text[..], &tag[..]].concat()),
            checksum: String::new(),
        };
        sealed.checksum = sealed.sum(context);
        Ok(sealed)
    }

    /// Looks whether the file is whole and may be opened; needs no passphrase.
    pub fn check(&self, context: &str) -> Result<(), SealError> {
        if self.scheme != SCHEME {
            let scheme = self.scheme.chars().take(40).collect();
            return Err(SealError::Scheme(scheme));
        }
        if !LOG_N_READ.contains(&self.log_n) {
            return Err(SealError::Cost(self.log_n));
        }
        if self.checksum != self.sum(context) {
            return Err(SealError::Damaged);
        }
        Ok(())
    }

    /// Decrypts the secret.
    pub fn open(
        &self,
        context: &str,
        passphrase: &Passphrase,
    ) -> Result<Zeroizing<[u8; 32]>, SealError> {
        self.check(context)?;
        let (mut salt, mut nonce, mut sealed) = ([0; 16], [0; 24], [0; 48]);
        let decode = |text: &str, into: &mut [u8]| {
            hex::decode_to_slice(text, into).map_err(|_| SealError::Damaged)
        };
        decode(&self.salt, &mut salt)?;
        decode(&self.nonce, &mut nonce)?;
        decode(&self.secret, &mut sealed)?;
        let cipher = cipher(passphrase, &salt, self.log_n)?;
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&sealed[..32]);
        cipher
            .decrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                context.as_bytes(),
                &mut secret[..],
                Tag::from_slice(&sealed[32..]),
            )
            .map_err(|_| SealError::Passphrase)?;
        Ok(secret)
    }

    fn sum(&self, context: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        let n = self.log_n.to_string();
        for part in [
            context,
            &self.scheme,
            &n,
            &self.salt,
            &self.nonce,
            &self.secret,
        ] {
            hasher.update(part.as_bytes()).update(b"\n");
        }
        hex::encode(&hasher.finalize().as_bytes()[..8])
    }
}

/// The cipher under the key that scrypt makes. `log_n` is in [`LOG_N_READ`].
fn cipher(
    passphrase: &Passphrase,
    salt: &[u8; 16],
    log_n: u8,
) -> Result<XChaCha20Poly1305, SealError> {
    let params = scrypt::Params::new(log_n, BLOCK_SIZE, PARALLEL);
    let params = params.map_err(|_| SealError::Cost(log_n))?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), salt, &params, key.as_mut())
        .expect("32 bytes are a length that scrypt gives");
    Ok(XChaCha20Poly1305::new(Key::from_slice(key.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "validator 00ff";

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn sealed() -> SealedSecret {
        SealedSecret::with_cost(&[7; 32], CONTEXT, &passphrase("horse"), 10).unwrap()
    }

    /// A file that somebody changed, with its checksum.
    fn forged(change: impl FnOnce(&mut SealedSecret)) -> SealedSecret {
        let mut sealed = sealed();
        change(&mut sealed);
        sealed.checksum = sealed.sum(CONTEXT);
        sealed
    }

    #[test]
    fn a_wrong_passphrase_and_a_damaged_file_are_told_apart() {
        let whole = sealed();
        assert_eq!(*whole.open(CONTEXT, &passphrase("horse")).unwrap(), [7; 32]);
        let wrong = whole.open(CONTEXT, &passphrase("Horse")).unwrap_err();
        assert_eq!(wrong, SealError::Passphrase);
        let mut damaged = whole.clone();
        damaged.secret.replace_range(
            0..1,
            if whole.secret.starts_with('0') {
                "1"
            } else {
                "0"
            },
        );
        let found = damaged.open(CONTEXT, &passphrase("horse")).unwrap_err();
        assert_eq!(found, SealError::Damaged);
        let other = whole.open("node 00ff", &passphrase("horse")).unwrap_err();
        assert_eq!(other, SealError::Damaged, "the kind is under the checksum");
    }

    #[test]
    fn kind_and_public_half_are_bound_also_against_a_forger() {
        let mut renamed = sealed();
        renamed.checksum = renamed.sum("account 00ff");
        let found = renamed.open("account 00ff", &passphrase("horse"));
        assert_eq!(found.unwrap_err(), SealError::Passphrase);
    }

    #[test]
    fn what_scrypt_costs_is_bounded_before_it_runs() {
        for log_n in [0, 9, 19, 29, 63, 255] {
            let greedy = forged(|sealed| sealed.log_n = log_n);
            let found = greedy.open(CONTEXT, &passphrase("horse")).unwrap_err();
            assert_eq!(found, SealError::Cost(log_n));
        }
        let other = forged(|sealed| sealed.scheme = "rot13".to_owned());
        let found = other.open(CONTEXT, &passphrase("horse")).unwrap_err();
        assert_eq!(found, SealError::Scheme("rot13".to_owned()));
    }

    #[test]
    fn texts_that_are_no_hex_are_damage_and_no_panic() {
        for text in ["", "zz", "0", &"00".repeat(1_000)] {
            for field in 0..3 {
                let bad = forged(|sealed| match field {
                    0 => sealed.salt = text.to_owned(),
                    1 => sealed.nonce = text.to_owned(),
                    _ => sealed.secret = text.to_owned(),
                });
                let found = bad.open(CONTEXT, &passphrase("horse")).unwrap_err();
                assert_eq!(found, SealError::Damaged);
            }
        }
    }

    #[test]
    fn no_two_files_have_a_salt_or_a_nonce_in_common() {
        let [one, other] = [sealed(), sealed()];
        assert_ne!(one.salt, other.salt);
        assert_ne!(one.nonce, other.nonce);
        assert_ne!(one.secret, other.secret);
    }
}
