//! The published schema is what the program makes, and takes what the program takes.

use std::path::{Path, PathBuf};

use super::super::spec::Spec;
use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether a value fits a schema, for the keywords that ours has; the path of what does not.
fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().unwrap() {
        if !fits(schema, keyword, rule, value, at)? {
            return Err(format!("{at}: {keyword} {rule}, found {value}"));
        }
    }
    Ok(())
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("the type {other}"),
    }
}

/// Whether a value fits one keyword; keywords of other types than the value's fit.
fn fits(
    schema: &Value,
    keyword: &str,
    rule: &Value,
    value: &Value,
    at: &str,
) -> Result<bool, String> {
    let (object, list, text) = (value.as_object(), value.as_array(), value.as_str());
    let limit = || rule.as_f64().unwrap();
    let length = |found: Option<usize>, fit: fn(u64, u64) -> bool| {
        found.is_none_or(|found| fit(found as u64, rule.as_u64().unwrap()))
    };
    let characters = || text.map(|text| text.chars().count());
    let each = |schemas: &Value| {
        let mut schemas = schemas.as_array().unwrap().iter();
        schemas
            .by_ref()
            .filter(|schema| check(schema, value, at).is_ok())
            .count()
    };
    Ok(match keyword {
        "$schema" | "$id" | "title" | "description" => true,
        "type" => rule.as_array().map_or_else(
            || is(rule, value),
            |kinds| kinds.iter().any(|kind| is(kind, value)),
        ),
        "const" => rule == value,
        "enum" => rule.as_array().unwrap().contains(value),
        "minimum" => value.as_f64().is_none_or(|number| number >= limit()),
        "maximum" => value.as_f64().is_none_or(|number| number <= limit()),
        "exclusiveMinimum" => value.as_f64().is_none_or(|number| number > limit()),
        "exclusiveMaximum" => value.as_f64().is_none_or(|number| number < limit()),
        "minLength" => length(characters(), |found, least| found >= least),
        "maxLength" => length(characters(), |found, most| found <= most),
        "minItems" => length(list.map(Vec::len), |found, least| found >= least),
        "maxItems" => length(list.map(Vec::len), |found, most| found <= most),
        "maxProperties" => length(object.map(Map::len), |found, most| found <= most),
        "uniqueItems" => {
            list.is_none_or(|all| (1..all.len()).all(|at| !all[..at].contains(&all[at])))
        }
        "pattern" => text.is_none_or(|text| {
            regex::Regex::new(rule.as_str().unwrap())
                .unwrap()
                .is_match(text)
        }),
        "not" => check(rule, value, at).is_err(),
        "anyOf" => each(rule) > 0,
        "oneOf" => each(rule) == 1,
        _ => return within(schema, keyword, rule, value, at),
    })
}

/// Whether what a mapping or a list holds fits one keyword.
fn within(
    schema: &Value,
    keyword: &str,
    rule: &Value,
    value: &Value,
    at: &str,
) -> Result<bool, String> {
    let (object, list) = (value.as_object(), value.as_array());
    Ok(match keyword {
        "required" => {
            let names = rule.as_array().unwrap();
            object.is_none_or(|all| {
                names
                    .iter()
                    .all(|name| all.contains_key(name.as_str().unwrap()))
            })
        }
        "propertyNames" => {
            let mut names = object.into_iter().flat_map(Map::keys);
            names.all(|name| check(rule, &json!(name), at).is_ok())
        }
        "items" => {
            for (index, item) in list.into_iter().flatten().enumerate() {
                check(rule, item, &format!("{at}[{index}]"))?;
            }
            true
        }
        "properties" => {
            for (name, value) in object.into_iter().flatten() {
                if let Some(schema) = rule.get(name) {
                    check(schema, value, &format!("{at}.{name}"))?;
                }
            }
            true
        }
        "additionalProperties" => {
            let known = |name: &String| schema["properties"].get(name).is_some();
            let mut others = object
                .into_iter()
                .flatten()
                .filter(|(name, _)| !known(name));
            match rule.as_bool() {
                Some(may) => may || others.next().is_none(),
                None => others.all(|(_, value)| check(rule, value, at).is_ok()),
            }
        }
        other => panic!("the keyword {other}"),
    })
}

fn validate(spec: &str) -> Result<(), String> {
    let value: Value = serde_saphyr::from_str(spec).unwrap();
    check(&schema(), &value, "")
}

/// Blocks of YAML of a page that are whole specs.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .filter(|block| block.starts_with("version:"))
        .collect()
}

#[test]
fn the_published_schema_is_what_the_program_makes() {
    let path = root().join("docs/job-spec.schema.json");
    let made = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("GRIDPROOF_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == made,
        "GRIDPROOF_BLESS=1 writes {} anew",
        path.display()
    );
}

