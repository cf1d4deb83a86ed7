//! Passphrases of encrypted key files: asked for on the terminal, or read from a file or a descriptor. Never an argument, which
//! every user of a machine sees, nor a variable, which every child inherits.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A passphrase with fewer bytes may be found by whoever has the file and tries many.
pub const SHORT_PASSPHRASE_BYTES: usize = 12;

/// Longest passphrase, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1_024;

/// Asks a person a question and gives the answer, which is not shown as it is typed.
pub type Prompt = fn(question: &str) -> io::Result<Zeroizing<String>>;

/// A passphrase: neither shown nor left in memory.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

impl Passphrase {
    /// One of 1 to [`MAX_PASSPHRASE_BYTES`] bytes.
    pub fn new(text: Zeroizing<String>) -> Result<Self, PassphraseError> {
        if text.is_empty() || text.len() > MAX_PASSPHRASE_BYTES {
            return Err(PassphraseError::Length(text.len()));
        }
        Ok(Self(text))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// No source was given, and there is nobody to ask.
    #[error("nobody is there to ask for a passphrase, and no file with one was given")]
    NoSource,
    /// The file or descriptor cannot be read.
    #[error("no passphrase can be read from {origin}: {source}")]
    Read {
        /// The source as it was given.
        origin: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Others can read the file.
    #[error("the passphrase file {path} has mode {mode:03o}, so others may read it")]
    TooOpen {
        /// Path of the file.
        path: PathBuf,
        /// Its permission bits: nothing for others, and at most reading for the group.
        mode: u32,
    },
    /// An empty passphrase, or a very long one.
    #[error("a passphrase has 1 to {MAX_PASSPHRASE_BYTES} bytes, not {0}")]
    Length(usize),
    /// The two answers differ.
    #[error("the two passphrases differ")]
    Differ,
}

/// Where a passphrase is read from: a path, `file:PATH` or `fd:NUMBER`. The first line is the passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PassphraseSource {
    /// A file that others may not read.
    File(PathBuf),
    /// The number of a descriptor, read once.
    Descriptor(u32),
}

/// Why a text names no source of a passphrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a path, file:PATH or fd:NUMBER, such as /run/credentials/passphrase or fd:3")]
pub struct PassphraseSourceError;

impl FromStr for PassphraseSource {
    type Err = PassphraseSourceError;

    fn from_str(text: &str) -> Result<Self, PassphraseSourceError> {
        match text.split_once(':') {
            Some(("fd", number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                let number = number.parse().map_err(|_| PassphraseSourceError)?;
                Ok(Self::Descriptor(number))
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("fd" | "file", _)) => Err(PassphraseSourceError),
            _ if text.is_empty() => Err(PassphraseSourceError),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl TryFrom<String> for PassphraseSource {
    type Error = PassphraseSourceError;

    fn try_from(text: String) -> Result<Self, PassphraseSourceError> {
        text.parse()
    }
}

impl From<PassphraseSource> for String {
    fn from(source: PassphraseSource) -> Self {
        source.to_string()
    }
}

impl fmt::Display for PassphraseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Descriptor(number) => write!(f, "fd:{number}"),
        }
    }
}

impl PassphraseSource {
    /// The same source with a relative path taken from a directory.
    #[must_use]
    pub fn below(&self, directory: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(directory.join(path)),
            Self::Descriptor(number) => Self::Descriptor(*number),
        }
    }

    fn read(&self) -> Result<Passphrase, PassphraseError> {
        let failed = |source| PassphraseError::Read {
            origin: self.to_string(),
            source,
        };
        let file = match self {
            Self::File(path) => File::open(path),
            Self::Descriptor(number) => File::open(format!("/dev/fd/{number}")),
        };
        let file = file.map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        // Supervisors hand secrets in files that a group of one may read.
        if let (Self::File(path), true) = (self, about.is_file())
            && about.mode() & 0o037 != 0
        {
            let mode = about.mode() & 0o777;
            let path = path.clone();
            return Err(PassphraseError::TooOpen { path, mode });
        }
        // All of it at once: a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_PASSPHRASE_BYTES + 2));
        let limit = u64::try_from(MAX_PASSPHRASE_BYTES + 2).unwrap_or(u64::MAX);
        file.take(limit).read_to_string(&mut text).map_err(failed)?;
        let line = text.lines().next().unwrap_or_default();
        Passphrase::new(Zeroizing::new(line.to_owned()))
    }
}

/// How one command comes by the passphrase of its key files: nothing is read or asked before the first file that needs it, and
/// the answer is kept for the next one, until this is dropped.
#[derive(Debug, Default)]
pub struct Passphrases {
    source: Option<PassphraseSource>,
    prompt: Option<Prompt>,
    kept: OnceLock<Passphrase>,
}

impl Passphrases {
    /// No passphrase: encrypted key files are refused.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The source if there is one, else the answer to a prompt if there is somebody to ask.
    #[must_use]
    pub fn new(source: Option<PassphraseSource>, prompt: Option<Prompt>) -> Self {
        Self {
            source,
            prompt,
            kept: OnceLock::new(),
        }
    }

    /// The same with another source, where none was given.
    #[must_use]
    pub fn or(self, source: Option<PassphraseSource>) -> Self {
        Self::new(self.source.or(source), self.prompt)
    }

