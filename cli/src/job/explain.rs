//! `gridproof job explain`: what a field of a job spec means, and the JSON Schema of the whole. Both are made of the table in
//! `docs/job-spec.md`, so that there is one text of each field.

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// The page that says what each field means.
const PAGE: &str = include_str!("../../../docs/job-spec.md");
/// How like a field must be to be named in place of one that there is not, as for a key of the configuration.
const LIKE: f64 = 0.7;

/// What is to be explained.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gridproof job explain
  gridproof job explain resources.fuel
  gridproof job explain verification
  gridproof job explain --schema > job-spec.schema.json     # for an editor")]
pub struct ExplainArgs {
    /// A field or a section; all of them without it.
    #[arg(value_name = "FIELD")]
    field: Option<String>,
    /// Print the JSON Schema of a job spec.
    #[arg(long, conflicts_with = "field")]
    schema: bool,
}

/// A field as the page has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecField {
    /// Path of the field, as in `inputs[].source`.
    pub path: &'static str,
    /// What it means.
    meaning: &'static str,
    /// What holds without it.
    default: &'static str,
    /// What it may be.
    limits: &'static str,
}

impl SpecField {
    /// True if a document or an entry without it is refused.
    pub fn is_required(&self) -> bool {
        self.default == "required"
    }

    /// The field in lines, without the marks of the page.
    pub fn text(&self) -> String {
        let mut lines = vec![self.path.to_owned(), format!("  {}", self.meaning)];
        if !self.default.is_empty() {
            lines.push(format!("  default  {}", self.default));
        }
        if !self.limits.is_empty() {
            lines.push(format!("  limits   {}", self.limits));
        }
        lines.join("\n").replace('`', "")
    }

    fn object(&self) -> Value {
        json!({
            "field": self.path, "meaning": self.meaning.replace('`', ""), "default": self.default.replace('`', ""),
            "limits": self.limits.replace('`', ""), "required": self.is_required(),
        })
    }
}

/// The rows of the page's table.
pub fn fields() -> Vec<SpecField> {
    let rows = PAGE.lines().filter_map(|line| {
        let row = line.strip_prefix("| `")?.strip_suffix('|')?;
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [path, meaning, default, limits] = cells[..] else {
            return None;
        };
        Some(SpecField {
            path: path.trim_end_matches('`'),
            meaning,
            default,
            limits,
        })
    });
    rows.collect()
}

/// Explains a field, or prints the schema.
pub fn explain(
    arguments: &ExplainArgs,
    schema: fn() -> serde_json::Value,
    ui: Ui,
) -> Result<(), CommandFailure> {
    if arguments.schema {
        Ui::object(&schema());
        return Ok(());
    }
    let asked = arguments.field.as_deref().unwrap_or_default();
    let plain = |path: &str| path.replace("[]", "");
    let asked = plain(asked);
    let found: Vec<_> = fields()
        .into_iter()
        .filter(|field| {
            let path = plain(field.path);
            let below = path.strip_prefix(&asked);
            below.is_some_and(|rest| asked.is_empty() || rest.is_empty() || rest.starts_with('.'))
        })
        .collect();
    if found.is_empty() {
        return Err(no_field(&asked));
    }
    let sections = sections(&found);
    let mut texts: Vec<_> = found.iter().map(SpecField::text).collect();
    texts.extend(
        sections
            .iter()
            .map(|(title, text)| format!("\n{title}\n{text}")),
    );
    let objects: Vec<_> = found.iter().map(SpecField::object).collect();
    let sections = sections
        .iter()
        .map(|(title, text)| json!({ "title": title, "text": text }));
    let object = json!({ "fields": objects, "sections": sections.collect::<Vec<_>>() });
    ui.result(&object, &texts.join("\n"));
    Ok(())
}

/// The sections of the page that say more about the fields: each with its title and its text, without marks.
fn sections(found: &[SpecField]) -> Vec<(&'static str, String)> {
    let has = |sign: &str| found.iter().any(|field| field.meaning.contains(sign));
    let mut titles = Vec::new();
    if has("a source") {
        titles.push("Sources");
    }
    if has("chain") {
        titles.push("Chains");
    }
    titles
        .into_iter()
        .map(|title| {
            let heading = format!("\n## {title}\n\n");
            let text = PAGE.split(&heading).nth(1).unwrap_or_default();
            let text = text.split("\n## ").next().unwrap_or_default();
            (title, text.trim_end().replace('`', ""))
        })
        .collect()
}

