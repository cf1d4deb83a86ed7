//! What a key signed, on disk: one small file, in whose place a synced new one is renamed before a signature leaves.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use types::codec::{decode, encode};
use types::key::PublicKey;

use super::guard::SignedPast;
use crate::folder::{sync_above, unfinished};

/// What the file begins with.
const MAGIC: &[u8] = b"gridproof signed 1\n";
/// Largest file, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;
const CHECKSUM_BYTES: usize = 32;

/// Why a signer's past cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum SignedPastError {
    /// There is none, but the key may have signed.
    #[error("{0} is not there: without it the key could contradict what it signed")]
    Gone(PathBuf),
    /// There is one already.
    #[error("{0} exists: what the key signed is never forgotten")]
    Exists(PathBuf),
    /// It is not what was written.
    #[error("{0} is damaged: without it the key could contradict what it signed")]
    Damaged(PathBuf),
    /// It is of another key.
    #[error("{path} is the past of the key {found}")]
    OtherKey {
        /// Path of the file.
        path: PathBuf,
        /// Whose it is.
        found: PublicKey,
    },
    /// The disk does not do it.
    #[error("{path}: {source}")]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// The file and what it holds.
#[derive(Debug)]
pub(super) struct PastFile {
    path: PathBuf,
    key: PublicKey,
    pub(super) past: SignedPast,
}

impl PastFile {
    /// Makes the file of a key that has signed nothing yet.
    pub(super) fn init(path: &Path, key: PublicKey) -> Result<Self, SignedPastError> {
        if path.symlink_metadata().is_ok() {
            return Err(SignedPastError::Exists(path.into()));
        }
        let past = SignedPast::default();
        let file = Self {
            path: path.into(),
            key,
            past,
        };
        file.write(&file.past)?;
        Ok(file)
    }

    /// Reads the file of a key.
    pub(super) fn open(path: &Path, key: PublicKey) -> Result<Self, SignedPastError> {
        let mut bytes = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(SignedPastError::Gone(path.into()));
            }
            Err(source) => {
                let path = path.into();
                return Err(SignedPastError::Io { path, source });
            }
        }
        let damaged = || SignedPastError::Damaged(path.into());
        let at = bytes
            .len()
            .checked_sub(CHECKSUM_BYTES)
            .ok_or_else(damaged)?;
        let (body, checksum) = bytes.split_at(at);
        if blake3::hash(body).as_bytes() != checksum {
            return Err(damaged());
        }
        let body = body.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (found, past) =
            decode::<(PublicKey, SignedPast)>(body, bytes.len()).map_err(|_| damaged())?;
        if found != key {
            let path = path.into();
            return Err(SignedPastError::OtherKey { path, found });
        }
        Ok(Self {
            path: path.into(),
            key,
            past,
        })
    }

    /// Puts a new past in the place of the old one. When this returns, no crash brings the old one back.
    pub(super) fn keep(&mut self, past: SignedPast) -> Result<(), SignedPastError> {
        self.write(&past)?;
        self.past = past;
        Ok(())
    }

    fn write(&self, past: &SignedPast) -> Result<(), SignedPastError> {
        self.try_write(past).map_err(|source| SignedPastError::Io {
            path: self.path.clone(),
            source,
        })
    }

    fn try_write(&self, past: &SignedPast) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(encode(&(self.key, past)));
        let checksum = blake3::hash(&bytes);
        bytes.extend(checksum.as_bytes());
        let fresh = unfinished(&self.path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        sync_above(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use types::hash::ChainId;
    use types::key::SecretKey;
    use types::number::{Epoch, View};
    use types::signer::SigningRequest;
    use types::vote::{Statement, Subject};

    use super::*;

    fn key(n: u8) -> PublicKey {
        SecretKey::from_bytes(&[n; 32]).public()
    }

    #[test]
    fn the_past_comes_back_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signed");
        assert!(matches!(
            PastFile::open(&path, key(1)),
            Err(SignedPastError::Gone(_))
        ));
        let mut file = PastFile::init(&path, key(1)).unwrap();
        assert!(matches!(
            PastFile::init(&path, key(1)),
            Err(SignedPastError::Exists(_))
        ));
        let mut past = file.past.clone();
        let statement = Statement {
            epoch: Epoch(1),
            view: View(3),
            subject: Subject::Nullify,
        };
        let chain = ChainId::default();
        past.allow(&SigningRequest::Vote { chain, statement }, &key(1))
            .unwrap();
        file.keep(past.clone()).unwrap();
        assert_eq!(PastFile::open(&path, key(1)).unwrap().past, past);
        assert!(matches!(
            PastFile::open(&path, key(2)),
            Err(SignedPastError::OtherKey { found, .. }) if found == key(1)
        ));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signed");
        PastFile::init(&path, key(1)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let is_damaged = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            matches!(
                PastFile::open(&path, key(1)),
                Err(SignedPastError::Damaged(_))
            )
        };
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(is_damaged(&bytes), "byte {at}");
            assert!(is_damaged(&whole[..at]), "cut at {at}");
        }
    }
}