#[test]
fn every_field_has_rules() {
    for field in fields() {
        let rules = rules(field.path);
        assert!(!rules.as_object().unwrap().is_empty(), "{}", field.path);
    }
}

#[test]
fn every_example_of_the_repository_fits() {
    let mut specs = [blocks("README.md"), blocks("docs/job-spec.md")].concat();
    for folder in std::fs::read_dir(root().join("examples")).unwrap() {
        let spec = folder.unwrap().path().join("job.yaml");
        specs.push(std::fs::read_to_string(spec).unwrap());
    }
    assert!(specs.len() >= 4, "{}", specs.len());
    for spec in specs {
        validate(&spec).unwrap();
        Spec::parse(&spec, Path::new("/")).unwrap();
    }
}

const SHORT: &str = "\
version: gridproof/v1
name: histogram
engine: {type: wasm, params: {module: a.wasm}}
";

/// Lines that may follow a short spec, or stand in place of one of its own.
fn with(line: &str) -> String {
    let key = line.split(':').next().unwrap();
    let kept = SHORT
        .lines()
        .filter(|line| !line.starts_with(&format!("{key}:")));
    kept.chain([line]).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_program_takes_fits() {
    for line in [
        "name: 42",
        "engine: {type: wasm, params: {module: 'blake3:0000000000000000000000000000000000000000000000000000000000000000:7', stdin: b}}",
        "engine: {type: wasm, params: {module: a.wasm, args: [1, no, 0.5, x], env: {A: 1, B: ''}}}",
        "inputs: [{source: a, target: /in/a}, {source: b, target: /data/b}]",
        "outputs: [{name: o, path: /out/a/o}]",
        "tasks: {array: 1024}",
        "tasks: {array: '1_000', indices: [7, 27]}",
        "tasks: {indices: [7]}",
        "resources: {fuel: 5G, memory: 256MiB, wait: 10m, output: 1_000}",
        "resources: {fuel: 1, memory: 4 GiB, wait: 0, output: 268435456}",
        "verification: {verifiers: 12, tasks: all, value_at_risk: 2.5, task_value_at_risk: '1.5', confidence: 0.99}",
        "verification: {tasks: 3}",
        "payment: {price: 10}",
        "constraints: {attributes: {location: ch, year: 2026}}",
        "determinism: {clock: 0, random_seed: 0000000000000000000000000000000000000000000000000000000000000000}",
    ] {
        let spec = with(line);
        Spec::parse(&spec, Path::new("/")).unwrap_or_else(|error| panic!("{line}: {error}"));
        validate(&spec).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn what_the_program_refuses_by_itself_does_not_fit() {
    for line in [
        "version: gridproof/v2",
        "name: ''",
        "name: abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklm",
        "name: [a]",
        "colour: red",
        "engine: {type: docker, params: {module: a}}",
        "engine: {type: wasm}",
        "engine: {type: wasm, params: {args: [a]}}",
        "engine: {type: wasm, params: {module: 'blake3:00'}}",
        "engine: {type: wasm, params: {module: a, env: {GRIDPROOF_TASK_INDEX: 1}}}",
        "engine: {type: wasm, params: {module: a, env: {A=B: 1}}}",
        "engine: {type: wasm, params: {module: a, args: {a: b}}}",
        "inputs: [{source: a}]",
        "inputs: [{target: /in/a}]",
        "inputs: [{source: a, target: in/a}]",
        "inputs: [{source: a, target: /in}]",
        "inputs: [{source: a, target: /proc/a}]",
        "outputs: [{name: a}]",
        "outputs: [{name: stdout, path: /out/a}]",
        "outputs: [{name: a/b, path: /out/a}]",
        "outputs: [{name: a, path: /in/a}]",
        "tasks: {array: 0}",
        "tasks: {array: 1025}",
        "tasks: {array: 1.5}",
        "tasks: {indices: [1, 1]}",
        "tasks: {array: 2, chain: 2, state: [a]}",
        "tasks: {chain: 2}",
        "tasks: {}",
        "resources: {fuel: 5X}",
        "resources: {fuel: 0}",
        "resources: {memory: 1024}",
        "resources: {wait: tomorrow}",
        "resources: {output: 268435457}",
        "verification: {verifiers: 13}",
        "verification: {tasks: some}",
        "verification: {confidence: 1}",
        "verification: {confidence: '0.1234567'}",
        "verification: {value_at_risk: -1}",
        "payment: {price: free}",
        "determinism: {random_seed: '00'}",
        "determinism: {clock: -1}",
    ] {
        let spec = with(line);
        assert!(
            Spec::parse(&spec, Path::new("/")).is_err(),
            "the program takes {line}"
        );
        assert!(validate(&spec).is_err(), "the schema takes {line}");
    }
}
