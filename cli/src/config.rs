//! Configuration: one TOML file, every key overridable by `GRIDPROOF_SECTION__KEY`, then by `--set section.key=value` and
//! flags. Unknown keys are refused with file and line, or with the variable or flag.
//!
//! A variable or flag is a text without a type. It is read as what TOML makes of it, as the text itself, or as a list of
//! texts, whichever the key takes first; never as a float, so that an amount keeps all its digits.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::failure::{CommandFailure, ExitKind};

/// Keys of the configuration, given on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct SetArgs {
    /// Overrides a key of the configuration file; may be given several times.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = assignment)]
    assignments: Vec<(String, String)>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("expected SECTION.KEY=VALUE, such as rpc.listen=127.0.0.1:26601")?;
    if key.split('.').any(str::is_empty) {
        return Err(format!("{key:?} is no key; expected KEY or SECTION.KEY"));
    }
    Ok((key.to_owned(), value.to_owned()))
}

impl SetArgs {
    /// Settings of the configuration file that these flags override, those that are given.
    pub fn overrides(self) -> impl Iterator<Item = Override> {
        self.assignments
            .into_iter()
            .map(|(key, text)| Override::text(format!("--set {key}"), &key, text))
    }
}

/// A key's value from elsewhere than the file.
#[derive(Debug, Clone)]
pub struct Override {
    /// Where it comes from, for messages.
    origin: String,
    /// Path of the setting in the TOML file: sections, then the key.
    key: Vec<String>,
    /// How it may be read, first choice first.
    readings: Vec<Value>,
}

impl Override {
    /// A value written as a text.
    pub fn text(origin: impl Into<String>, key: &str, text: String) -> Self {
        let list = text
            .trim()
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(&text);
        let list = list
            .split(',')
            .map(|item| Value::String(item.trim().to_owned()))
            .collect();
        let mut readings: Vec<_> = typed(&text).into_iter().collect();
        readings.extend([Value::String(text), Value::Array(list)]);
        Self {
            origin: origin.into(),
            key: key.split('.').map(str::to_owned).collect(),
            readings,
        }
    }

    /// A list of texts.
    pub fn list(origin: &str, key: &str, items: Vec<String>) -> Self {
        let readings = vec![Value::Array(items.into_iter().map(Value::String).collect())];
        Self {
            origin: origin.to_owned(),
            key: key.split('.').map(str::to_owned).collect(),
            readings,
        }
    }

    /// Puts the value into a table that is a configuration, so that it still is one.
    fn apply<C: DeserializeOwned>(&self, table: &mut Table) -> Result<(), String> {
        let mut refused = None;
        for reading in &self.readings {
            let mut changed = table.clone();
            let outcome = put(&mut changed, &self.key, reading).and_then(|()| {
                changed
                    .clone()
                    .try_into::<C>()
                    .map_err(|error| plain(error.message()))
            });
            match outcome {
                Ok(_) => {
                    *table = changed;
                    return Ok(());
                }
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        Err(format!("{}: {}", self.origin, refused.unwrap_or_default()))
    }
}

/// What TOML makes of a text, unless it is a float.
fn typed(text: &str) -> Option<Value> {
    let table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    let value = if table.len() == 1 {
        table.get("value")?
    } else {
        return None;
    };
    (!value.is_float()).then(|| value.clone())
}

fn put(table: &mut Table, key: &[String], value: &Value) -> Result<(), String> {
    let Some((last, sections)) = key.split_last() else {
        return Ok(());
    };
    let mut table = table;
    for section in sections {
        let entry = table
            .entry(section.as_str())
            .or_insert_with(|| Value::Table(Table::new()));
        table = entry
            .as_table_mut()
            .ok_or_else(|| format!("{section} is a key and no section"))?;
    }
    table.insert(last.clone(), value.clone());
    Ok(())
}

/// Loads a configuration: the file, then the environment, then `overrides` (the flags that were given), the last one
/// winning.
///
/// Top-level keys need the double underscore too (`GRIDPROOF__KEY`), so that other variables of this name, such as
/// `GRIDPROOF_LOG`, are never taken for a key.
pub fn load<C: DeserializeOwned>(
    path: &Path,
    overrides: impl IntoIterator<Item = Override>,
) -> Result<C, CommandFailure> {
    load_sourced(path, overrides).map(|loaded| loaded.config)
}

/// A configuration, and where its values come from.
#[derive(Debug)]
pub struct SourcedConfig<C> {
    /// What a daemon would run with.
    pub config: C,
    /// What the file says.
    pub file: Table,
    /// The variable or flag that gave a key its value last, by dotted key.
    pub given: BTreeMap<String, String>,
}

/// Like [`load`], with where the values come from.
pub fn load_sourced<C: DeserializeOwned>(
    path: &Path,
    overrides: impl IntoIterator<Item = Override>,
) -> Result<SourcedConfig<C>, CommandFailure> {
    let variables =
        std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text)));
    let mut environment = Vec::new();
    for (name, text) in variables {
        let Some(key) = name.strip_prefix("GRIDPROOF_").and_then(config_key) else {
            continue;
        };
        let text = text
            .into_string()
            .map_err(|_| bad(format!("the variable {name} is not text")))?;
        environment.push((name, key, text));
    }
    load_with(path, environment, overrides)
}