    /// The passphrase that opens a key file.
    pub fn opening(&self, path: &Path) -> Result<&Passphrase, PassphraseError> {
        if let Some(kept) = self.kept.get() {
            return Ok(kept);
        }
        let read = match (&self.source, self.prompt) {
            (Some(source), _) => source.read()?,
            (None, Some(prompt)) => ask(prompt, &format!("Passphrase of {}: ", path.display()))?,
            (None, None) => return Err(PassphraseError::NoSource),
        };
        Ok(self.kept.get_or_init(|| read))
    }

    /// True if a passphrase was read or typed that has less than [`SHORT_PASSPHRASE_BYTES`].
    #[must_use]
    pub fn is_short(&self) -> bool {
        let bytes = self.kept.get().map(|kept| kept.as_bytes().len());
        bytes.is_some_and(|bytes| bytes < SHORT_PASSPHRASE_BYTES)
    }

    /// The passphrase for a new key file where one was given by a file or a descriptor; nobody is asked.
    pub fn given(&self) -> Result<Option<&Passphrase>, PassphraseError> {
        self.source.as_ref().map(|_| self.choosing()).transpose()
    }

    /// The passphrase for a new key file. A person types it twice.
    pub fn choosing(&self) -> Result<&Passphrase, PassphraseError> {
        if let Some(kept) = self.kept.get() {
            return Ok(kept);
        }
        let read = match (&self.source, self.prompt) {
            (Some(source), _) => source.read()?,
            (None, Some(prompt)) => {
                let [first, again] = ["New passphrase: ", "The same again: "];
                let (first, again) = (ask(prompt, first)?, ask(prompt, again)?);
                if first.as_bytes() != again.as_bytes() {
                    return Err(PassphraseError::Differ);
                }
                first
            }
            (None, None) => return Err(PassphraseError::NoSource),
        };
        Ok(self.kept.get_or_init(|| read))
    }
}

fn ask(prompt: Prompt, question: &str) -> Result<Passphrase, PassphraseError> {
    let answer = prompt(question).map_err(|source| PassphraseError::Read {
        origin: "the terminal".to_owned(),
        source,
    })?;
    Passphrase::new(answer)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, PassphraseSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, PassphraseSource::File(path))
    }

    #[test]
    fn the_first_line_of_a_file_is_the_passphrase_and_is_never_shown() {
        let (_folder, source) = written("correct horse\nsecond line\n", 0o440);
        let passphrases = Passphrases::new(Some(source), None);
        let found = passphrases.opening(Path::new("a.key")).unwrap();
        assert_eq!(found.as_bytes(), b"correct horse");
        let shown = format!("{passphrases:?} {found:?}");
        assert!(!shown.contains("horse"), "{shown}");
    }

    #[test]
    fn a_new_file_takes_the_passphrase_that_was_given_and_nobody_is_asked() {
        assert!(Passphrases::none().given().unwrap().is_none());
        let asks: Prompt = |_| panic!("nobody is asked");
        assert!(
            Passphrases::new(None, Some(asks))
                .given()
                .unwrap()
                .is_none()
        );
        for (text, is_short) in [("elevenbytes", true), ("twelve bytes", false)] {
            let (_folder, source) = written(text, 0o600);
            let passphrases = Passphrases::new(Some(source), Some(asks));
            assert!(!passphrases.is_short(), "nothing was read");
            let given = passphrases.given().unwrap().unwrap();
            assert_eq!(given.as_bytes(), text.as_bytes());
            assert_eq!(passphrases.is_short(), is_short, "{text}");
        }
    }

    #[test]
    fn files_for_others_empty_and_long_ones_are_refused() {
        for mode in [0o604, 0o620, 0o602] {
            let (_folder, source) = written("secret", mode);
            let read = source.read();
            assert!(
                matches!(read, Err(PassphraseError::TooOpen { mode: found, .. }) if found == mode)
            );
        }
        for (text, bytes) in [("", 0), ("\nx", 0), (&"x".repeat(5_000), 1_026)] {
            let (_folder, source) = written(text, 0o600);
            let read = source.read();
            assert!(
                matches!(read, Err(PassphraseError::Length(found)) if found == bytes),
                "{read:?}"
            );
        }
        let none = Passphrases::none().opening(Path::new("a.key")).unwrap_err();
        assert!(matches!(none, PassphraseError::NoSource));
    }

    #[test]
    fn a_new_passphrase_is_typed_twice() {
        let answer = |question: &str| Ok(Zeroizing::new(question.to_owned()));
        let chosen = Passphrases::new(None, Some(answer));
        assert!(matches!(chosen.choosing(), Err(PassphraseError::Differ)));
        let same = |_: &str| Ok(Zeroizing::new("same".to_owned()));
        let chosen = Passphrases::new(None, Some(same));
        assert_eq!(chosen.choosing().unwrap().as_bytes(), b"same");
    }

    #[test]
    fn a_text_names_one_source() {
        let parse = |text: &str| text.parse::<PassphraseSource>();
        assert_eq!(parse("fd:3"), Ok(PassphraseSource::Descriptor(3)));
        for text in ["p", "file:p"] {
            assert_eq!(parse(text), Ok(PassphraseSource::File("p".into())));
        }
        for bad in ["", "fd:", "fd:x", "file:"] {
            assert_eq!(parse(bad), Err(PassphraseSourceError), "{bad:?}");
        }
    }
}
