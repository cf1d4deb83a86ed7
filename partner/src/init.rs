//! Making a partner's directory.

use std::path::Path;

use keys::folder::{self, FolderError};
use keys::keyfile::{self, KeyKind};
use keys::passphrase::Passphrases;
use types::genesis::Genesis;
use types::hash::Address;

use crate::config::{CONFIG_FILE, Config};
use crate::error::PartnerError;

/// Makes a partner's directory: configuration, genesis, and keys where there are none. Gives its account. A directory
/// that is configured already is refused. `genesis` is the genesis in borsh, as it is in `genesis.bin`.
pub fn init(
    dir: &Path,
    config: &Config,
    genesis: &[u8],
    passphrases: &Passphrases,
) -> Result<Address, PartnerError> {
    config.check()?;
    let place = dir.join(&config.genesis);
    let decoded = Genesis::from_bytes(genesis).map_err(|source| PartnerError::Genesis {
        path: place.clone(),
        source,
    })?;
    config.check_endpoints(&decoded)?;
    let file = dir.join(CONFIG_FILE);
    if file.exists() {
        return Err(PartnerError::Configured { path: file });
    }
    folder::create(dir)?;
    for path in [&config.account_key, &config.vrf_key] {
        if let Some(parent) = dir.join(path).parent() {
            folder::create(parent)?;
        }
    }
    if let Some(parent) = place.parent() {
        std::fs::create_dir_all(parent).map_err(PartnerError::io("create", parent))?;
    }
    let account = dir.join(&config.account_key);
    if !account.exists() {
        keyfile::create_new(&account, KeyKind::Account, passphrases)?;
    }
    let address = keyfile::read_public(&account, KeyKind::Account)?.address();
    let vrf = dir.join(&config.vrf_key);
    if !vrf.exists() {
        keyfile::create_new(&vrf, KeyKind::Vrf, passphrases)?;
    }
    config.profile(keyfile::read_vrf_public(&vrf)?)?;
    if std::fs::read(&place).ok().as_deref() != Some(genesis) {
        std::fs::write(&place, genesis).map_err(PartnerError::io("write", place))?;
    }
    // Last: a directory with a configuration is a whole one.
    std::fs::write(&file, config.to_toml()).map_err(PartnerError::io("write", file))?;
    Ok(address)
}

/// Refuses a partner's directory, and folders of its keys, that others may look into.
pub fn check_folders(dir: &Path, config: &Config) -> Result<(), FolderError> {
    folder::check(dir)?;
    for path in [&config.account_key, &config.vrf_key] {
        if let Some(parent) = dir.join(path).parent() {
            folder::check(parent)?;
        }
    }
    Ok(())
}
