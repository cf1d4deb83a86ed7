//! A partner's configuration: one TOML file, written with comments by [`crate::init()`].
//!
//! Default values stand here alone: [`Config::new`] and [`Offer::default`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use executor::class::KNOWN;
use keys::passphrase::PassphraseSource;
use metrics::MetricsConfig;
use rpc::ClientError;
use serde::{Deserialize, Serialize};
use types::genesis::Genesis;
use types::job::{Name, PartnerProfile};
use types::key::VrfPublicKey;
use types::limits::{MAX_ATTRIBUTES, MAX_NAME_BYTES};
use types::number::{Amount, SQUARE};
use types::words::counted;

use crate::endpoints::Endpoints;

/// Name of the configuration file in a partner's directory.
pub const CONFIG_FILE: &str = "partner.toml";
/// Bounds of `poll_ms`, in milliseconds.
const POLL_MS: std::ops::RangeInclusive<u64> = 10..=60_000;

/// Most of `audit_percent`: each job ten times.
const MAX_AUDIT_PERCENT: u16 = 1_000;

fn default_audit_percent() -> u16 {
    5
}

fn default_log() -> String {
    "info".to_owned()
}

fn default_metrics() -> MetricsConfig {
    MetricsConfig::on_loopback(26_661)
}

/// The file of a partner without its values: every key below its comment.
pub const TEMPLATE: &str = include_str!("config/template.toml");

/// Everything an operator chooses. Relative paths start at the partner's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the daemon logs: a level, or levels of modules.
    #[serde(default = "default_log")]
    pub log: String,
    /// RPC URLs of validators, best of different operators. None of them is trusted; two or more are needed so that one
    /// that fails or stays silent is not the end.
    pub endpoints: Vec<String>,
    /// The chain's genesis (borsh): what every proof is checked against.
    pub genesis: PathBuf,
    /// Key file of the account that signs, pays fees and owns the bond.
    pub account_key: PathBuf,
    /// Key file of the VRF key that proves sortitions.
    pub vrf_key: PathBuf,
    /// Where the passphrase of encrypted key files is read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PassphraseSource>,
    /// The bond to keep, in SQUARE. Filled up from the account when it is lower; lower this key before `unbond`.
    #[serde(deserialize_with = "amount")]
    pub bond: Amount,
    /// What stays on the account for fees when the bond is filled up, in SQUARE.
    #[serde(deserialize_with = "amount")]
    pub reserve: Amount,
    /// Places for verification: checks at the same time, at least 1, and at most twice as many where some have less time left than
    /// others. The offer's places are beside them.
    pub verification_places: u16,
    /// Pause between two reads of the chain, in milliseconds, 10 to 60,000.
    pub poll_ms: u64,
    /// Maximum of jobs' inputs kept on disk, and of one job's results, in bytes.
    pub blob_quota_bytes: u64,
    /// Maximum of modules' compiled code kept on disk for later jobs, in bytes; 0 keeps none.
    pub code_cache_bytes: u64,
    /// Maximum time of one task on this machine, in milliseconds, above 0; then its worker is killed and the task has no
    /// result here. Jobs whose tasks may take longer by the network's rules are declined.
    pub task_wall_ms: u64,
    /// How much of what others settled is audited, in percent, 0 to 1,000: this partner runs its bond's share of it again, and
    /// challenges what is wrong. With 5 at all partners each job is run again 0.05 times on average.
    #[serde(default = "default_audit_percent")]
    pub audit_percent: u16,
    /// Workers at the same time, over all jobs and checks: so many of a job's tasks run side by side. One of each job always runs.
    pub cores: u16,
    /// Memory that workers may use together, in bytes, each counted with a task's memory, inputs and outputs. One of each job
    /// always runs.
    pub memory_bytes: u64,
    /// The program whose `worker` command runs tasks; `None` means this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<PathBuf>,
    /// True if tasks may run where this machine gives no filter of system calls (seccomp).
    #[serde(default)]
    pub allow_missing_seccomp: bool,
    /// What the partner offers; registered on chain when it changes.
    pub offer: Offer,
    /// Where the daemon shows metrics.
    #[serde(default = "default_metrics")]
    pub metrics: MetricsConfig,
}

