//! Key files: one secret per file, TOML, mode 0600, in plain text or encrypted under a passphrase. A file that others can read
//! is refused, an existing one is never overwritten but by its own key, and the public half is checked against the secret when it
//! is read. The public half of an encrypted file is read without a passphrase; its checksum holds it against accidents, and whoever
//! opens the file against everything else.

mod error;
mod file;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use types::hash::Address;
use types::key::{KeyError, PublicKey, SecretKey, VrfPublicKey, VrfSecretKey};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::keystore::SealedSecret;
use crate::passphrase::{Passphrase, PassphraseError, Passphrases};

pub use crate::keystore::SealError;
pub use error::KeyFileError;

/// Largest key file, in bytes.
pub(crate) const MAX_KEY_FILE_BYTES: u64 = 4_096;

/// What a key is for. A key file of one kind is refused where another kind is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Signs an account's transactions.
    Account,
    /// Signs a validator's votes.
    Validator,
    /// A node's libp2p identity.
    Node,
    /// Proves beacon outputs or sortitions.
    Vrf,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Account, Self::Validator, Self::Node, Self::Vrf];

    /// The kind as it is written in key files and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Validator => "validator",
            Self::Node => "node",
            Self::Vrf => "vrf",
        }
    }

    /// The kind in words, with an article.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Account => "the key of an account",
            Self::Validator => "the key of a validator",
            Self::Node => "the key of a node",
            Self::Vrf => "a VRF key",
        }
    }
}

/// A key file's TOML: a secret in hex, or an encrypted one.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[zeroize(skip)]
    kind: KeyKind,
    #[zeroize(skip)]
    public: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[zeroize(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<SealedSecret>,
}

impl KeyFile {
    fn parse(text: &str, path: &Path) -> Result<Self, KeyFileError> {
        let none = || KeyFileError::NotKeyFile { path: path.into() };
        let file: Self = toml::from_str(text).map_err(|_| none())?;
        if file.secret.is_some() == file.encrypted.is_some() {
            return Err(none());
        }
        Ok(file)
    }

    /// The file as it was meant, for whom it is no secret: kind and public half.
    fn context(&self) -> String {
        format!("{} {}", self.kind.name(), self.public)
    }

    fn expect(self, kind: KeyKind, path: &Path) -> Result<Self, KeyFileError> {
        if self.kind == kind {
            return Ok(self);
        }
        Err(KeyFileError::Kind {
            path: path.into(),
            found: self.kind,
            expected: kind,
        })
    }

    /// The key, whose public half is what the file says.
    fn open(&self, path: &Path, passphrases: &Passphrases) -> Result<KeyMaterial, KeyFileError> {
        let sealed = |source| KeyFileError::Sealed {
            path: path.into(),
            source,
        };
        let secret = if let Some(encrypted) = &self.encrypted {
            let context = self.context();
            // Nobody types a passphrase for a file that it cannot open.
            encrypted.check(&context).map_err(sealed)?;
            let passphrase = passphrases.opening(path).map_err(no_passphrase(path))?;
            encrypted.open(&context, passphrase).map_err(sealed)?
        } else {
            let mut secret = Zeroizing::new([0; 32]);
            let text = self.secret.as_deref().unwrap_or_default();
            hex::decode_to_slice(text, secret.as_mut())
                .map_err(|_| KeyFileError::BadSecret { path: path.into() })?;
            secret
        };
        let key = KeyMaterial::of(self.kind, &secret).map_err(bad_key(path))?;
        if key.public == self.public {
            return Ok(key);
        }
        Err(KeyFileError::OtherPublicKey {
            path: path.into(),
            written: self.public.chars().take(80).collect(),
            derived: key.public,
        })
    }

    /// The public half: of a plain file checked against the secret, of an encrypted one by the checksum.
    fn public(&self, path: &Path) -> Result<String, KeyFileError> {
        let Some(encrypted) = &self.encrypted else {
            return Ok(self.open(path, &Passphrases::none())?.public);
        };
        let sealed = |source| KeyFileError::Sealed {
            path: path.into(),
            source,
        };
        encrypted.check(&self.context()).map_err(sealed)?;
        Ok(self.public.clone())
    }
}

/// A secret key of any kind.
#[derive(Clone)]
pub struct KeyMaterial {
    kind: KeyKind,
    public: String,
    secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({} {})", self.kind.name(), self.public)
    }
}

