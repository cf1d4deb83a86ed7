//! Key files: one secret per file, TOML, mode 0600. A file that others can read is refused, an existing one is never
//! overwritten, and the public half is checked against the secret when it is read.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use types::key::{KeyError, PublicKey, SecretKey, VrfSecretKey};
use zeroize::{ZeroizeOnDrop, Zeroizing};

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

/// Why a key file cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be made, read or written.
    #[error("key file {path}: {source}")]
    Io {
        /// Path of the key file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The variable or descriptor that should hold the text of a key file is not there.
    #[error("no key can be read from {origin}: {reason}")]
    NoSource {
        /// The source as it was given.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Others can read the file.
    #[error("key file {path} has mode {mode:03o}, so others may read the secret")]
    TooOpen {
        /// Path of the key file.
        path: PathBuf,
        /// Permission bits of the file; 0o600 is expected.
        mode: u32,
    },
    /// The file does not hold the three texts of a key file. The parser's own message would quote the line, and with
    /// it the secret.
    #[error("{path} is not a key file: expected the keys kind, public and secret")]
    NotKeyFile {
        /// Path of the key file.
        path: PathBuf,
    },
    /// The secret is not 32 bytes in hex.
    #[error("{path} is not a key file: its secret is not 64 hex digits")]
    BadSecret {
        /// Path of the key file.
        path: PathBuf,
    },
    /// The public key in the file belongs to another secret.
    #[error(
        "{path} is not a key file: its public key is {written}, and that of its secret {derived}"
    )]
    OtherPublicKey {
        /// Path of the key file.
        path: PathBuf,
        /// The public key in the file.
        written: String,
        /// The public key of the secret in the file.
        derived: String,
    },
    /// A key of another kind.
    #[error("{path} holds {} where {} is needed", found.words(), expected.words())]
    Kind {
        /// Path of the key file.
        path: PathBuf,
        /// The kind of the key that it holds.
        found: KeyKind,
        /// The kind that is needed.
        expected: KeyKind,
    },
    /// The key cannot be made, or the secret is none of its kind.
    #[error("key file {path}: {source}")]
    Key {
        /// Path of the key file.
        path: PathBuf,
        /// The rule that it breaks.
        source: KeyError,
    },
}

/// A key file's TOML.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[zeroize(skip)]
    kind: KeyKind,
    #[zeroize(skip)]
    public: String,
    secret: String,
}

/// Writes a new ed25519 key of a kind and returns it. Fails if the file exists.
pub fn create(path: &Path, kind: KeyKind) -> Result<SecretKey, KeyFileError> {
    let key = SecretKey::generate().map_err(|source| KeyFileError::Key {
        path: path.into(),
        source,
    })?;
    write_secret(path, kind, &key)?;
    Ok(key)
}

/// Writes an ed25519 key. Fails if the file exists.
pub fn write_secret(path: &Path, kind: KeyKind, key: &SecretKey) -> Result<(), KeyFileError> {
    write(path, kind, &key.public().to_string(), &key.to_bytes())
}

/// Writes a new VRF key and returns it. Fails if the file exists.
pub fn create_vrf(path: &Path) -> Result<VrfSecretKey, KeyFileError> {
    let key = VrfSecretKey::generate().map_err(|source| KeyFileError::Key {
        path: path.into(),
        source,
    })?;
    write_vrf(path, &key)?;
    Ok(key)
}

/// Writes a VRF key. Fails if the file exists.
pub fn write_vrf(path: &Path, key: &VrfSecretKey) -> Result<(), KeyFileError> {
    write(
        path,
        KeyKind::Vrf,
        &key.public().to_string(),
        &key.to_bytes(),
    )
}

/// Reads an ed25519 key of a kind.
pub fn read_secret(path: &Path, kind: KeyKind) -> Result<SecretKey, KeyFileError> {
    secret_key(path, read(path, kind)?)
}

/// The ed25519 key in the text of a key file; `origin` names it in errors.
pub(crate) fn parse_secret(
    text: &str,
    origin: &Path,
    kind: KeyKind,
) -> Result<SecretKey, KeyFileError> {
    secret_key(origin, parse(text, origin, kind)?)
}

