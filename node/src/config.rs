//! How a node is configured: one TOML file in its data directory. Every field has a default except the ones that
//! `init` writes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

mod history;
mod p2p;
mod protocol;
mod rpc;
mod secrets;

pub use metrics::MetricsConfig;

pub use history::{HistoryKind, StoreConfig, StoreConfigError};
pub use p2p::P2pConfig;
pub use protocol::ProtocolConfig;
pub use rpc::RpcConfig;
pub use secrets::KeysConfig;

/// The file of a validator without its values: every key below its comment.
pub const TEMPLATE: &str = include_str!("config/template.toml");

/// A validator node's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it logs: a level, or levels of modules.
    #[serde(default = "defaults::log")]
    pub log: String,
    /// How it comes by its keys.
    #[serde(default)]
    pub keys: KeysConfig,
    /// How it meets other validators.
    pub p2p: P2pConfig,
    /// How it answers programs.
    pub rpc: RpcConfig,
    /// What it keeps of jobs' data.
    #[serde(default)]
    pub blobs: BlobsConfig,
    /// What it keeps of waiting transactions.
    #[serde(default)]
    pub mempool: MempoolConfig,
    /// What it keeps of the chain.
    #[serde(default)]
    pub store: StoreConfig,
    /// Which versions of the protocol it follows beyond those of genesis.
    #[serde(default)]
    pub protocol: ProtocolConfig,
    /// Where it shows metrics.
    #[serde(default = "defaults::metrics")]
    pub metrics: MetricsConfig,
}

/// What a node keeps of jobs' data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsConfig {
    /// Most bytes of all blobs together. What live jobs need comes first, then the newest results.
    #[serde(default = "defaults::quota")]
    pub quota_bytes: u64,
    /// How long inputs and results of a settled job are kept, in seconds: at least an audit window, so that it can be challenged.
    #[serde(default = "defaults::results_seconds")]
    pub keep_results_seconds: u64,
}

/// What a node keeps of waiting transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MempoolConfig {
    /// Most bytes of them.
    #[serde(default = "defaults::mempool_bytes")]
    pub bytes: usize,
    /// Maximum number of waiting transactions.
    #[serde(default = "defaults::mempool_transactions")]
    pub transactions: usize,
}

mod defaults {
    use super::MetricsConfig;

    pub fn log() -> String {
        "info".to_owned()
    }
    pub fn metrics() -> MetricsConfig {
        MetricsConfig::on_loopback(26_660)
    }
    pub fn quota() -> u64 {
        chain::Retention::default().quota_bytes
    }
    pub fn results_seconds() -> u64 {
        chain::Retention::default().results_ms / 1_000
    }
    pub fn mempool_bytes() -> usize {
        vm::MempoolLimits::default().bytes
    }
    pub fn mempool_transactions() -> usize {
        vm::MempoolLimits::default().transactions
    }
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self {
            quota_bytes: defaults::quota(),
            keep_results_seconds: defaults::results_seconds(),
        }
    }
}

impl Default for MempoolConfig {
    fn default() -> Self {
        Self {
            bytes: defaults::mempool_bytes(),
            transactions: defaults::mempool_transactions(),
        }
    }
}

impl Default for Config {
    /// On loopback, without peers.
    fn default() -> Self {
        Self {
            log: defaults::log(),
            keys: KeysConfig::default(),
            p2p: P2pConfig::default(),
            rpc: RpcConfig::default(),
            blobs: BlobsConfig::default(),
            mempool: MempoolConfig::default(),
            store: StoreConfig::default(),
            protocol: ProtocolConfig::default(),
            metrics: defaults::metrics(),
        }
    }
}

impl Config {
    /// The file as `init` writes it, with comments.
    #[must_use]
    pub fn to_commented_toml(&self) -> String {
        keys::config_file::filled(TEMPLATE, self)
            .expect("numbers that were read from TOML, or stand in code, fit its 63 bits")
    }
}

