//! Where a command takes a secret key from: a file, an environment variable, or a descriptor that its caller opened.
//!
//! The second and third are for machines that hand secrets to a process and to no disk. Either holds the text of a key file, so that
//! its kind and public half are checked as those of a file are. A secret is never an argument: every user of a machine sees those.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

use types::key::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::keyfile::{self, KeyFileError, KeyKind, KeyMaterial, MAX_KEY_FILE_BYTES};
use crate::passphrase::Passphrases;

/// Where a secret key is read from: a path, `file:PATH`, `env:NAME` or `fd:NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A key file.
    File(PathBuf),
    /// The name of an environment variable that holds the text of one.
    Variable(String),
    /// The number of a descriptor from which the text of one is read, once.
    Descriptor(u32),
}

/// Why a text names no source of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a path, file:PATH, env:NAME or fd:NUMBER, such as alice.key, env:GRIDPROOF_KEY or fd:3"
)]
pub struct KeySourceError;

impl FromStr for KeySource {
    type Err = KeySourceError;

    fn from_str(text: &str) -> Result<Self, KeySourceError> {
        let source = match text.split_once(':') {
            Some(("file", path)) => Self::File(path.into()),
            Some(("env", name)) if !name.is_empty() && !name.contains('=') => {
                Self::Variable(name.to_owned())
            }
            Some(("fd", number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Self::Descriptor(number.parse().map_err(|_| KeySourceError)?)
            }
            Some(("env" | "fd", _)) => return Err(KeySourceError),
            _ => Self::File(text.into()),
        };
        match &source {
            Self::File(path) if path.as_os_str().is_empty() => Err(KeySourceError),
            _ => Ok(source),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::Descriptor(number) => write!(f, "fd:{number}"),
        }
    }
}

impl KeySource {
    /// Reads an ed25519 key of a kind. From a descriptor it can be read once.
    pub fn read_secret(
        &self,
        kind: KeyKind,
        passphrases: &Passphrases,
    ) -> Result<SecretKey, KeyFileError> {
        if let Self::File(path) = self {
            return keyfile::read_secret(path, kind, passphrases);
        }
        keyfile::parse_secret(&self.text()?, self.to_string().as_ref(), kind, passphrases)
    }

    /// Reads the public half of an ed25519 key of a kind; needs no passphrase.
    pub fn read_public(&self, kind: KeyKind) -> Result<PublicKey, KeyFileError> {
        if let Self::File(path) = self {
            return keyfile::read_public(path, kind);
        }
        keyfile::public_half(&self.text()?, self.to_string().as_ref(), kind)
    }

    /// Reads a key of any kind.
    pub fn read_any(&self, passphrases: &Passphrases) -> Result<KeyMaterial, KeyFileError> {
        if let Self::File(path) = self {
            return keyfile::read_any(path, passphrases);
        }
        keyfile::parse_any(&self.text()?, self.to_string().as_ref(), passphrases)
    }

    /// What a variable or a descriptor holds; a file is read where its mode is checked.
    fn text(&self) -> Result<Zeroizing<String>, KeyFileError> {
        let absent = |reason: String| KeyFileError::NoSource {
            origin: self.to_string(),
            reason,
        };
        match self {
            Self::File(path) => Err(absent(format!("{} is a file", path.display()))),
            Self::Variable(name) => {
                let found = std::env::var(name);
                Ok(Zeroizing::new(
                    found.map_err(|error| absent(error.to_string()))?,
                ))
            }
            Self::Descriptor(number) => {
                let mut text = Zeroizing::new(String::with_capacity(4_096));
                File::open(format!("/dev/fd/{number}"))
                    .and_then(|file| file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text))
                    .map_err(|error| absent(error.to_string()))?;
                Ok(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_text_names_one_source() {
        let parse = |text: &str| text.parse::<KeySource>();
        assert_eq!(parse("alice.key"), Ok(KeySource::File("alice.key".into())));
        assert_eq!(parse("file:env:a"), Ok(KeySource::File("env:a".into())));
        assert_eq!(parse("a:b"), Ok(KeySource::File("a:b".into())));
        assert_eq!(parse("env:KEY"), Ok(KeySource::Variable("KEY".into())));
        assert_eq!(parse("fd:3"), Ok(KeySource::Descriptor(3)));
        for bad in [
            "",
            "file:",
            "env:",
            "env:A=B",
            "fd:",
            "fd:-1",
            "fd:x",
            "fd:99999999999",
        ] {
            assert_eq!(parse(bad), Err(KeySourceError), "{bad:?}");
        }
        for text in ["alice.key", "env:KEY", "fd:3"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_key_comes_from_a_descriptor_and_is_checked_like_a_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("account.key");
        let key = keyfile::create(&path, KeyKind::Account).unwrap();
        let file = File::open(&path).unwrap();
        let source = KeySource::Descriptor(u32::try_from(file.as_raw_fd()).unwrap());
        let found = source
            .read_secret(KeyKind::Account, &Passphrases::none())
            .unwrap();
        assert_eq!(found.public(), key.public());
        assert!(matches!(
            source.read_secret(KeyKind::Node, &Passphrases::none()),
            Err(KeyFileError::Kind { .. })
        ));
        let none =
            KeySource::Descriptor(1_000_000).read_secret(KeyKind::Account, &Passphrases::none());
        assert!(matches!(none, Err(KeyFileError::NoSource { .. })));
    }

    /// Whoever starts a process sets its variables: this test starts itself with one.
    #[test]
    fn a_key_comes_from_a_variable() {
        let (name, public) = ("GRIDPROOF_TEST_KEY", "GRIDPROOF_TEST_PUBLIC");
        if let Ok(expected) = std::env::var(public) {
            let source = KeySource::Variable(name.to_owned());
            let key = source
                .read_secret(KeyKind::Account, &Passphrases::none())
                .unwrap();
            return assert_eq!(key.public().to_string(), expected);
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("account.key");
        let key = keyfile::create(&path, KeyKind::Account).unwrap();
        let again = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "source::tests::a_key_comes_from_a_variable"])
            .env(name, std::fs::read_to_string(&path).unwrap())
            .env(public, key.public().to_string())
            .output()
            .unwrap();
        let said = String::from_utf8(again.stdout).unwrap();
        assert!(
            again.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }

    #[test]
    fn a_variable_that_is_no_key_is_named_and_not_shown() {
        // The variables of this process are what they are: one that is there, and one that is not.
        let (name, value) = std::env::vars().find(|(_, value)| value.len() > 8).unwrap();
        let source = KeySource::Variable(name.clone());
        let error = source
            .read_secret(KeyKind::Account, &Passphrases::none())
            .unwrap_err()
            .to_string();
        assert!(error.contains(&name) && !error.contains(&value), "{error}");
        let none = KeySource::Variable("GRIDPROOF_NO_SUCH_VARIABLE".into());
        let error = none
            .read_secret(KeyKind::Account, &Passphrases::none())
            .unwrap_err();
        assert!(matches!(&error, KeyFileError::NoSource { .. }), "{error}");
    }
}
