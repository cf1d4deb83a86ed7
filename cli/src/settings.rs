//! `gridproof config`: what a daemon will run with, and where each value comes from.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use node::config::Layout;
use partner::config::CONFIG_FILE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::{Override, SetArgs, SourcedConfig, load_sourced};
use crate::failure::{CommandFailure, ExitKind};
use crate::node::validators::aligned;
use crate::ui::Ui;

/// Look at configurations.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print a configuration with every key, its default and a comment.
    #[command(after_help = "Example:\n  gridproof config generate node > node.toml")]
    Generate {
        /// Whose configuration.
        #[arg(value_enum)]
        kind: ConfigKind,
    },
    /// Check the configuration of a directory, with the variables that override it.
    #[command(after_help = "Example:\n  gridproof config check --dir ~/validator")]
    Check(WhichConfig),
    /// Show the configuration of a directory, each value with where it comes from.
    #[command(after_help = "Examples:
  gridproof config show --dir ~/validator                # what the file, variables and --set say
  gridproof config show --dir ~/partner --effective      # every key, also those that have their default")]
    Show {
        #[command(flatten)]
        which: WhichConfig,
        /// Show defaults too: all that a daemon would run with.
        #[arg(long)]
        effective: bool,
    },
}

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ConfigKind {
    /// A validator's, `node.toml`.
    Node,
    /// A partner's, `partner.toml`.
    Partner,
}

/// Which configuration, and what overrides it.
#[derive(Debug, Args)]
pub struct WhichConfig {
    /// The directory of a validator or a partner.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    set: SetArgs,
}

/// Runs a configuration command.
pub fn run(command: ConfigCommand, ui: Ui) -> Result<(), CommandFailure> {
    match command {
        ConfigCommand::Generate { kind } => {
            let text = match kind {
                ConfigKind::Node => node::config::Config::default().to_commented_toml(),
                ConfigKind::Partner => {
                    let endpoints = ["http://127.0.0.1:26601", "http://127.0.0.1:26603"];
                    partner::config::Config::new(endpoints.map(str::to_owned).into()).to_toml()
                }
            };
            ui.result(&json!({ "config": text }), text.trim_end());
            Ok(())
        }
        ConfigCommand::Check(which) => {
            let (path, values) = values(which)?;
            let text = format!("{} can be used", path.display());
            ui.result(&json!({ "file": path, "keys": values.len() }), &text);
            Ok(())
        }
        ConfigCommand::Show { which, effective } => {
            let (path, mut values) = values(which)?;
            values.retain(|value| effective || value.source != DEFAULT);
            let rows = values.iter().map(|value| {
                let ConfigValue { key, value, source } = value;
                let value = value.clone().unwrap_or_else(|| UNSET.to_owned());
                [key.clone(), value, source.clone()]
            });
            let object = json!({
                "file": path, "values": values.iter().map(ConfigValue::object).collect::<Vec<_>>(),
            });
            ui.result(&object, &aligned(&rows.collect::<Vec<_>>()));
            Ok(())
        }
    }
}

/// Where a value comes from that nobody gave.
const DEFAULT: &str = "default";
/// What is shown of a key that has no value.
const UNSET: &str = "(unset)";

/// One key with its value and where that comes from.
struct ConfigValue {
    key: String,
    /// None where the key is left out and has no default.
    value: Option<String>,
    source: String,
}

impl ConfigValue {
    fn object(&self) -> Value {
        json!({ "key": self.key, "value": self.value, "source": self.source })
    }
}

/// The file of a directory, and all values that a daemon would run with.
fn values(which: WhichConfig) -> Result<(PathBuf, Vec<ConfigValue>), CommandFailure> {
    let (node, partner) = (
        Layout::new(&which.dir).config(),
        which.dir.join(CONFIG_FILE),
    );
    if node.exists() {
        let overrides = which.set.overrides();
        let (_, values) = read::<node::config::Config>(&node, node::config::TEMPLATE, overrides)?;
        return Ok((node, values));
    }
    if let Some(failure) = only_keys(&which.dir).filter(|_| !partner.exists()) {
        return Err(failure);
    }
    if !partner.exists() {
        let message = format!(
            "{} holds neither node.toml nor {CONFIG_FILE}",
            which.dir.display()
        );
        return Err(
            CommandFailure::new(ExitKind::Usage, "no_directory", message)
                .hint("give the folder that `node init` or `partner init` made"),
        );
    }
    let (overrides, template) = (which.set.overrides(), partner::config::TEMPLATE);
    let (config, values) = read::<partner::config::Config>(&partner, template, overrides)?;
    config.check().map_err(|error| {
        bad(format!("{}: {error}", partner.display()))
            .hint(error.hint().unwrap_or("correct that key"))
    })?;
    Ok((partner, values))
}

