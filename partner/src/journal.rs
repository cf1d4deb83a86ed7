//! What must outlive a crash: commitments and transactions on their way, one file each.
//!
//! A file is written whole beside its place, synced, renamed over it, and the directory is synced; a crash leaves the
//! old file or the new one. Each holds a format version, the value and a checksum over both. A damaged file stops the
//! daemon: going on without it could forfeit a bond. One process holds the directory. Only its owner may read it: who
//! knows a salt before its opening can copy a result.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::{CodecError, decode, encode};
use types::hash::{Domain, Hash32};

use crate::assignment::{Assignment, MAX_RESULT_BLOBS, MAX_STATE_BLOBS, OwnCommitment};
use crate::core::outbox::TransactionOutbox;

/// Version of the files' format; the first byte of each.
const FORMAT: u8 = 1;
/// Largest file: a commitment of a job with the most tasks and outputs.
const MAX_FILE_BYTES: usize = 40 * (MAX_RESULT_BLOBS + MAX_STATE_BLOBS) + (1 << 20);
const CHECKSUM_BYTES: usize = 32;
const OUTBOX: &str = "outbox.bin";
const COMMITMENT_SUFFIX: &str = ".commitment";
const LOCK: &str = "lock";
/// For the owner alone.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Another process uses the directory.
    #[error("{path} is in use by another process")]
    InUse {
        /// Path of the journal's directory.
        path: PathBuf,
    },
    /// A file is not what was written.
    #[error("{path} is damaged: {damage}")]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// Written by a newer version.
    #[error("{path} has format {found}, this version knows {FORMAT}")]
    Newer {
        /// Path of the file.
        path: PathBuf,
        /// Format version in the file's first byte.
        found: u8,
    },
}

impl JournalError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "is the disk full or read-only?",
            Self::InUse { .. } => "is this partner running already?",
            Self::Damaged { .. } => {
                "put back a copy that is no older than the last job; without it a commitment cannot be revealed"
            }
            Self::Newer { .. } => "start the newer version",
        }
    }
}

/// What is wrong with a file of the journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The checksum is not whole.
    #[error("it is too short")]
    TooShort,
    /// The checksum does not fit.
    #[error("its checksum does not fit")]
    Checksum,
    /// There is nothing before the checksum.
    #[error("it is empty")]
    Empty,
    /// The value cannot be decoded.
    #[error(transparent)]
    Value(#[from] CodecError),
    /// The file's name says another assignment.
    #[error("it holds the commitment of {found}, not the one that its name says")]
    OtherAssignment {
        /// The assignment in the file.
        found: Assignment,
    },
}

/// Where the core's memory is kept.
pub trait Journal: Send {
    /// Keeps a commitment; when this returns it survives a crash.
    fn keep(&mut self, own: &OwnCommitment) -> Result<(), JournalError>;
    /// Keeps the transactions on their way; when this returns they survive a crash.
    fn keep_outbox(&mut self, outbox: &TransactionOutbox) -> Result<(), JournalError>;
    /// Lets go of a commitment; nothing if it is gone already.
    fn forget(&mut self, assignment: &Assignment) -> Result<(), JournalError>;
    /// Everything that is kept.
    fn load(&self) -> Result<(Vec<OwnCommitment>, TransactionOutbox), JournalError>;
}

/// The journal in a directory.
#[derive(Debug)]
pub struct DiskJournal {
    directory: PathBuf,
    /// Held as long as the journal; the system lets go of it when the process ends.
    _lock: File,
}

impl DiskJournal {
    /// Opens or makes the journal of a directory and locks it.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io {
            path: directory.into(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(io)?;
        // It may be from before this was so.
        std::fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE)).map_err(io)?;
        let path = directory.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&path);
        let lock = lock.map_err(io)?;
        let taken = lock.try_lock().or_else(|error| match error {
            // A lock that can be shared is held by an [`inspect`], which lasts a moment, and by no daemon.
            TryLockError::WouldBlock => lock
                .try_lock_shared()
                .and_then(|()| lock.lock().map_err(TryLockError::Error)),
            TryLockError::Error(_) => Err(error),
        });
        match taken {
            Ok(()) => Ok(Self {
                directory: directory.into(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse {
                path: directory.into(),
            }),
            Err(TryLockError::Error(source)) => Err(JournalError::Io { path, source }),
        }
    }

    fn write<T: BorshSerialize>(&self, name: &str, value: &T) -> Result<(), JournalError> {
        let path = self.directory.join(name);
        write_whole(&path, &framed(value)).map_err(|source| JournalError::Io { path, source })
    }
}