/// The places in a data directory.
#[derive(Debug, Clone)]
pub struct Layout(PathBuf);

impl Layout {
    /// The places in `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// The directory itself.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The genesis in its canonical bytes.
    #[must_use]
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.bin")
    }

    /// `node.toml`, the configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("node.toml")
    }

    /// The key that signs votes.
    #[must_use]
    pub fn validator_key(&self) -> PathBuf {
        self.0.join("keys").join("validator.key")
    }

    /// `keys/node.key`, the libp2p identity.
    #[must_use]
    pub fn node_key(&self) -> PathBuf {
        self.0.join("keys").join("node.key")
    }

    /// The key that proves beacon outputs.
    #[must_use]
    pub fn vrf_key(&self) -> PathBuf {
        self.0.join("keys").join("vrf.key")
    }

    /// `log/`, the vote log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Decided blocks and state.
    #[must_use]
    pub fn db(&self) -> PathBuf {
        self.0.join("db")
    }

    /// Blocks on which execution failed.
    #[must_use]
    pub fn quarantine(&self) -> PathBuf {
        self.0.join("quarantine")
    }

    /// `evidence/`, proofs that other validators broke the protocol.
    #[must_use]
    pub fn evidence(&self) -> PathBuf {
        self.0.join("evidence")
    }

    /// `blobs/`, inputs and results of jobs.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_reads_back_as_the_same_configuration() {
        let mut config = Config::default();
        config.p2p.bootstrap = vec![
            "/ip4/127.0.0.1/tcp/26602".to_owned(),
            "/ip4/127.0.0.1/tcp/26604".to_owned(),
        ];
        config.rpc.allowed_hosts = vec!["node.example".to_owned()];
        config.protocol.upgrades = vec![types::params::VersionStart {
            height: types::number::Height(1_000),
            version: types::number::ProtocolVersion(2),
        }];
        assert_eq!(
            toml::from_str::<Config>(&config.to_commented_toml()).unwrap(),
            config
        );
    }

    #[test]
    fn every_key_of_the_file_has_a_comment_above_it() {
        let text = Config::default().to_commented_toml();
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
            assert!(pair[0].starts_with("# "), "{}", pair[1]);
        }
        let example = format!("# keep_blocks = {}\n", store::VALIDATOR_HEIGHTS);
        assert!(text.contains(&example), "an optional key is shown: {text}");
    }

    #[test]
    fn what_is_kept_by_default_is_said_once() {
        let kept = BlobsConfig::default();
        assert_eq!(
            (kept.quota_bytes, kept.keep_results_seconds),
            (16 << 30, 604_800)
        );
        let validator = &types::testing::validators(&[1])[0];
        let genesis = types::testing::genesis(&[1]);
        let setup = crate::core::NodeSetup::new(
            &genesis,
            validator.key.clone(),
            validator.vrf_key.clone(),
            types::hash::Hash32::ZERO,
        );
        let retention = setup.unwrap().chain.retention;
        assert_eq!(retention.quota_bytes, kept.quota_bytes);
        assert_eq!(retention.results_ms, kept.keep_results_seconds * 1_000);
    }

    #[test]
    fn unknown_keys_are_refused_and_optional_ones_have_defaults() {
        let least = "[p2p]\nlisten = []\n[rpc]\nlisten = \"127.0.0.1:1\"\n";
        let config: Config = toml::from_str(least).unwrap();
        assert_eq!(config.blobs, BlobsConfig::default());
        let error = toml::from_str::<Config>(&format!("{least}lissten = 1\n")).unwrap_err();
        assert!(error.message().contains("lissten"));
    }

    #[test]
    fn fuzz_the_file() {
        types::testing::fuzz::fuzz(
            "node configuration",
            vec![Config::default().to_commented_toml().into_bytes()],
            |input| {
                let text = String::from_utf8_lossy(input);
                types::testing::fuzz::AnswerMark::of(&toml::from_str::<Config>(&text))
            },
        );
    }
}
