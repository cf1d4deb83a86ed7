//! Configuration: one TOML file, every key overridable by `GRIDPROOF_SECTION__KEY` and by flag. Unknown keys are
//! refused with file and line.

use std::path::Path;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{ExitKind, Failure};

/// Loads a configuration: the file, then the environment, then `overrides` (the flags that were given).
///
/// Top-level keys need the double underscore too (`GRIDPROOF__KEY`), so that other variables of this name, such as
/// `GRIDPROOF_LOG`, are never taken for a key.
pub fn load<C: DeserializeOwned>(path: &Path, overrides: &impl Serialize) -> Result<C, Failure> {
    let bad = |message: String| Failure::new(ExitKind::BadInput, "config", message);
    let text = std::fs::read_to_string(path).map_err(|error| {
        bad(format!("cannot read the configuration {}: {error}", path.display()))
            .hint("`init` writes one with comments; --dir names its folder")
    })?;
    // The file alone first: its own parser knows the line of a mistake.
    toml::from_str::<C>(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        bad(format!("{}:{line}: {}", path.display(), error.message()))
            .hint("remove or correct that key; `init` in an empty folder shows all keys with comments")
    })?;
    let environment = Env::prefixed("GRIDPROOF_").filter_map(|key| config_key(key.as_str()).map(Into::into));
    Figment::new()
        .merge(Toml::string(&text))
        .merge(environment)
        .merge(Serialized::defaults(overrides))
        .extract()
        .map_err(|error| {
            bad(format!("an environment variable or flag does not fit the configuration: {error}"))
                .hint("variables are named GRIDPROOF_SECTION__KEY, as in GRIDPROOF_RPC__LISTEN")
        })
}

/// The dotted key that a variable overrides, from its name after `GRIDPROOF_`; nothing if it is no key.
fn config_key(name: &str) -> Option<String> {
    let key = match name.strip_prefix('_') {
        Some(top_level) => top_level,
        None if name.contains("__") => name,
        None => return None,
    };
    Some(key.replace("__", "."))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        listen: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Whole {
        rpc: Section,
    }

    fn load_text(text: &str, overrides: &serde_json::Value) -> Result<Whole, Failure> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.toml");
        std::fs::write(&path, text).unwrap();
        load(&path, overrides)
    }

    #[test]
    fn flags_win_over_the_file() {
        let overrides = serde_json::json!({ "rpc": { "listen": "127.0.0.1:2" } });
        let whole = load_text("[rpc]\nlisten = \"127.0.0.1:1\"\n", &overrides).unwrap();
        assert_eq!(whole.rpc.listen, "127.0.0.1:2");
    }

    #[test]
    fn variables_name_keys_of_sections_and_of_the_top_level() {
        assert_eq!(config_key("RPC__LISTEN").as_deref(), Some("RPC.LISTEN"));
        assert_eq!(config_key("_BOND").as_deref(), Some("BOND"), "GRIDPROOF__BOND");
        assert_eq!(config_key("_TASK_WALL_MS").as_deref(), Some("TASK_WALL_MS"));
        assert_eq!(config_key("LOG"), None, "GRIDPROOF_LOG is another thing");
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_and_line() {
        let failure = load_text("[rpc]\nlisten = \"x\"\nlissten = \"y\"\n", &serde_json::json!({})).unwrap_err();
        assert!(failure.message.contains("node.toml:3:") && failure.message.contains("lissten"), "{failure}");
    }
}