/// Like [`load`], with the variables that name keys: name, key and text.
fn load_with<C: DeserializeOwned>(
    path: &Path,
    mut environment: Vec<(String, String, String)>,
    overrides: impl IntoIterator<Item = Override>,
) -> Result<SourcedConfig<C>, CommandFailure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        bad(format!(
            "cannot read the configuration {}: {error}",
            path.display()
        ))
        .hint(
            "`gridproof node init` or `gridproof partner init` makes the directory; --dir names it",
        )
    })?;
    // The file alone first: its own parser knows the line of a mistake.
    let at_line = |error: toml::de::Error| {
        let line = error
            .span()
            .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        bad(format!(
            "{}:{line}: {}",
            path.display(),
            plain(error.message())
        ))
        .hint(format!(
            "remove or correct that key; `{}` shows all keys with comments",
            generate(path)
        ))
    };
    toml::from_str::<C>(&text).map_err(at_line)?;
    let file: Table = toml::from_str(&text).map_err(at_line)?;
    let (mut table, mut given_by) = (file.clone(), BTreeMap::new());
    environment.sort();
    let variables = environment
        .into_iter()
        .map(|(name, key, text)| Override::text(name, &key, text));
    for given in variables.chain(overrides) {
        given.apply::<C>(&mut table).map_err(|why| {
            bad(why).hint(format!(
                "`{}` shows all keys with comments; variables are named GRIDPROOF_SECTION__KEY, \
                 as in GRIDPROOF_RPC__LISTEN, and --set takes section.key=value",
                generate(path)
            ))
        })?;
        given_by.insert(given.key.join("."), given.origin);
    }
    let config = table.try_into();
    Ok(SourcedConfig {
        config: config.map_err(|error: toml::de::Error| bad(plain(error.message())))?,
        file,
        given: given_by,
    })
}

/// The command that shows every key of a file.
fn generate(path: &Path) -> &'static str {
    if path.ends_with(partner::config::CONFIG_FILE) {
        "gridproof config generate partner"
    } else {
        "gridproof config generate node"
    }
}

fn bad(message: String) -> CommandFailure {
    CommandFailure::new(ExitKind::BadInput, "config", message)
}

/// What the parser says, in the words of these documents in place of Rust's.
fn plain(message: &str) -> String {
    let mut text = message
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key");
    for number in ["usize", "u64", "u32", "u16", "u8", "i64"] {
        text = text.replace(&format!("expected {number}"), "expected a whole number");
    }
    if let Some(better) = nearest_key(&text) {
        return better;
    }
    if let Some(at) = text.find("expected struct ") {
        text.replace_range(at.., "expected a section");
    }
    let wrong = ["invalid type: ", "invalid value: "];
    let found = wrong.iter().find_map(|start| text.strip_prefix(start));
    let Some((found, expected)) = found.and_then(|found| found.split_once(", expected ")) else {
        return text;
    };
    let found = match found.split_once(' ') {
        Some(("string", text)) => text.to_owned(),
        Some(("integer" | "boolean", value)) => value.replace('`', ""),
        Some(("floating", value)) => value.replace("point ", "").replace('`', ""),
        _ if found == "map" => "a section".to_owned(),
        _ if found == "sequence" => "a list".to_owned(),
        _ => found.to_owned(),
    };
    format!("expected {expected}, found {found}")
}

/// A refusal of a key that lists all keys, with the one that is nearest instead, if one is near.
fn nearest_key(refusal: &str) -> Option<String> {
    let (unknown, expected) = refusal
        .strip_prefix("unknown key `")?
        .split_once("`, expected ")?;
    let known = expected.split('`').skip(1).step_by(2);
    let nearest = known
        .map(|key| (strsim::jaro_winkler(unknown, key), key))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let (_, key) = nearest.filter(|(likeness, _)| *likeness > LIKE)?;
    Some(format!("unknown key `{unknown}`, did you mean `{key}`?"))
}

/// The dotted key that a variable overrides, from its name after `GRIDPROOF_`; nothing if it is no key.
fn config_key(name: &str) -> Option<String> {
    let key = match name.strip_prefix('_') {
        Some(top_level) => top_level,
        None if name.contains("__") => name,
        None => return None,
    };
    Some(key.replace("__", ".").to_lowercase())
}

