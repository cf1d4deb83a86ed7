//! A partner's configuration: one TOML file, written with comments by [`init`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use keys::keyfile::{self, KeyKind};
use serde::{Deserialize, Serialize};
use types::genesis::Genesis;
use types::hash::Address;
use types::job::{CLASS_WASM_V1, Name, PartnerProfile};
use types::key::VrfPublicKey;
use types::number::{Amount, SQUARE};

use crate::endpoints::Endpoints;

/// Name of the configuration file in a partner's directory.
pub const CONFIG_FILE: &str = "partner.toml";

/// Everything an operator chooses. Relative paths start at the partner's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// RPC addresses of validators, best of different operators. None of them is trusted; two or more are needed so
    /// that one that fails or stays silent is not the end.
    pub endpoints: Vec<String>,
    /// The chain's genesis (borsh): what every proof is checked against.
    pub genesis: PathBuf,
    /// Key file of the account that signs, pays fees and owns the bond.
    pub account_key: PathBuf,
    /// Key file of the VRF key that proves sortitions.
    pub vrf_key: PathBuf,
    /// The bond to keep, in SQUARE. Filled up from the account when it is lower; lower this key before `unbond`.
    #[serde(deserialize_with = "amount")]
    pub bond: Amount,
    /// What stays on the account for fees when the bond is filled up, in SQUARE.
    #[serde(deserialize_with = "amount")]
    pub reserve: Amount,
    /// Verifications at the same time, beside the `capacity` of the offer.
    pub verification_places: u16,
    /// Time between two looks at the chain, in milliseconds.
    pub poll_ms: u64,
    /// Most bytes of jobs' inputs kept on disk, and most bytes of one job's results.
    pub blob_quota_bytes: u64,
    /// Longest time that one task may take on this machine, in milliseconds; then its worker is killed and the task
    /// has no result here. Jobs whose tasks may take longer by the network's rules are declined.
    pub task_wall_ms: u64,
    /// The program whose `worker` command runs tasks; nothing means this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<PathBuf>,
    /// What the partner offers; registered on chain when it changes.
    pub offer: Offer,
}

/// What a partner offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// A name for people.
    pub name: String,
    /// Least price per million units of fuel, in SQUARE.
    #[serde(deserialize_with = "amount")]
    pub ask: Amount,
    /// Jobs that it runs as primary at the same time.
    pub capacity: u16,
    /// Attributes that jobs may ask for: location, jurisdiction, hardware, energy source, ...
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
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

impl Default for Offer {
    fn default() -> Self {
        let ask = Amount(SQUARE.0 / 1_000_000);
        Self {
            name: "partner".to_owned(),
            ask,
            capacity: 2,
            attributes: BTreeMap::new(),
        }
    }
}