impl KeyMaterial {
    /// A new key of a kind, of the system's random bytes.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let secret = match kind {
            KeyKind::Vrf => VrfSecretKey::generate()?.to_bytes(),
            KeyKind::Account | KeyKind::Validator | KeyKind::Node => {
                SecretKey::generate()?.to_bytes()
            }
        };
        Self::of(kind, &secret)
    }

    /// The key of 32 secret bytes; a VRF's are a canonical scalar.
    pub fn of(kind: KeyKind, secret: &[u8; 32]) -> Result<Self, KeyError> {
        let public = match kind {
            KeyKind::Vrf => VrfSecretKey::from_bytes(secret)?.public().to_string(),
            KeyKind::Account | KeyKind::Validator | KeyKind::Node => {
                SecretKey::from_bytes(secret).public().to_string()
            }
        };
        let secret = Zeroizing::new(*secret);
        Ok(Self {
            kind,
            public,
            secret,
        })
    }

    /// What the key is for.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public half in hex.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    fn render(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<Zeroizing<String>, KeyFileError> {
        let mut file = KeyFile {
            kind: self.kind,
            public: self.public.clone(),
            secret: None,
            encrypted: None,
        };
        if let Some(passphrase) = passphrase {
            let sealed = SealedSecret::new(&self.secret, &file.context(), passphrase);
            file.encrypted = Some(sealed.map_err(|source| KeyFileError::Sealed {
                path: path.into(),
                source,
            })?);
        } else {
            file.secret = Some(hex::encode(&self.secret[..]));
        }
        Ok(Zeroizing::new(
            toml::to_string(&file).expect("texts and a table make a table"),
        ))
    }

    /// Writes a new key file, encrypted if there is a passphrase. Fails if the file exists.
    pub fn create(&self, path: &Path, passphrase: Option<&Passphrase>) -> Result<(), KeyFileError> {
        file::create(path, &self.render(path, passphrase)?)
    }

    /// Writes the file of the same key again. A crash leaves the old file or the new one.
    pub fn replace(
        &self,
        path: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), KeyFileError> {
        let facts = look(path)?;
        if (facts.kind, facts.public.as_str()) != (self.kind, self.public()) {
            return Err(KeyFileError::OtherPublicKey {
                path: path.into(),
                written: facts.public,
                derived: self.public.clone(),
            });
        }
        file::replace(path, &self.render(path, passphrase)?)
    }
}

/// What a key file says without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyFacts {
    /// What the key is for.
    pub kind: KeyKind,
    /// The public half in hex.
    pub public: String,
    /// The account of the key: of an account's key, or of a validator's, whose id it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// True if a passphrase is needed to use it.
    pub encrypted: bool,
}

fn no_passphrase(path: &Path) -> impl FnOnce(PassphraseError) -> KeyFileError + '_ {
    |source| KeyFileError::Passphrase {
        path: path.into(),
        source,
    }
}

fn bad_key(path: &Path) -> impl FnOnce(KeyError) -> KeyFileError + '_ {
    |source| KeyFileError::Key {
        path: path.into(),
        source,
    }
}

/// Looks at a key file of any kind; needs no passphrase.
pub fn look(path: &Path) -> Result<KeyFacts, KeyFileError> {
    let file = KeyFile::parse(&file::read(path)?, path)?;
    let public = file.public(path)?;
    let address = match file.kind {
        KeyKind::Account | KeyKind::Validator => {
            let key: Result<PublicKey, _> = public.parse();
            key.ok().map(|key| key.address())
        }
        KeyKind::Node | KeyKind::Vrf => None,
    };
    Ok(KeyFacts {
        kind: file.kind,
        public,
        address,
        encrypted: file.encrypted.is_some(),
    })
}

/// Reads a key of any kind.
pub fn read_any(path: &Path, passphrases: &Passphrases) -> Result<KeyMaterial, KeyFileError> {
    KeyFile::parse(&file::read(path)?, path)?.open(path, passphrases)
}

