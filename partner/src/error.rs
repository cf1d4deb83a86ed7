//! Why a partner cannot start, or stops.

use std::path::PathBuf;

use keys::keyfile::KeyFileError;
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
    /// The journal cannot be used: what must outlive a crash could not be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A blob store cannot be used.
    #[error(transparent)]
    Blobs(#[from] blobs::BlobStoreError),
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

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Config(error) => error
                .hint()
                .unwrap_or("correct that key; `partner init` in an empty folder shows all keys"),
            Self::Key(_) => "check the key files in the partner's directory",
            Self::Journal(error) => error.hint(),
            Self::Blobs(_) | Self::Io { .. } => {
                "is the disk full or read-only, or is another process using this directory?"
            }
            Self::Genesis { .. } => "give the chain's genesis.bin, not its TOML form",
            Self::Configured { .. } => "edit it, or give another --dir",
            Self::OwnPath { .. } => "name the program that runs tasks with the key `worker`",
        }
    }
}