impl Config {
    /// The defaults, over the endpoints to watch.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            genesis: "genesis.bin".into(),
            account_key: "keys/account.key".into(),
            vrf_key: "keys/vrf.key".into(),
            bond: Amount(10_000 * SQUARE.0),
            reserve: SQUARE,
            verification_places: 2,
            poll_ms: 300,
            blob_quota_bytes: 16 << 30,
            task_wall_ms: 3_600_000,
            worker: None,
            offer: Offer::default(),
        }
    }

    /// Refuses values that cannot work.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !self.endpoints.is_empty(),
            "endpoints is empty (hint: list the RPC addresses of two or more validators)"
        );
        ensure!(
            self.verification_places > 0,
            "verification_places is 0: a drawn verifier that never runs loses its bond"
        );
        ensure!(
            self.offer.capacity > 0,
            "offer.capacity is 0: a partner runs at least one job at a time"
        );
        ensure!(
            (10..=60_000).contains(&self.poll_ms),
            "poll_ms is {}: expected 10 to 60000",
            self.poll_ms
        );
        ensure!(self.task_wall_ms > 0, "task_wall_ms is 0");
        Ok(())
    }

    /// Refuses fewer than two endpoints, unless the genesis has no more: a partner misses its deadlines, and loses bond,
    /// when the only endpoint that it asks fails or keeps something back.
    pub fn check_endpoints(&self, genesis: &Genesis) -> anyhow::Result<()> {
        let endpoints = Endpoints::new(&self.endpoints)?;
        let distinct: BTreeSet<_> = endpoints
            .all()
            .iter()
            .map(|endpoint| endpoint.client.url())
            .collect();
        ensure!(
            distinct.len() >= 2 || genesis.validators.len() == 1,
            "endpoints names {} endpoint of a network of {} validators (hint: list the RPC addresses of two or more, best of different operators)",
            distinct.len(),
            genesis.validators.len()
        );
        Ok(())
    }

    /// The profile that is registered.
    pub fn profile(&self, vrf_key: VrfPublicKey) -> anyhow::Result<PartnerProfile> {
        let mut attributes = BTreeMap::new();
        for (key, value) in &self.offer.attributes {
            let name =
                |text: &str| Name::new(text).with_context(|| format!("offer.attributes: {text:?}"));
            attributes.insert(name(key)?, name(value)?);
        }
        let profile = PartnerProfile {
            name: Name::new(self.offer.name.as_str()).context("offer.name")?,
            class: CLASS_WASM_V1,
            vrf_key,
            ask: self.offer.ask,
            capacity: self.offer.capacity,
            attributes,
        };
        ensure!(
            profile.is_bounded(),
            "offer.attributes has too many entries"
        );
        Ok(profile)
    }

    /// The file's text, each key with what it means.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let path = |value: &Path| text(&value.to_string_lossy());
        let endpoints: Vec<_> = self
            .endpoints
            .iter()
            .map(|endpoint| text(endpoint))
            .collect();
        let mut out = format!(
            "# gridproof partner. Every key can be overridden by GRIDPROOF__KEY or GRIDPROOF_SECTION__KEY, and\n\
             # that by --set KEY=VALUE or --set SECTION.KEY=VALUE of `gridproof partner start`.\n\n\
             # RPC addresses of two or more validators, best of different operators. None of them is trusted.\n\
             endpoints = [{}]\n\
             # The chain's genesis: what every proof is checked against.\n\
             genesis = {}\n\
             # The account that signs, pays fees and owns the bond.\n\
             account_key = {}\n\
             # Proves sortitions.\n\
             vrf_key = {}\n\
             # The bond to keep, in SQUARE; filled up from the account. Lower it before `gridproof partner unbond`.\n\
             bond = \"{}\"\n\
             # What stays on the account for fees, in SQUARE.\n\
             reserve = \"{}\"\n\
             # Verifications at the same time, beside the capacity of the offer.\n\
             verification_places = {}\n\
             # Time between two looks at the chain.\n\
             poll_ms = {}\n\
             # Most bytes of jobs' inputs kept on disk, and most bytes of one job's results.\n\
             blob_quota_bytes = {}\n\
             # Longest time that one task may take on this machine; jobs with longer ones are declined, at a cost.\n\
             task_wall_ms = {}\n",
            endpoints.join(", "),
            path(&self.genesis),
            path(&self.account_key),
            path(&self.vrf_key),
            self.bond,
            self.reserve,
            self.verification_places,
            self.poll_ms,
            self.blob_quota_bytes,
            self.task_wall_ms,
        );
        // Writing to a string cannot fail.
        if let Some(worker) = &self.worker {
            let _ = writeln!(
                out,
                "# The program whose `worker` command runs tasks.\nworker = {}",
                path(worker)
            );
        }
        let _ = write!(
            out,
            "\n# What the partner offers; registered on chain when it changes, counts one epoch later.\n\
             [offer]\n\
             # A name for people.\n\
             name = {}\n\
             # Least price per million units of fuel, in SQUARE.\n\
             ask = \"{}\"\n\
             # Jobs that it runs as primary at the same time.\n\
             capacity = {}\n\n\
             # What jobs may ask for: location, jurisdiction, hardware, energy source, ...\n\
             [offer.attributes]\n",
            text(&self.offer.name),
            self.offer.ask,
            self.offer.capacity,
        );
        for (key, value) in &self.offer.attributes {
            let _ = writeln!(out, "{} = {}", text(key), text(value));
        }
        out
    }
}

/// Makes a partner's directory: configuration, genesis, and keys where there are none. Gives its account. A directory
/// that is configured already is refused.
pub fn init(dir: &Path, config: &Config, genesis: &[u8]) -> anyhow::Result<Address> {
    config.check()?;
    config.check_endpoints(&Genesis::from_bytes(genesis).context("the genesis is not valid")?)?;
    let file = dir.join(CONFIG_FILE);
    if file.exists() {
        bail!(
            "{} exists already (hint: edit it, or give another --dir)",
            file.display()
        );
    }
    for path in [&config.account_key, &config.vrf_key, &config.genesis] {
        let parent = dir
            .join(path)
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        std::fs::create_dir_all(&parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
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
    let place = dir.join(&config.genesis);
    if std::fs::read(&place).ok().as_deref() != Some(genesis) {
        std::fs::write(&place, genesis)
            .with_context(|| format!("cannot write {}", place.display()))?;
    }
    // Last: a directory with a configuration is a whole one.
    std::fs::write(&file, config.to_toml())
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(address)
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
            |config| config.offer.capacity = 0,
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
        let error = alone.check_endpoints(&genesis).unwrap_err().to_string();
        assert!(
            error.contains("names 1 endpoint of a network of 2") && error.contains("hint"),
            "{error}"
        );
        alone.endpoints.pop();
        assert!(alone.check_endpoints(&genesis).is_err());
        let mut long = config();
        long.offer.name = "x".repeat(65);
        assert!(long.profile(VrfPublicKey::default()).is_err());
    }
}
