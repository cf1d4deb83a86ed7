//! Making a validator's directory: configuration, genesis and the marker of its vote log. The keys are there already, or
//! are made here; nothing that exists is overwritten.
//!
//! Every file appears whole and synced under its name, the log last of all. So a crash in the middle leaves a directory
//! that a node refuses to start in, without touching it, and that the same `init` completes.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use consensus::log::{FileStorage, Log, LogError};
use keys::folder::{self, FolderError, sync_above, unfinished};
use keys::keyfile::{self, KeyFileError, KeyKind};
use keys::passphrase::Passphrases;
use types::codec::encode;
use types::genesis::{Genesis, GenesisError};
use types::hash::Hash32;
use types::key::{PublicKey, VrfPublicKey};

use crate::config::{Config, Layout};
use crate::core::{NodeSetup, SetupError};

/// Why a directory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a node already: its log may hold votes.
    #[error(
        "{0} exists: this directory holds a validator already, and a second log could contradict its votes"
    )]
    Exists(PathBuf),
    /// A file is there and says something else.
    #[error("{0} exists and is not what would be written: nothing that exists is overwritten")]
    Differs(PathBuf),
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Path of the file or directory.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The folder of the keys cannot be made, or others can look into it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A key file cannot be written or used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The genesis breaks a rule or does not decode.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The keys do not fit the genesis.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The vote log cannot be made.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The directory of the vote log cannot be made.
    #[error(transparent)]
    Storage(#[from] consensus::log::StorageError),
}

/// The public halves of a validator's keys, for a genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PublicKeys {
    /// Public key of the validator, which signs votes.
    pub validator: PublicKey,
    /// Identity on the network.
    pub node: PublicKey,
    /// Public key that proves beacon outputs.
    pub vrf: VrfPublicKey,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> InitError + '_ {
    |source| InitError::Io {
        path: path.to_path_buf(),
        source,
    }
}

/// Makes the keys of a validator that are not there yet, encrypted where a passphrase was given by a file or a descriptor, and
/// tells the public halves of all three. The folder of the keys is the owner's alone.
pub fn keys(directory: &Path, passphrases: &Passphrases) -> Result<PublicKeys, InitError> {
    let layout = Layout::new(directory);
    folder::create(&directory.join("keys"))?;
    let make = |path: &Path, kind| {
        if path.exists() {
            return Ok(());
        }
        keyfile::create_new(path, kind, passphrases)
    };
    make(&layout.validator_key(), KeyKind::Validator)?;
    make(&layout.node_key(), KeyKind::Node)?;
    make(&layout.vrf_key(), KeyKind::Vrf)?;
    Ok(PublicKeys {
        validator: keyfile::read_public(&layout.validator_key(), KeyKind::Validator)?,
        node: keyfile::read_public(&layout.node_key(), KeyKind::Node)?,
        vrf: keyfile::read_vrf_public(&layout.vrf_key())?,
    })
}

/// Makes the directory of a validator of `genesis`, whose keys are in place, or completes one that a crash left. The log
/// gets its name last: without it the node refuses to start.
pub fn init(
    directory: &Path,
    genesis: &Genesis,
    config: &Config,
    passphrases: &Passphrases,
) -> Result<(), InitError> {
    let layout = Layout::new(directory);
    if let Some(path) = [layout.log(), layout.db()]
        .into_iter()
        .find(|path| path.exists())
    {
        return Err(InitError::Exists(path));
    }
    genesis.check()?;
    let validator = keyfile::read_secret(&layout.validator_key(), KeyKind::Validator, passphrases)?;
    let vrf = keyfile::read_vrf(&layout.vrf_key(), passphrases)?;
    let setup = NodeSetup::new(genesis, validator, vrf, Hash32::ZERO)?;
    place(&layout.genesis(), &encode(genesis))?;
    place(&layout.config(), config.to_commented_toml().as_bytes())?;
    make_log(directory, |files| Log::init(files, setup.log_identity()))
}

/// Makes the log under another name and gives it its own once it is whole.
pub(crate) fn make_log(
    directory: &Path,
    make: impl FnOnce(FileStorage) -> Result<Log<FileStorage>, LogError>,
) -> Result<(), InitError> {
    let layout = Layout::new(directory);
    let fresh = unfinished(&layout.log());
    match std::fs::remove_dir_all(&fresh) {
        // No node has ever written there.
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io(&fresh)(error)),
    }
    // This syncs the directory, so that the other files are there to stay before the log is.
    make(FileStorage::new(&fresh)?)?;
    std::fs::rename(&fresh, layout.log()).map_err(io(&layout.log()))?;
    sync_above(&layout.log()).map_err(io(directory))
}

/// Writes a file that is not there, or leaves one that says the same.
pub(crate) fn place(path: &Path, bytes: &[u8]) -> Result<(), InitError> {
    match std::fs::read(path) {
        Ok(found) if found == bytes => return Ok(()),
        Ok(_) => return Err(InitError::Differs(path.to_path_buf())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io(path)(error)),
    }
    let fresh = unfinished(path);
    let mut file = File::create(&fresh).map_err(io(&fresh))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(io(&fresh))?;
    std::fs::rename(&fresh, path).map_err(io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_place_was_synced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("genesis.bin");
        // A device without a disk below it takes what is written and cannot sync it.
        std::os::unix::fs::symlink("/dev/null", unfinished(&path)).unwrap();
        assert!(matches!(
            place(&path, b"genesis"),
            Err(InitError::Io { .. })
        ));
        assert!(!path.exists());
    }
}
