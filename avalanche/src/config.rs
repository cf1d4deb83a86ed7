//! How a node of a subnet is configured: the chain's configuration file of AvalancheGo, as TOML (`config.toml` in the
//! folder of the chain). Every key has a default; an unknown one is refused.

use std::path::PathBuf;

use keys::passphrase::PassphraseSource;
use serde::Deserialize;
use types::genesis::Genesis;
use types::params::VersionStart;
use types::versions::{UpgradeError, VersionSchedule};

/// The configuration of the chain on one node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder with `validator.key` and `vrf.key`. Without it `keys` in the chain's data directory is looked at, and
    /// without that the node follows the chain and proposes nothing.
    pub keys: Option<PathBuf>,
    /// Where the passphrase of encrypted key files is read from.
    pub passphrase_file: Option<PassphraseSource>,
    /// Most bytes of all blobs together. What live jobs need comes first, then the newest results.
    pub blob_quota_bytes: u64,
    /// How long inputs and results of a settled job are kept, in seconds: at least an audit window, so that it can be challenged.
    pub keep_results_seconds: u64,
    /// Most bytes of waiting transactions.
    pub mempool_bytes: usize,
    /// Maximum number of waiting transactions.
    pub mempool_transactions: usize,
    /// How many events the event stream keeps for readers that are late.
    pub kept_events: usize,
    /// True if the node wants to start from the state of others instead of executing every block.
    pub state_sync: bool,
    /// A summary of the state can be had at heights that are multiples of this; none at 0. Others vote on a summary only if
    /// they still keep that height, so that it should be the same on all nodes, and far below
    /// [`UNDO_HEIGHTS`](crate::record::UNDO_HEIGHTS).
    pub summary_interval: u64,
    /// Fewest heights that a state sync must save: else the blocks are executed.
    pub least_synced_heights: u64,
}

impl Default for Config {
    fn default() -> Self {
        let (retention, mempool) = (chain::Retention::default(), vm::MempoolLimits::default());
        Self {
            keys: None,
            passphrase_file: None,
            blob_quota_bytes: retention.quota_bytes,
            keep_results_seconds: retention.results_ms / 1_000,
            mempool_bytes: mempool.bytes,
            mempool_transactions: mempool.transactions,
            kept_events: 65_536,
            state_sync: false,
            summary_interval: 1_024,
            least_synced_heights: 4_096,
        }
    }
}

/// Versions of the protocol that the nodes of a subnet agreed on after genesis: the chain's upgrade file of AvalancheGo, as TOML
/// (`upgrade.toml` beside `config.toml`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubnetUpgrades {
    /// Versions with their first heights, above those of genesis and ascending; the same on all nodes.
    pub upgrades: Vec<VersionStart>,
}

/// Why a configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ChainConfigError {
    /// It is no text.
    #[error("the chain's configuration is not UTF-8")]
    Text(#[from] std::str::Utf8Error),
    /// The upgrades do not fit the genesis.
    #[error("the chain's upgrade file: {0}")]
    Upgrades(#[from] UpgradeError),
    /// It is no TOML, or has an unknown key or a value of the wrong kind.
    #[error("the chain's configuration: {0}")]
    Toml(#[from] toml::de::Error),
}

impl Config {
    /// Reads what the host passes on; no bytes are the defaults.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChainConfigError> {
        Ok(toml::from_str(std::str::from_utf8(bytes)?)?)
    }
}

impl SubnetUpgrades {
    /// The schedule of a chain with what the host passes on; no bytes are genesis' own.
    pub fn schedule(bytes: &[u8], genesis: &Genesis) -> Result<VersionSchedule, ChainConfigError> {
        let file: Self = toml::from_str(std::str::from_utf8(bytes)?)?;
        let schedule = VersionSchedule::of_genesis(&genesis.params);
        Ok(schedule.with_upgrades(&file.upgrades)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrades_stand_above_genesis() {
        let genesis = types::testing::genesis(&[1]);
        let none = SubnetUpgrades::schedule(b"", &genesis).unwrap();
        assert_eq!(none, VersionSchedule::of_genesis(&genesis.params));
        let file = "upgrades = [{ height = 7, version = 2 }]";
        let one = SubnetUpgrades::schedule(file.as_bytes(), &genesis).unwrap();
        assert_eq!(one.starts().len(), 2);
        for bad in [
            "upgrades = [{ height = 0, version = 2 }]",
            "upgrade = []",
            "upgrades = [{ height = 7 }]",
        ] {
            assert!(
                SubnetUpgrades::schedule(bad.as_bytes(), &genesis).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn nothing_is_the_default_and_unknown_keys_are_refused() {
        assert_eq!(Config::from_bytes(b"").unwrap(), Config::default());
        let keys = Config::from_bytes(b"keys = \"/tmp/x\"").unwrap().keys;
        assert_eq!(keys, Some(PathBuf::from("/tmp/x")));
        assert!(Config::from_bytes(b"kays = \"/tmp/x\"").is_err());
        assert!(Config::from_bytes(&[0xff]).is_err());
    }

    #[test]
    fn fuzz_the_file() {
        types::testing::fuzz::fuzz(
            "avalanche configuration",
            vec!["keys = \"/tmp/x\"\n".to_owned().into_bytes()],
            |input| {
                let text = String::from_utf8_lossy(input);
                types::testing::fuzz::AnswerMark::of(&Config::from_bytes(text.as_bytes()))
            },
        );
    }
}