/// What a journal shows to who does not hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalStatus {
    /// True if a daemon holds it.
    pub in_use: bool,
    /// Commitments whose assignments are not over, in any order.
    pub commitments: Vec<OwnCommitment>,
}

/// Looks into the journal of a directory, which a daemon may hold; changes nothing. Files come and go as a whole.
pub fn inspect(directory: &Path) -> Result<JournalStatus, JournalError> {
    let path = directory.join(LOCK);
    let in_use = match File::open(&path) {
        Ok(lock) => match lock.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(source)) => return Err(JournalError::Io { path, source }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(source) => return Err(JournalError::Io { path, source }),
    };
    Ok(JournalStatus {
        in_use,
        commitments: if directory.exists() {
            read_commitments(directory)?
        } else {
            Vec::new()
        },
    })
}

fn read<T: BorshDeserialize>(path: &Path) -> Result<Option<T>, JournalError> {
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)) {
        Ok(_) => unframed(path, &bytes).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(JournalError::Io {
            path: path.into(),
            source,
        }),
    }
}

fn read_commitments(directory: &Path) -> Result<Vec<OwnCommitment>, JournalError> {
    let io = |source| JournalError::Io {
        path: directory.into(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io)? {
        names.push(
            entry
                .map_err(io)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    names.sort_unstable();
    let mut all = Vec::new();
    for name in names
        .iter()
        .filter(|name| name.ends_with(COMMITMENT_SUFFIX))
    {
        let path = directory.join(name);
        let Some(own) = read::<OwnCommitment>(&path)? else {
            continue;
        };
        if *name != format!("{}{COMMITMENT_SUFFIX}", own.assignment) {
            let damage = Damage::OtherAssignment {
                found: own.assignment,
            };
            return Err(JournalError::Damaged { path, damage });
        }
        all.push(own);
    }
    Ok(all)
}

impl Journal for DiskJournal {
    fn keep(&mut self, own: &OwnCommitment) -> Result<(), JournalError> {
        self.write(&format!("{}{COMMITMENT_SUFFIX}", own.assignment), own)
    }

    fn keep_outbox(&mut self, outbox: &TransactionOutbox) -> Result<(), JournalError> {
        self.write(OUTBOX, outbox)
    }

    fn forget(&mut self, assignment: &Assignment) -> Result<(), JournalError> {
        let path = self
            .directory
            .join(format!("{assignment}{COMMITMENT_SUFFIX}"));
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(JournalError::Io { path, source }),
        }
    }

    fn load(&self) -> Result<(Vec<OwnCommitment>, TransactionOutbox), JournalError> {
        Ok((
            read_commitments(&self.directory)?,
            read(&self.directory.join(OUTBOX))?.unwrap_or_default(),
        ))
    }
}

fn framed<T: BorshSerialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bytes.extend(encode(value));
    let checksum = Hash32::of_parts(Domain::LOG_RECORD, &[&bytes]);
    bytes.extend(checksum.0);
    bytes
}

fn unframed<T: BorshDeserialize>(path: &Path, bytes: &[u8]) -> Result<T, JournalError> {
    let damaged = |damage| JournalError::Damaged {
        path: path.into(),
        damage,
    };
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(damaged(Damage::TooShort));
    };
    if Hash32::of_parts(Domain::LOG_RECORD, &[content]).0 != *checksum {
        return Err(damaged(Damage::Checksum));
    }
    match content.split_first() {
        Some((&FORMAT, value)) => {
            decode(value, MAX_FILE_BYTES).map_err(|error| damaged(error.into()))
        }
        Some((&found, _)) => Err(JournalError::Newer {
            path: path.into(),
            found,
        }),
        None => Err(damaged(Damage::Empty)),
    }
}

/// Writes a file so that a crash leaves the old one or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(FILE_MODE)
        .open(&beside)?;
    // What a crash left may be from before this was so.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
