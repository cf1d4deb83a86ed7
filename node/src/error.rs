//! Why a node does not start or stops by itself. The kinds follow what an operator must do.

use std::path::PathBuf;

use chain::Fatal;
use chain::worker::WorkerError;
use state::{ErrorClass, StateError};
use store::StoreError;
use vm::Abort;

use crate::core::{SetupError, Stop};

/// Why a node stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A key file.
    #[error(transparent)]
    Key(#[from] keys::keyfile::KeyFileError),
    /// There is no vote log and no chain: the directory was not made, or not to its end.
    #[error(
        "{0} does not exist: `gridproof node init --genesis ...` did not run here, or not to its end"
    )]
    NotInitialised(PathBuf),
    /// The vote log is gone, or what there is has no marker.
    #[error("{0}")]
    NoMarker(String),
    /// State contradicts the chain, or execution failed: going on could only do harm.
    #[error("{0}")]
    Diverged(String),
    /// A directory, a disk or a file.
    #[error("{0}")]
    Storage(String),
    /// Configuration, genesis or keys do not fit.
    #[error("{0}")]
    Config(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl NodeError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key(_) => "key files are made by `node init`; keep them with mode 0600",
            Self::NotInitialised(_) => {
                "run `gridproof node init` again with the same arguments: it completes what is there"
            }
            Self::NoMarker(_) => {
                "bring the vote log back as the last run left it, or leave this validator off: with a new log it could \
                 contradict what it signed, which can cost the stake"
            }
            Self::Diverged(_) => {
                "keep the directory for an analysis and do not delete the vote log; restart once: if it stops again, \
                 this version does not follow the chain's rules"
            }
            Self::Storage(_) => {
                "is another process using this directory, is the disk full or read-only? Restart when it is mended: \
                 nothing that was promised is lost"
            }
            Self::Config(_) => {
                "compare node.toml, genesis.bin and the keys with what `node init` made"
            }
            Self::Other(_) => "the log above says more",
        }
    }
}

impl From<StoreError> for NodeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OtherChain { .. } | StoreError::Format { .. } => {
                Self::Config(error.to_string())
            }
            StoreError::InUse(_) | StoreError::Directory { .. } => Self::Storage(error.to_string()),
            StoreError::State(error) => error.into(),
        }
    }
}

impl From<StateError> for NodeError {
    fn from(error: StateError) -> Self {
        match error.class() {
            ErrorClass::DiskFull | ErrorClass::Storage | ErrorClass::Damaged => {
                Self::Storage(error.to_string())
            }
            ErrorClass::Diverged | ErrorClass::NotAvailable => {
                Self::Diverged(format!("state diverged: {error}"))
            }
        }
    }
}

impl From<consensus::log::LogError> for NodeError {
    fn from(error: consensus::log::LogError) -> Self {
        match error {
            consensus::log::LogError::NoMarker(_) => Self::NoMarker(error.to_string()),
            _ => Self::Storage(error.to_string()),
        }
    }
}

impl From<SetupError> for NodeError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::State(error) => error.into(),
            SetupError::Chain(fatal) => fatal.into(),
            SetupError::Consensus(error @ consensus::StartError::Conflict(_)) => {
                Self::Diverged(error.to_string())
            }
            SetupError::Consensus(error) => Self::Storage(error.to_string()),
            SetupError::Committee(_) | SetupError::Keys(_) | SetupError::VrfKey => {
                Self::Config(error.to_string())
            }
        }
    }
}

impl From<Stop> for NodeError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Chain(fatal) => fatal.into(),
            Stop::Consensus(halt) => Self::Diverged(halt.to_string()),
        }
    }
}

impl From<Fatal> for NodeError {
    fn from(fatal: Fatal) -> Self {
        match fatal {
            Fatal::State(Abort::State(error)) => error.into(),
            fatal => Self::Diverged(fatal.to_string()),
        }
    }
}

impl From<WorkerError> for NodeError {
    fn from(error: WorkerError) -> Self {
        Self::Other(error.to_string())
    }
}
