//! `gridproof job explain`: what a field of a job spec means, and the JSON Schema of the whole. Both are made of the table in
//! `docs/job-spec.md`, so that there is one text of each field.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::failure::{CommandFailure, ExitKind};
use crate::ui::Ui;

/// The page that says what each field means.
const PAGE: &str = include_str!("../../../docs/job-spec.md");
/// Fields of which others are part, as the page does not list them.
const MAPPINGS: [&str; 2] = ["engine.params.env", "constraints.attributes"];
/// Fields with a list of texts or numbers.
const LISTS: [&str; 3] = ["engine.params.args", "tasks.indices", "tasks.state"];

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
struct SpecField {
    /// Path of the field, as in `inputs[].source`.
    path: &'static str,
    /// What it means.
    meaning: &'static str,
    /// What holds without it.
    default: &'static str,
    /// What it may be.
    limits: &'static str,
}

impl SpecField {
    fn is_required(&self) -> bool {
        self.default == "required"
    }

    /// The field in lines, without the marks of the page.
    fn text(&self) -> String {
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

    /// Its schema: scalars are taken as they are written, so any of their types will do.
    fn schema(&self) -> Value {
        let scalar = json!(["string", "number", "boolean"]);
        let mut schema = match self.path {
            path if LISTS.contains(&path) => {
                json!({ "type": "array", "items": { "type": scalar } })
            }
            path if MAPPINGS.contains(&path) => {
                json!({ "type": "object", "additionalProperties": { "type": scalar } })
            }
            _ => json!({ "type": scalar }),
        };
        schema["description"] = json!(self.text());
        schema
    }
}

/// The rows of the page's table.
fn fields() -> Vec<SpecField> {
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
pub fn explain(arguments: &ExplainArgs, ui: Ui) -> Result<(), CommandFailure> {
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
        let names: Vec<_> = fields().iter().map(|field| field.path).collect();
        let message = format!("a job spec has no field {asked:?}");
        return Err(CommandFailure::new(ExitKind::Usage, "no_field", message)
            .hint(format!("the fields are {}", names.join(", "))));
    }
    let texts: Vec<_> = found.iter().map(SpecField::text).collect();
    let objects: Vec<_> = found.iter().map(SpecField::object).collect();
    ui.result(&json!({ "fields": objects }), &texts.join("\n"));
    Ok(())
}

/// The JSON Schema of a job spec.
fn schema() -> Value {
    let mut root = section();
    for field in fields() {
        let segments: Vec<_> = field.path.split('.').collect();
        enter(&mut root, &segments, &field);
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("gridproof job spec (gridproof/v1)");
    root
}

fn section() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": Map::new() })
}

/// Puts a field below the sections and lists of its path.
fn enter(parent: &mut Value, path: &[&str], field: &SpecField) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let name = first.trim_end_matches("[]");
    if field.is_required() {
        let required = &mut parent["required"];
        if required.is_null() {
            *required = json!([]);
        }
        if let Some(required) = required
            .as_array_mut()
            .filter(|all| !all.contains(&json!(name)))
        {
            required.push(json!(name));
        }
    }
    let place = &mut parent["properties"][name];
    if rest.is_empty() {
        *place = field.schema();
        return;
    }
    if place.is_null() {
        *place = if name == *first {
            section()
        } else {
            json!({ "type": "array", "items": section() })
        };
    }
    let inner = if name == *first {
        place
    } else {
        &mut place["items"]
    };
    enter(inner, rest, field);
}

#[cfg(test)]
mod tests {
    use super::super::spec::document::{SpecDocument, read};
    use super::*;

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
    fn the_schema_has_every_field_where_it_belongs() {
        let schema = schema();
        assert_eq!(schema["required"], json!(["version", "name", "engine"]));
        let engine = &schema["properties"]["engine"]["properties"];
        assert_eq!(engine["params"]["required"], json!(["module"]));
        let input = &schema["properties"]["inputs"]["items"]["properties"];
        assert!(
            input["target"]["description"]
                .as_str()
                .unwrap()
                .contains("/in/")
        );
        let fuel = &schema["properties"]["resources"]["properties"]["fuel"];
        assert!(
            fuel["description"]
                .as_str()
                .unwrap()
                .contains("default  5G"),
            "{fuel}"
        );
    }
}
