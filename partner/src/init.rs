//! Making a partner's directory.

use std::path::{Path, PathBuf};

use keys::keyfile::{self, KeyKind};
use types::genesis::Genesis;
use types::hash::Address;

use crate::config::{CONFIG_FILE, Config};
use crate::error::PartnerError;

/// Makes a partner's directory: configuration, genesis, and keys where there are none. Gives its account. A directory
/// that is configured already is refused. `genesis` is the genesis in borsh, as it is in `genesis.bin`.
pub fn init(dir: &Path, config: &Config, genesis: &[u8]) -> Result<Address, PartnerError> {
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
    for path in [&config.account_key, &config.vrf_key, &config.genesis] {
        let path = dir.join(path);
        let parent = path.parent().map(Path::to_path_buf).unwrap_or_default();
        create_folder(parent)?;
    }
    let account = dir.join(&config.account_key);
    if !account.exists() {
        keyfile::create(&account, KeyKind::Account)?;
    }
    let address = keyfile::read_public(&account, KeyKind::Account)?.address();
    let vrf = dir.join(&config.vrf_key);
    if !vrf.exists() {
        keyfile::create_vrf(&vrf)?;
    }
    config.profile(keyfile::read_vrf(&vrf)?.public())?;
    if std::fs::read(&place).ok().as_deref() != Some(genesis) {
        std::fs::write(&place, genesis).map_err(PartnerError::io("write", place))?;
    }
    // Last: a directory with a configuration is a whole one.
    std::fs::write(&file, config.to_toml()).map_err(PartnerError::io("write", file))?;
    Ok(address)
}

fn create_folder(path: PathBuf) -> Result<(), PartnerError> {
    std::fs::create_dir_all(&path).map_err(PartnerError::io("create", path))
}