/// The failure for a directory that holds keys and no configuration yet, as `node init` without a genesis leaves it.
pub fn only_keys(dir: &Path) -> Option<CommandFailure> {
    let layout = Layout::new(dir);
    let (whose, init, config) = if layout.validator_key().exists() {
        ("a validator's", "node init", "node.toml")
    } else if dir.join("keys/account.key").exists() {
        ("a partner's", "partner init", CONFIG_FILE)
    } else {
        return None;
    };
    let dir = dir.display();
    let message = format!("{dir} holds {whose} keys and no {config} yet");
    let hint = format!(
        "once the network's genesis is agreed on: gridproof {init} --dir {dir} --genesis FILE"
    );
    let failure = CommandFailure::new(ExitKind::Usage, "no_directory", message);
    Some(failure.hint(hint))
}

fn read<C: Serialize + DeserializeOwned>(
    path: &Path,
    template: &str,
    overrides: impl IntoIterator<Item = Override>,
) -> Result<(C, Vec<ConfigValue>), CommandFailure> {
    let SourcedConfig {
        config,
        file,
        given,
    } = load_sourced::<C>(path, overrides)?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let table = toml::Table::try_from(&config).map_err(|error| bad(error.to_string()))?;
    let on_file = flat(&file);
    let values = flat(&table).into_iter().map(|(key, value)| {
        let source = match given.get(&key) {
            Some(origin) => origin.clone(),
            None if on_file.iter().any(|(known, _)| *known == key) => name.clone(),
            None => DEFAULT.to_owned(),
        };
        let value = Some(value);
        ConfigValue { key, value, source }
    });
    let mut values: Vec<_> = values.collect();
    values.extend(unset(template, &values));
    Ok((config, values))
}

/// The keys of a template that have no value: each is optional.
fn unset(template: &str, values: &[ConfigValue]) -> Vec<ConfigValue> {
    let keys = keys::config_file::keys(template).into_iter();
    let missing = keys.filter(|key| {
        let section = format!("{key}.");
        !values
            .iter()
            .any(|value| value.key == *key || value.key.starts_with(&section))
    });
    missing
        .map(|key| ConfigValue {
            key,
            value: None,
            source: DEFAULT.to_owned(),
        })
        .collect()
}

fn bad(message: String) -> CommandFailure {
    CommandFailure::new(ExitKind::BadInput, "config", message)
}

/// The keys of a table with their sections, each with its value as TOML writes it.
fn flat(table: &toml::Table) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(section) => {
                let below = flat(section).into_iter();
                all.extend(below.map(|(inner, value)| (format!("{key}.{inner}"), value)));
            }
            value => all.push((key.clone(), value.to_string())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use keys::passphrase::Passphrases;

    use super::*;

    #[test]
    fn every_value_tells_where_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.toml");
        std::fs::write(
            &path,
            "[p2p]\nlisten = []\n[rpc]\nlisten = \"127.0.0.1:1\"\n",
        )
        .unwrap();
        let set = Override::text(
            "--set mempool.transactions",
            "mempool.transactions",
            "7".to_owned(),
        );
        let template = node::config::TEMPLATE;
        let (_, values) = read::<node::config::Config>(&path, template, [set]).unwrap();
        let of = |key: &str| {
            let found = values.iter().find(|value| value.key == key).unwrap();
            let value = found.value.as_deref().unwrap_or(UNSET);
            (value, found.source.as_str())
        };
        assert_eq!(of("rpc.listen"), ("\"127.0.0.1:1\"", "node.toml"));
        assert_eq!(
            of("mempool.transactions"),
            ("7", "--set mempool.transactions")
        );
        assert_eq!(of("mempool.bytes").1, DEFAULT);
        for key in ["keys.signer", "keys.passphrase_file", "store.keep_blocks"] {
            assert_eq!(of(key), (UNSET, DEFAULT));
        }
        assert!(values.iter().any(|value| value.key == "protocol.upgrades"));
        for key in keys::config_file::keys(template) {
            let shown = values.iter().filter(|value| value.key == key);
            assert_eq!(shown.count(), 1, "{key}");
        }
    }

    #[test]
    fn keys_without_a_configuration_are_told_from_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        assert!(only_keys(dir.path()).is_none());
        node::init::keys(dir.path(), &Passphrases::none()).unwrap();
        let which = || WhichConfig {
            dir: dir.path().to_owned(),
            set: SetArgs::default(),
        };
        let failure = values(which()).map(|_| ()).unwrap_err();
        assert_eq!(failure.code, "no_directory");
        let message = format!("{failure}");
        assert!(
            message.contains("a validator's keys and no node.toml yet"),
            "{message}"
        );
        assert!(message.contains("gridproof node init --dir"), "{message}");
        let file = node::config::Config::default().to_commented_toml();
        std::fs::write(dir.path().join("node.toml"), file).unwrap();
        assert!(values(which()).is_ok());
    }

    #[test]
    fn what_is_generated_can_be_used() {
        let partner = partner::config::Config::new(vec!["http://127.0.0.1:1".to_owned()]);
        toml::from_str::<partner::config::Config>(&partner.to_toml()).unwrap();
        let node = node::config::Config::default().to_commented_toml();
        toml::from_str::<node::config::Config>(&node).unwrap();
    }
}