/// How like another key must be to be named in its place: 1 is the same, and what clap takes for a word of the command line.
const LIKE: f64 = 0.7;

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads a partner's configuration with variables and what the command line gives.
    fn load_partner(
        variables: &[(&str, &str)],
        set: &[&str],
    ) -> Result<partner::config::Config, CommandFailure> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("partner.toml");
        let written = partner::config::Config::new(vec!["http://127.0.0.1:1".into()]).to_toml();
        std::fs::write(&path, written).unwrap();
        let key = |name: &str| config_key(name.strip_prefix("GRIDPROOF_").unwrap()).unwrap();
        let environment = variables
            .iter()
            .map(|(name, text)| ((*name).into(), key(name), (*text).into()))
            .collect();
        let assignments = set.iter().map(|text| assignment(text).unwrap()).collect();
        load_with(&path, environment, SetArgs { assignments }.overrides())
            .map(|loaded| loaded.config)
    }

    #[test]
    fn amounts_keep_every_digit() {
        let variables = [
            ("GRIDPROOF_OFFER__ASK", "0.000002"),
            ("GRIDPROOF__BOND", "12345678901234567.000000000000000001"),
        ];
        let config = load_partner(&variables, &["reserve=7"]).unwrap();
        assert_eq!(config.offer.ask, "0.000002".parse().unwrap());
        assert_eq!(
            config.bond.to_string(),
            "12345678901234567.000000000000000001"
        );
        assert_eq!(config.reserve, "7".parse().unwrap());
        assert_eq!(
            load_partner(&[], &["offer.ask=0.1"]).unwrap().offer.ask,
            "0.1".parse().unwrap()
        );
    }

    #[test]
    fn flags_win_over_variables_and_those_over_the_file() {
        let variables = [
            ("GRIDPROOF__POLL_MS", "20"),
            ("GRIDPROOF_OFFER__PLACES", "9"),
        ];
        let config = load_partner(&variables, &["poll_ms=30", "poll_ms=40"]).unwrap();
        assert_eq!((config.poll_ms, config.offer.places), (40, 9));
    }

    #[test]
    fn a_text_is_what_its_key_takes() {
        let set = [
            "offer.name=42",
            "offer.attributes.year=2024-01-01",
            "offer.attributes.green=true",
            "worker=/bin/w",
        ];
        let config = load_partner(&[("GRIDPROOF__ENDPOINTS", "http://a, http://b")], &set).unwrap();
        assert_eq!(
            (
                config.offer.name.as_str(),
                config.offer.attributes["green"].as_str()
            ),
            ("42", "true")
        );
        assert_eq!(config.offer.attributes["year"], "2024-01-01");
        assert_eq!(
            (config.endpoints, config.worker),
            (
                vec!["http://a".into(), "http://b".into()],
                Some("/bin/w".into())
            )
        );
        for text in ["[http://a]", "[\"http://a\"]", "http://a"] {
            assert_eq!(
                load_partner(&[("GRIDPROOF__ENDPOINTS", text)], &[])
                    .unwrap()
                    .endpoints,
                ["http://a"],
                "{text}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_named() {
        let cases = [
            ("offer.askk=1", "--set offer.askk: unknown key `askk`"),
            ("nowhere.ask=1", "--set nowhere.ask: unknown key `nowhere`"),
            (
                "poll_ms=soon",
                "--set poll_ms: expected a whole number, found \"soon\"",
            ),
            ("offer.ask=-1", "--set offer.ask: "),
            (
                "poll_ms.x=1",
                "--set poll_ms.x: poll_ms is a key and no section",
            ),
            ("offer=1", "--set offer: expected a section, found 1"),
        ];
        for (set, message) in cases {
            let failure = load_partner(&[], &[set]).unwrap_err();
            assert!(failure.message.starts_with(message), "{set}: {failure}");
            let hint = failure.hint.as_deref().unwrap();
            assert!(
                hint.starts_with("`gridproof config generate partner` shows all keys"),
                "{set}: {hint}"
            );
        }
        let failure = load_partner(&[("GRIDPROOF_OFFER__COLOUR", "red")], &[]).unwrap_err();
        assert!(
            failure
                .message
                .starts_with("GRIDPROOF_OFFER__COLOUR: unknown key `colour`"),
            "{failure}"
        );
        assert!(
            assignment("novalue").is_err()
                && assignment("a..b=1").is_err()
                && assignment("=1").is_err()
        );
        assert_eq!(
            assignment("a.b=c=d").unwrap(),
            ("a.b".to_owned(), "c=d".to_owned())
        );
    }

    #[test]
    fn variables_name_keys_of_sections_and_of_the_top_level() {
        assert_eq!(config_key("RPC__LISTEN").as_deref(), Some("rpc.listen"));
        assert_eq!(
            config_key("_BOND").as_deref(),
            Some("bond"),
            "GRIDPROOF__BOND"
        );
        assert_eq!(config_key("_TASK_WALL_MS").as_deref(), Some("task_wall_ms"));
        assert_eq!(config_key("LOG"), None, "GRIDPROOF_LOG is another thing");
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.toml");
        std::fs::write(
            &path,
            "[p2p]\nlisten = []\n[rpc]\nlisten = \"127.0.0.1:1\"\nlissten = 1\n",
        )
        .unwrap();
        let failure = load_with::<node::config::Config>(&path, Vec::new(), []).unwrap_err();
        assert!(
            failure
                .message
                .ends_with("node.toml:5: unknown key `lissten`, did you mean `listen`?"),
            "{failure}"
        );
        std::fs::write(&path, "[rpc]\nqqq = 1\n").unwrap();
        let failure = load_with::<node::config::Config>(&path, Vec::new(), []).unwrap_err();
        let all = "unknown key `qqq`, expected one of `listen`, ";
        assert!(failure.message.contains(all), "{failure}");
    }
}