/// The failure for a field that there is not, with the one that is nearest, if one is near.
fn no_field(asked: &str) -> CommandFailure {
    let paths: Vec<_> = fields().iter().map(|field| field.path).collect();
    let likeness = |path: &str| {
        let path = path.replace("[]", "");
        let last = path.rsplit('.').next().unwrap_or_default();
        let asked_last = asked.rsplit('.').next().unwrap_or_default();
        strsim::jaro_winkler(asked, &path).max(strsim::jaro_winkler(asked_last, last))
    };
    let nearest = paths
        .iter()
        .map(|path| (likeness(path), path))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let hint = match nearest.filter(|(likeness, _)| *likeness > LIKE) {
        Some((_, path)) => {
            format!("did you mean {path}? `gridproof job explain` shows all fields")
        }
        None => format!("the fields are {}", paths.join(", ")),
    };
    let message = format!("a job spec has no field {asked:?}");
    CommandFailure::new(ExitKind::Usage, "no_field", message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::super::spec::document::{SpecDocument, read};
    use super::*;

    /// Fields with free keys.
    const MAPPINGS: [&str; 2] = ["engine.params.env", "constraints.attributes"];
    /// Fields with a list of texts or numbers.
    const LISTS: [&str; 3] = ["engine.params.args", "tasks.indices", "tasks.state"];

    /// The smallest document that has one field.
    fn document(path: &str) -> String {
        let value = match path {
            list if LISTS.contains(&list) => "[1]",
            mapping if MAPPINGS.contains(&mapping) => "{a: b}",
            _ => "x",
        };
        let opened: String = path
            .split('.')
            .map(|name| match name.strip_suffix("[]") {
                Some(name) => format!("{name}: [{{"),
                None => format!("{name}: {{"),
            })
            .collect();
        let (head, _) = opened.rsplit_once('{').unwrap();
        let closing: String = head
            .chars()
            .rev()
            .filter_map(|open| match open {
                '{' => Some('}'),
                '[' => Some(']'),
                _ => None,
            })
            .collect();
        format!("{head}{value}{closing}")
    }

    #[test]
    fn the_page_names_every_field_and_no_other() {
        let fields = fields();
        assert_eq!(document("inputs[].source"), "inputs: [{source: x}]");
        for field in &fields {
            let text = document(field.path);
            assert!(read::<SpecDocument>(&text).is_ok(), "{text}");
        }
        let source = include_str!("spec/document.rs");
        let sections = source.split("pub struct ").skip(1);
        let leaves = sections.flat_map(|text| text.split("\n}").next().unwrap_or_default().lines());
        let leaves = leaves.filter(|line| {
            line.contains("Option<")
                && !line.contains("Section>")
                && !line.contains("Entry>")
                && !line.contains("EngineParams>")
        });
        assert_eq!(
            leaves.count(),
            fields.len(),
            "a field without a row, or a row too many"
        );
    }

    #[test]
    fn what_stands_below_on_the_page_is_shown_with_the_field() {
        let of = |path: &str| {
            let found: Vec<_> = fields()
                .into_iter()
                .filter(|field| field.path == path)
                .collect();
            let titles: Vec<_> = sections(&found).into_iter().collect();
            titles
        };
        for path in [
            "engine.params.module",
            "engine.params.stdin",
            "inputs[].source",
        ] {
            let [(title, text)] = &of(path)[..] else {
                panic!("{path}");
            };
            assert_eq!(*title, "Sources");
            assert!(text.contains("blake3:<64 hex digits>"), "{text}");
        }
        for path in ["tasks.chain", "tasks.state"] {
            let [(title, text)] = &of(path)[..] else {
                panic!("{path}");
            };
            assert_eq!(*title, "Chains");
            assert!(text.contains("/in/state/checkpoint"), "{text}");
        }
        assert!(of("resources.fuel").is_empty());
        let promised = fields()
            .into_iter()
            .filter(|field| field.meaning.contains("see below"));
        for field in promised {
            assert!(!sections(&[field]).is_empty(), "{}", field.path);
        }
    }

    #[test]
    fn a_misspelt_field_is_answered_with_the_nearest() {
        for (asked, nearest) in [
            ("resources.fule", "resources.fuel"),
            ("fuel", "resources.fuel"),
            ("inputs.tarhet", "inputs[].target"),
            ("verification.verifers", "verification.verifiers"),
        ] {
            let hint = no_field(asked).hint.unwrap();
            assert!(
                hint.starts_with(&format!("did you mean {nearest}?")),
                "{asked}: {hint}"
            );
        }
        let hint = no_field("xyzzy").hint.unwrap();
        assert!(hint.starts_with("the fields are version, "), "{hint}");
    }
}
