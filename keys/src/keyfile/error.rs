//! What may be wrong with a key file.

use std::path::PathBuf;

use types::key::KeyError;

use super::KeyKind;
use crate::keystore::SealError;
use crate::passphrase::PassphraseError;

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
    /// The encrypted secret cannot be used or made.
    #[error("key file {path}: {source}")]
    Sealed {
        /// Path of the key file.
        path: PathBuf,
        /// What is wrong with it.
        source: SealError,
    },
    /// There is no passphrase for an encrypted file.
    #[error("key file {path} is encrypted: {source}")]
    Passphrase {
        /// Path of the key file.
        path: PathBuf,
        /// Why there is none.
        source: PassphraseError,
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