/// The key of any kind in the text of a key file; `origin` names it in errors.
pub(crate) fn parse_any(
    text: &str,
    origin: &Path,
    passphrases: &Passphrases,
) -> Result<KeyMaterial, KeyFileError> {
    KeyFile::parse(text, origin)?.open(origin, passphrases)
}

/// Writes a new ed25519 key of a kind in plain text and returns it. Fails if the file exists.
pub fn create(path: &Path, kind: KeyKind) -> Result<SecretKey, KeyFileError> {
    let key = SecretKey::generate().map_err(bad_key(path))?;
    write_secret(path, kind, &key)?;
    Ok(key)
}

/// Writes a new key of a kind, encrypted if a passphrase was given by a file or a descriptor, else in plain text. Fails if the
/// file exists.
pub fn create_new(
    path: &Path,
    kind: KeyKind,
    passphrases: &Passphrases,
) -> Result<(), KeyFileError> {
    let key = KeyMaterial::generate(kind).map_err(bad_key(path))?;
    key.create(path, passphrases.given().map_err(no_passphrase(path))?)
}

/// Writes an ed25519 key in plain text. Fails if the file exists.
pub fn write_secret(path: &Path, kind: KeyKind, key: &SecretKey) -> Result<(), KeyFileError> {
    let key = KeyMaterial::of(kind, &key.to_bytes()).map_err(bad_key(path))?;
    key.create(path, None)
}

/// Writes a new VRF key in plain text and returns it. Fails if the file exists.
pub fn create_vrf(path: &Path) -> Result<VrfSecretKey, KeyFileError> {
    let key = VrfSecretKey::generate().map_err(bad_key(path))?;
    write_vrf(path, &key)?;
    Ok(key)
}

/// Writes a VRF key in plain text. Fails if the file exists.
pub fn write_vrf(path: &Path, key: &VrfSecretKey) -> Result<(), KeyFileError> {
    let key = KeyMaterial::of(KeyKind::Vrf, &key.to_bytes()).map_err(bad_key(path))?;
    key.create(path, None)
}

/// Reads an ed25519 key of a kind.
pub fn read_secret(
    path: &Path,
    kind: KeyKind,
    passphrases: &Passphrases,
) -> Result<SecretKey, KeyFileError> {
    parse_secret(&file::read(path)?, path, kind, passphrases)
}

/// The ed25519 key in the text of a key file; `origin` names it in errors.
pub(crate) fn parse_secret(
    text: &str,
    origin: &Path,
    kind: KeyKind,
    passphrases: &Passphrases,
) -> Result<SecretKey, KeyFileError> {
    let file = KeyFile::parse(text, origin)?.expect(kind, origin)?;
    let key = file.open(origin, passphrases)?;
    Ok(SecretKey::from_bytes(&key.secret))
}

/// Reads a VRF key.
pub fn read_vrf(path: &Path, passphrases: &Passphrases) -> Result<VrfSecretKey, KeyFileError> {
    let file = KeyFile::parse(&file::read(path)?, path)?.expect(KeyKind::Vrf, path)?;
    let key = file.open(path, passphrases)?;
    VrfSecretKey::from_bytes(&key.secret).map_err(bad_key(path))
}

/// The public key of an account, validator or node key file; needs no passphrase.
pub fn read_public(path: &Path, kind: KeyKind) -> Result<PublicKey, KeyFileError> {
    public_half(&file::read(path)?, path, kind)
}

/// The public half of a VRF key file; needs no passphrase.
pub fn read_vrf_public(path: &Path) -> Result<VrfPublicKey, KeyFileError> {
    public_half(&file::read(path)?, path, KeyKind::Vrf)
}

/// The public half in the text of a key file of a kind; `origin` names it in errors.
pub(crate) fn public_half<K: FromStr>(
    text: &str,
    origin: &Path,
    kind: KeyKind,
) -> Result<K, KeyFileError> {
    let file = KeyFile::parse(text, origin)?.expect(kind, origin)?;
    let none = |_| KeyFileError::NotKeyFile {
        path: origin.into(),
    };
    file.public(origin)?.parse().map_err(none)
}