/// What a partner offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// A name for people, 1 to 64 bytes.
    pub name: String,
    /// Minimum price per million units of fuel, in SQUARE.
    #[serde(deserialize_with = "amount")]
    pub ask: Amount,
    /// Jobs that it runs as primary at the same time, at least 1.
    pub places: u16,
    /// Attributes that jobs may ask for (location, jurisdiction, hardware, energy source, ...), at most 32.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum PartnerConfigError {
    /// No endpoint is named.
    #[error("endpoints is empty")]
    NoEndpoints,
    /// An endpoint's URL cannot be used.
    #[error(transparent)]
    Endpoint(#[from] ClientError),
    /// One endpoint of a network of several validators: a partner misses its deadlines, and loses bond, when the only
    /// endpoint that it asks fails or keeps something back.
    #[error("endpoints names {} of a network of {}", counted(*found, "endpoint"), counted(*validators, "validator"))]
    OneEndpoint {
        /// Number of different endpoints.
        found: usize,
        /// Number of validators in the genesis.
        validators: usize,
    },
    /// No place for verification.
    #[error("verification_places is 0: a drawn verifier that never runs loses its bond")]
    NoVerificationPlaces,
    /// No place for jobs.
    #[error("offer.places is 0: a partner runs at least one job at a time")]
    NoPlaces,
    /// The pause between two reads is out of bounds.
    #[error("poll_ms is {found}: expected {min} to {max}")]
    Poll {
        /// Configured pause, in milliseconds.
        found: u64,
        /// Lowest pause allowed, in milliseconds.
        min: u64,
        /// Highest pause allowed, in milliseconds.
        max: u64,
    },
    /// More audits than may be.
    #[error("audit_percent is {0}: expected 0 to {MAX_AUDIT_PERCENT}")]
    Audits(u16),
    /// No time for a task.
    #[error("task_wall_ms is 0")]
    NoTaskTime,
    /// A name is empty or too long.
    #[error("{key}: {found:?} is no name of 1 to {MAX_NAME_BYTES} bytes")]
    Name {
        /// The key that holds it.
        key: &'static str,
        /// Text of the configuration.
        found: String,
    },
    /// The offer has too many attributes.
    #[error("offer.attributes has {found} entries; the limit is {MAX_ATTRIBUTES}")]
    TooManyAttributes {
        /// Number of entries in the configuration.
        found: usize,
    },
}

impl PartnerConfigError {
    /// What to do about it, if there is more to say than to correct the key.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoEndpoints | Self::OneEndpoint { .. } => Some(
                "list the RPC addresses of two or more validators, best of different operators",
            ),
            Self::Endpoint(_) => Some(
                "endpoints are the RPC addresses of validators, such as http://127.0.0.1:26601",
            ),
            _ => None,
        }
    }
}

/// An amount as a text, or as a whole number; a float would lose digits.
fn amount<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
    struct Written;
    impl serde::de::Visitor<'_> for Written {
        type Value = Amount;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an amount of SQUARE such as \"2\" or \"0.25\"")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
            text.parse().map_err(E::custom)
        }
        fn visit_u64<E: serde::de::Error>(self, whole: u64) -> Result<Amount, E> {
            SQUARE
                .checked_mul(u128::from(whole))
                .ok_or_else(|| E::custom("too large an amount"))
        }
        fn visit_i64<E: serde::de::Error>(self, whole: i64) -> Result<Amount, E> {
            self.visit_u64(u64::try_from(whole).map_err(|_| E::custom("an amount below zero"))?)
        }
    }
    deserializer.deserialize_any(Written)
}

/// The processors that this machine gives this process; one where it does not say.
fn this_machines_cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores).unwrap_or(u16::MAX)
}

impl Default for Offer {
    fn default() -> Self {
        let ask = Amount(SQUARE.0 / 1_000_000);
        Self {
            name: "partner".to_owned(),
            ask,
            places: 2,
            attributes: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The defaults, over the endpoints to watch.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            log: default_log(),
            endpoints,
            genesis: "genesis.bin".into(),
            account_key: "keys/account.key".into(),
            vrf_key: "keys/vrf.key".into(),
            passphrase_file: None,
            bond: Amount(10_000 * SQUARE.0),
            reserve: SQUARE,
            verification_places: 2,
            poll_ms: 300,
            blob_quota_bytes: 16 << 30,
            code_cache_bytes: 1 << 30,
            audit_percent: default_audit_percent(),
            task_wall_ms: 3_600_000,
            cores: this_machines_cores(),
            memory_bytes: 8 << 30,
            worker: None,
            allow_missing_seccomp: false,
            offer: Offer::default(),
            metrics: default_metrics(),
        }
    }

    /// Refuses values that cannot work.
    pub fn check(&self) -> Result<(), PartnerConfigError> {
        if self.endpoints.is_empty() {
            return Err(PartnerConfigError::NoEndpoints);
        }
        if self.audit_percent > MAX_AUDIT_PERCENT {
            return Err(PartnerConfigError::Audits(self.audit_percent));
        }
        if self.verification_places == 0 {
            return Err(PartnerConfigError::NoVerificationPlaces);
        }
        if self.offer.places == 0 {
            return Err(PartnerConfigError::NoPlaces);
        }
        if !POLL_MS.contains(&self.poll_ms) {
            return Err(PartnerConfigError::Poll {
                found: self.poll_ms,
                min: *POLL_MS.start(),
                max: *POLL_MS.end(),
            });
        }
        if self.task_wall_ms == 0 {
            return Err(PartnerConfigError::NoTaskTime);
        }
        Ok(())
    }