fn secret_key(
    path: &Path,
    (secret, public): (Zeroizing<[u8; 32]>, String),
) -> Result<SecretKey, KeyFileError> {
    let key = SecretKey::from_bytes(&secret);
    check_public(path, &public, &key.public().to_string())?;
    Ok(key)
}

/// Reads a VRF key.
pub fn read_vrf(path: &Path) -> Result<VrfSecretKey, KeyFileError> {
    let (secret, public) = read(path, KeyKind::Vrf)?;
    let key = VrfSecretKey::from_bytes(&secret).map_err(|source| KeyFileError::Key {
        path: path.into(),
        source,
    })?;
    check_public(path, &public, &key.public().to_string())?;
    Ok(key)
}

/// The public key of an account, validator or node key file.
pub fn read_public(path: &Path, kind: KeyKind) -> Result<PublicKey, KeyFileError> {
    read_secret(path, kind).map(|key| key.public())
}

fn check_public(path: &Path, written: &str, derived: &str) -> Result<(), KeyFileError> {
    if written == derived {
        return Ok(());
    }
    Err(KeyFileError::OtherPublicKey {
        path: path.into(),
        written: written.chars().take(80).collect(),
        derived: derived.to_owned(),
    })
}

fn write(path: &Path, kind: KeyKind, public: &str, secret: &[u8; 32]) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.into(),
        source,
    };
    let content = KeyFile {
        kind,
        public: public.to_owned(),
        secret: hex::encode(secret),
    };
    let text = Zeroizing::new(toml::to_string(&content).expect("three texts make a table"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(io)
}

fn read(path: &Path, kind: KeyKind) -> Result<(Zeroizing<[u8; 32]>, String), KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::TooOpen {
            path: path.into(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_KEY_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(io)?;
    parse(&text, path, kind)
}

fn parse(
    text: &str,
    path: &Path,
    kind: KeyKind,
) -> Result<(Zeroizing<[u8; 32]>, String), KeyFileError> {
    let content: KeyFile =
        toml::from_str(text).map_err(|_| KeyFileError::NotKeyFile { path: path.into() })?;
    if content.kind != kind {
        return Err(KeyFileError::Kind {
            path: path.into(),
            found: content.kind,
            expected: kind,
        });
    }
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(content.secret.as_bytes(), secret.as_mut())
        .map_err(|_| KeyFileError::BadSecret { path: path.into() })?;
    Ok((secret, content.public.clone()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_come_back_and_wide_modes_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("account.key");
        let key = create(&path, KeyKind::Account).unwrap();
        assert_eq!(
            read_secret(&path, KeyKind::Account).unwrap().public(),
            key.public()
        );
        assert!(
            matches!(
                create(&path, KeyKind::Account),
                Err(KeyFileError::Io { .. })
            ),
            "never overwritten"
        );
        assert!(matches!(
            read_secret(&path, KeyKind::Node),
            Err(KeyFileError::Kind { .. })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            read_secret(&path, KeyKind::Account),
            Err(KeyFileError::TooOpen { mode: 0o640, .. })
        ));
    }

    #[test]
    fn a_damaged_file_is_named_without_showing_the_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vrf.key");
        create_vrf(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let secret = text
            .split("secret = \"")
            .nth(1)
            .unwrap()
            .trim_end_matches("\"\n")
            .to_owned();
        std::fs::write(&path, text.replace("secret = ", "secret : ")).unwrap();
        let error = read_vrf(&path).unwrap_err().to_string();
        assert!(
            error.contains("vrf.key") && !error.contains(&secret),
            "{error}"
        );
        let other = text.replace(&secret, &hex::encode([1; 32]));
        std::fs::write(&path, other).unwrap();
        assert!(matches!(
            read_vrf(&path),
            Err(KeyFileError::OtherPublicKey { .. })
        ));
        std::fs::write(&path, text.replace(&secret, "12")).unwrap();
        assert!(matches!(
            read_vrf(&path),
            Err(KeyFileError::BadSecret { .. })
        ));
    }

    #[test]
    fn fuzz_key_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("validator.key");
        create(&path, KeyKind::Validator).unwrap();
        let seed = std::fs::read(&path).unwrap();
        types::testing::fuzz::fuzz("key file", vec![seed], |input| {
            std::fs::write(&path, input).unwrap();
            types::testing::fuzz::AnswerMark::of(&read_secret(&path, KeyKind::Validator))
        });
    }
}
