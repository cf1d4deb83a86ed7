//! AvalancheGo as a program on this machine: which version it is, and which plugin protocol it speaks.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use avalanche::wire::PROTOCOLS;
use serde::Deserialize;

/// What AvalancheGo says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HostVersion {
    /// Its name and version, such as `avalanchego/1.14.2`.
    pub application: String,
    /// Its protocol for plugins.
    pub rpcchainvm: u32,
}

/// Why a plugin cannot be made for a host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The program does not run.
    #[error("{} cannot be run: {source}", path.display())]
    Run {
        /// The program.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The program says something else than a version.
    #[error("{} --version-json answers {answer:?}, which is no version of AvalancheGo", path.display())]
    NoVersion {
        /// The program.
        path: PathBuf,
        /// The beginning of its answer.
        answer: String,
    },
    /// The host speaks a protocol that this build does not.
    #[error("{application} speaks plugin protocol {found}, this gridproof speaks {} and {}", PROTOCOLS[0], PROTOCOLS[1])]
    OtherProtocol {
        /// The host's name and version.
        application: String,
        /// Its protocol.
        found: u32,
    },
}

impl HostError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Run { .. } | Self::NoVersion { .. } => {
                "give AvalancheGo's binary with --avalanchego"
            }
            Self::OtherProtocol { found, .. } if *found < PROTOCOLS[0] => "update AvalancheGo",
            Self::OtherProtocol { .. } => "take a gridproof that is made for this AvalancheGo",
        }
    }
}

/// Asks a binary for its version. It answers and ends; no node is started.
pub fn version(path: &Path) -> Result<HostVersion, HostError> {
    let run = |source| HostError::Run {
        path: path.to_path_buf(),
        source,
    };
    let output = Command::new(path)
        .arg("--version-json")
        .stdin(Stdio::null())
        .output()
        .map_err(run)?;
    serde_json::from_slice(&output.stdout).map_err(|_| HostError::NoVersion {
        path: path.to_path_buf(),
        answer: String::from_utf8_lossy(&output.stdout)
            .chars()
            .take(200)
            .collect(),
    })
}

/// The version of a host whose plugins this build can be.
pub fn spoken_version(path: &Path) -> Result<HostVersion, HostError> {
    let version = version(path)?;
    if PROTOCOLS.contains(&version.rpcchainvm) {
        return Ok(version);
    }
    Err(HostError::OtherProtocol {
        application: version.application,
        found: version.rpcchainvm,
    })
}
