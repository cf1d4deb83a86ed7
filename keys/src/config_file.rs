//! Configuration files with a comment above every key, as `init` writes them.
//!
//! The file's text, its order and its comments stand in a template; the values come from the configuration. So no code
//! writes TOML by hand, and what an operator reads stands in one place. Reading is serde's; this module only writes.

use serde::Serialize;
use toml::{Table, Value};

/// A template with the values of a configuration: each line `key =` of the template gets the value of that key. A key
/// that the configuration does not have, such as an optional one, is left out with its comment; of `key = # 7` the
/// example stays, as a comment. Keys of a section that the template does not have, such as the entries of a map, follow
/// at the section's end in ascending order.
///
/// Errors: a configuration that has no TOML form, such as one with a number above 2^63 - 1.
pub fn filled<C: Serialize>(template: &str, config: &C) -> Result<String, toml::ser::Error> {
    let mut values = Table::try_from(config)?;
    let sections = template.lines().filter_map(section_name);
    let names: Vec<Vec<String>> = sections
        .map(|name| name.split('.').map(str::to_owned).collect())
        .collect();
    let mut file = FilledFile::default();
    let mut section = Vec::new();
    for line in template.lines() {
        if let Some(name) = section_name(line) {
            file.end_section(&mut values, &section, &names);
            section = name.split('.').map(str::to_owned).collect();
            file.keep(line);
        } else if let Some((key, example)) = key_line(line) {
            let section = table(&mut values, &section);
            file.key(key, example, section.and_then(|table| table.remove(key)));
        } else {
            file.pending.push(line.to_owned());
        }
    }
    file.end_section(&mut values, &section, &names);
    Ok(file.text)
}

/// The dotted names of all keys of a template, in its order.
#[must_use]
pub fn keys(template: &str) -> Vec<String> {
    let mut section = String::new();
    let mut all = Vec::new();
    for line in template.lines() {
        if let Some(name) = section_name(line) {
            section = format!("{name}.");
        } else if let Some((key, _)) = key_line(line) {
            all.push(format!("{section}{key}"));
        }
    }
    all
}

/// The file as it grows.
#[derive(Default)]
struct FilledFile {
    text: String,
    /// Comments and blank lines above the next key.
    pending: Vec<String>,
}

impl FilledFile {
    /// Writes a line with what is above it.
    fn keep(&mut self, line: &str) {
        for above in self.pending.drain(..) {
            self.text.extend([above.as_str(), "\n"]);
        }
        self.text.extend([line, "\n"]);
    }

    /// Writes a key with its value and comment. Without a value the example is written as a comment; without that
    /// neither, the key's comment goes.
    fn key(&mut self, key: &str, example: Option<&str>, value: Option<Value>) {
        match (value, example) {
            (Some(value), _) => self.keep(&format!("{key} = {value}")),
            (None, Some(example)) => self.keep(&format!("# {key} = {example}")),
            // Blank lines, and what stands above them, belong to the file and not to the key.
            (None, None) => {
                let kept = self.pending.iter().rposition(String::is_empty);
                self.pending.truncate(kept.map_or(0, |at| at + 1));
            }
        }
    }

    /// Writes the keys of a section that the template does not have; sub-sections of the template are not among them.
    fn end_section(&mut self, values: &mut Table, section: &[String], names: &[Vec<String>]) {
        let is_section = |key: &String| {
            let mut path = section.to_vec();
            path.push(key.clone());
            names.iter().any(|name| name.starts_with(&path))
        };
        let rest = table(values, section)
            .map(std::mem::take)
            .unwrap_or_default();
        let (mut sections, above) = (Table::new(), std::mem::take(&mut self.pending));
        for (key, value) in rest {
            if is_section(&key) {
                sections.insert(key, value);
            } else {
                self.keep(&format!("{} = {value}", Value::String(key)));
            }
        }
        self.pending = above;
        if let Some(table) = table(values, section) {
            *table = sections;
        }
    }
}

/// The key of a line `key =`, and the example of `key = # example`.
fn key_line(line: &str) -> Option<(&str, Option<&str>)> {
    let (key, rest) = line.split_once(" =")?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match rest.strip_prefix(" # ") {
        _ if !is_key => None,
        Some(example) => Some((key, Some(example))),
        None => rest.is_empty().then_some((key, None)),
    }
}

/// The name of the section that a line opens.
fn section_name(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

/// The table at a path of sections.
fn table<'t>(values: &'t mut Table, path: &[String]) -> Option<&'t mut Table> {
    path.iter()
        .try_fold(values, |table, name| table.get_mut(name)?.as_table_mut())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct Sample {
        name: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        worker: Option<&'static str>,
        offer: SampleOffer,
    }

    #[derive(Serialize)]
    struct SampleOffer {
        ask: u64,
        attributes: BTreeMap<&'static str, &'static str>,
    }

    const TEMPLATE: &str = "# Head.\n\n# A name.\nname =\n# Who works.\nworker =\n\n# Offer.\n[offer]\n# Price.\nask =\n\n\
                            # Anything.\n[offer.attributes]\n";

    fn sample(name: &'static str, worker: Option<&'static str>) -> Sample {
        Sample {
            name,
            worker,
            offer: SampleOffer {
                ask: 7,
                attributes: BTreeMap::from([("heat re-use", "pool"), ("a", "b")]),
            },
        }
    }

    #[test]
    fn values_stand_below_their_comments() {
        let text = filled(TEMPLATE, &sample("b", Some("w"))).unwrap();
        assert_eq!(
            text,
            "# Head.\n\n# A name.\nname = \"b\"\n# Who works.\nworker = \"w\"\n\n# Offer.\n[offer]\n# Price.\n\
             ask = 7\n\n# Anything.\n[offer.attributes]\n\"a\" = \"b\"\n\"heat re-use\" = \"pool\"\n"
        );
        let values: Table = text.parse().unwrap();
        assert_eq!(values, Table::try_from(sample("b", Some("w"))).unwrap());
    }

    #[test]
    fn a_template_tells_its_keys_with_their_sections() {
        assert_eq!(keys(TEMPLATE), ["name", "worker", "offer.ask"]);
    }

    #[test]
    fn a_key_without_a_value_goes_with_its_comment() {
        let text = filled(TEMPLATE, &sample("b", None)).unwrap();
        assert!(!text.contains("work"), "{text}");
        assert!(text.contains("\n\n# Offer.\n[offer]\n"), "{text}");
    }

    #[test]
    fn the_example_of_a_key_without_a_value_stays_as_a_comment() {
        let template = TEMPLATE.replace("worker =", "worker = # 7");
        let text = filled(&template, &sample("b", None)).unwrap();
        assert!(text.contains("# Who works.\n# worker = 7\n"), "{text}");
        let text = filled(&template, &sample("b", Some("w"))).unwrap();
        assert!(text.contains("# Who works.\nworker = \"w\"\n"), "{text}");
    }

    #[test]
    fn a_key_that_the_template_lacks_is_not_lost() {
        let text = filled("# Offer.\n[offer]\n", &sample("a \"b\"\n", Some("w"))).unwrap();
        let values: Table = text.parse().unwrap();
        assert_eq!(
            values,
            Table::try_from(sample("a \"b\"\n", Some("w"))).unwrap()
        );
    }
}