    /// Refuses fewer than two endpoints, unless the genesis has no more validators.
    pub fn check_endpoints(&self, genesis: &Genesis) -> Result<(), PartnerConfigError> {
        let endpoints = Endpoints::new(&self.endpoints, None)?;
        let distinct: BTreeSet<_> = endpoints
            .all()
            .iter()
            .map(|endpoint| endpoint.client.url())
            .collect();
        let (found, validators) = (distinct.len(), genesis.validators.len());
        if found < 2 && validators > 1 {
            return Err(PartnerConfigError::OneEndpoint { found, validators });
        }
        Ok(())
    }

    /// The profile that is registered, with all classes that this build runs.
    pub fn profile(&self, vrf_key: VrfPublicKey) -> Result<PartnerProfile, PartnerConfigError> {
        let found = self.offer.attributes.len();
        if found > MAX_ATTRIBUTES {
            return Err(PartnerConfigError::TooManyAttributes { found });
        }
        let mut attributes = BTreeMap::new();
        for (key, value) in &self.offer.attributes {
            attributes.insert(
                name("offer.attributes", key)?,
                name("offer.attributes", value)?,
            );
        }
        Ok(PartnerProfile {
            name: name("offer.name", &self.offer.name)?,
            classes: KNOWN.into(),
            vrf_key,
            ask: self.offer.ask,
            places: self.offer.places,
            attributes,
        })
    }

    /// The file's text, each key with what it means.
    #[must_use]
    pub fn to_toml(&self) -> String {
        keys::config_file::filled(TEMPLATE, self)
            .expect("numbers that were read from TOML, or stand in code, fit its 63 bits")
    }
}

fn name(key: &'static str, text: &str) -> Result<Name, PartnerConfigError> {
    Name::new(text).map_err(|_| PartnerConfigError::Name {
        key,
        found: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::new(vec![
            "http://127.0.0.1:1".into(),
            "http://127.0.0.1:2".into(),
        ]);
        config
            .offer
            .attributes
            .insert("heat re-use".into(), "a \"pool\"".into());
        config.worker = Some("/usr/bin/gridproof".into());
        config
    }

    #[test]
    fn the_commented_file_reads_back_as_it_was() {
        assert_eq!(
            toml::from_str::<Config>(&config().to_toml()).unwrap(),
            config()
        );
        let plain = Config::new(vec!["http://127.0.0.1:1".into()]);
        assert_eq!(toml::from_str::<Config>(&plain.to_toml()).unwrap(), plain);
    }

    #[test]
    fn every_key_of_the_file_has_a_comment_above_it() {
        let text = config().to_toml();
        let lines: Vec<_> = text.lines().collect();
        let own = |line: &str| !line.is_empty() && !line.starts_with('#');
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| own(line)) {
            let is_attribute = line.starts_with('"');
            assert!(is_attribute || lines[index - 1].starts_with("# "), "{line}");
        }
    }

    #[test]
    fn amounts_are_texts_or_whole_numbers() {
        let read =
            |bond: &str| toml::from_str::<Config>(&config().to_toml().replace("\"10000\"", bond));
        assert_eq!(read("7").unwrap().bond, Amount(7 * SQUARE.0));
        assert_eq!(read("\"0.5\"").unwrap().bond, Amount(SQUARE.0 / 2));
        for bad in ["-1", "0.5", "\"x\"", "[1]"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let text = config().to_toml().replace("poll_ms", "pol_ms");
        let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
        assert!(error.contains("pol_ms"), "{error}");
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        let broken: [fn(&mut Config); 5] = [
            |config| config.endpoints.clear(),
            |config| config.verification_places = 0,
            |config| config.offer.places = 0,
            |config| config.poll_ms = 0,
            |config| config.task_wall_ms = 0,
        ];
        for breaks in broken {
            let mut config = config();
            breaks(&mut config);
            assert!(config.check().is_err(), "{config:?}");
        }
        let mut genesis = crate::fixture::genesis();
        let mut alone = Config::new(vec![
            "http://127.0.0.1:1".into(),
            "http://127.0.0.1:1/".into(),
        ]);
        alone.check_endpoints(&genesis).unwrap();
        genesis.validators.push(genesis.validators[0].clone());
        config().check_endpoints(&genesis).unwrap();
        let error = alone.check_endpoints(&genesis).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("names 1 endpoint of a network of 2"),
            "{text}"
        );
        assert!(error.hint().is_some());
        alone.endpoints.pop();
        assert!(alone.check_endpoints(&genesis).is_err());
        let mut long = config();
        long.offer.name = "x".repeat(65);
        assert!(long.profile(VrfPublicKey::default()).is_err());
    }

    #[test]
    fn fuzz_the_file() {
        types::testing::fuzz::fuzz(
            "partner configuration",
            vec![config().to_toml().into_bytes()],
            |input| {
                let text = String::from_utf8_lossy(input);
                types::testing::fuzz::AnswerMark::of(&toml::from_str::<Config>(&text))
            },
        );
    }
}
