//! Making a validator's directory: configuration, genesis and the marker of its vote log. The keys are there already, or
//! are made here; nothing that exists is overwritten.

use std::path::{Path, PathBuf};

use consensus::log::{FileStorage, Log, LogError};
use rpc::keyfile::{self, KeyFileError, KeyKind};
use types::codec::encode;
use types::genesis::{Genesis, GenesisError};
use types::hash::Hash32;
use types::key::{PublicKey, VrfPublicKey};

use crate::config::{Config, Layout};
use crate::core::{Setup, SetupError};

/// Why a directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a node already: its log may hold votes.
    #[error("{0} exists: this directory holds a validator already, and a second log could contradict its votes")]
    Exists(PathBuf),
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The genesis.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The keys do not fit the genesis.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log's directory.
    #[error(transparent)]
    Storage(#[from] consensus::log::StorageError),
}

/// The public halves of a validator's keys, for a genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PublicKeys {
    /// Signs votes.
    pub validator: PublicKey,
    /// Identity on the network.
    pub node: PublicKey,
    /// Proves beacon outputs.
    pub vrf: VrfPublicKey,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> InitError + '_ {
    |source| InitError::Io { path: path.to_path_buf(), source }
}

/// Makes the keys of a validator that are not there yet and tells the public halves of all three.
pub fn keys(directory: &Path) -> Result<PublicKeys, InitError> {
    let layout = Layout::new(directory);
    let folder = directory.join("keys");
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    let key = |path: PathBuf, kind| {
        if path.exists() { keyfile::read_secret(&path, kind) } else { keyfile::create(&path, kind) }
    };
    let validator = key(layout.validator_key(), KeyKind::Validator)?.public();
    let node = key(layout.node_key(), KeyKind::Node)?.public();
    let vrf = layout.vrf_key();
    let vrf = if vrf.exists() { keyfile::read_vrf(&vrf)? } else { keyfile::create_vrf(&vrf)? };
    Ok(PublicKeys { validator, node, vrf: vrf.public() })
}

/// Makes the directory of a validator of `genesis`, whose keys are in place. The log's marker is written last: without
/// it the node refuses to start.
pub fn init(directory: &Path, genesis: &Genesis, config: &Config) -> Result<(), InitError> {
    let layout = Layout::new(directory);
    if let Some(path) = [layout.log(), layout.db()].into_iter().find(|path| path.exists()) {
        return Err(InitError::Exists(path));
    }
    genesis.check()?;
    let validator = keyfile::read_secret(&layout.validator_key(), KeyKind::Validator)?;
    let vrf = keyfile::read_vrf(&layout.vrf_key())?;
    let setup = Setup::new(genesis, validator, vrf, Hash32::ZERO)?;
    std::fs::write(layout.genesis(), encode(genesis)).map_err(io(&layout.genesis()))?;
    std::fs::write(layout.config(), config.to_commented_toml()).map_err(io(&layout.config()))?;
    std::fs::create_dir_all(layout.log()).map_err(io(&layout.log()))?;
    Log::init(FileStorage::new(&layout.log())?, setup.log_identity())?;
    Ok(())
}
