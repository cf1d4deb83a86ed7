//! Why a partner cannot start, or stops.

use std::path::PathBuf;

use blobs::BlobStoreError;
use executor::NoResult;
use executor::cage::LayerGap;
use keys::folder::FolderError;
use keys::keyfile::KeyFileError;
use keys::signer_lock::SignerLockError;
use types::genesis::GenesisError;

use crate::config::PartnerConfigError;
use crate::journal::JournalError;

/// Why a partner cannot start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] PartnerConfigError),
    /// A key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A folder with secrets cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The worker program cannot say in which cage it runs tasks.
    #[error("the worker does not show its cage: {0}")]
    Worker(NoResult),
    /// Tasks would run without a filter of system calls.
    #[error("tasks would run without a filter of system calls (seccomp): {0}")]
    NoSeccomp(LayerGap),
    /// Another process of this machine is the partner already.
    #[error(transparent)]
    Signer(#[from] SignerLockError),
    /// The journal cannot be used: what must outlive a crash could not be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A blob store cannot be used.
    #[error(transparent)]
    Blobs(#[from] BlobStoreError),
    /// A file or directory cannot be used.
    #[error("cannot {attempt} {}: {source}", path.display())]
    Io {
        /// Step of the start that failed.
        attempt: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The genesis file holds no genesis.
    #[error("{} is no genesis: {source}", path.display())]
    Genesis {
        /// Path of the file.
        path: PathBuf,
        /// The rule that it breaks.
        source: GenesisError,
    },
    /// The directory is configured already.
    #[error("{} exists already", path.display())]
    Configured {
        /// Path of the configuration file.
        path: PathBuf,
    },
    /// The system does not let this process hide its memory from others of its user.
    #[error("cannot hide this process' memory: {source}")]
    Hide {
        /// What the system said.
        source: std::io::Error,
    },
    /// Waiting for the worker ended early: it panicked, or the process ends.
    #[error("the worker's cage was not looked at: {0}")]
    Blocking(#[from] tokio::task::JoinError),
    /// The path of this program, which runs the workers, is not known.
    #[error("cannot find the path of this program: {source}")]
    OwnPath {
        /// What the system said.
        source: std::io::Error,
    },
}

impl PartnerError {
    /// An error of the file system, for `map_err`.
    pub(crate) fn io(
        attempt: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            attempt,
            path,
            source,
        }
    }

    /// True if there was no room on the disk, which may pass.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        let (Self::Io { source, .. }
        | Self::Journal(JournalError::Io { source, .. })
        | Self::Blobs(BlobStoreError::Io { source, .. })) = self
        else {
            return false;
        };
        matches!(
            source.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Signer(_) => {
                "two daemons with one key contradict each other and lose the bond: stop the other one, or give this one keys of its own"
            }
            Self::Config(error) => error
                .hint()
                .unwrap_or("correct that key; `gridproof config generate partner` shows all keys"),
            Self::Folder(FolderError::TooOpen { .. }) => {
                "chmod 700 that folder; if others may have looked into it, check what they could read"
            }
            Self::Folder(FolderError::Io { .. }) => {
                "check the path, and the permissions of the folder above it"
            }
            Self::NoSeccomp(_) => {
                "use a kernel and a container profile that allow seccomp, or give allow_missing_seccomp = true to run \
                 jobs of strangers with less between them and this machine"
            }
            Self::Key(_) => "check the key files in the partner's directory",
            Self::Journal(error) => error.hint(),
            Self::Blobs(_) | Self::Io { .. } => {
                "is the disk full or read-only, or is another process using this directory?"
            }
            Self::Genesis { .. } => "give the chain's genesis.bin, not its TOML form",
            Self::Configured { .. } => "edit it, or give another --dir",
            Self::Hide { .. } | Self::Blocking(_) => "start it again; if it stays so, report it",
            Self::Worker(_) | Self::OwnPath { .. } => {
                "name the program that runs tasks with the key `worker`"
            }
        }
    }
}
