//! The JSON Schema of a job spec, for editors: made of the table in `docs/job-spec.md` and of what each field may be. What depends on
//! files, on other fields or on the network is left to `job validate` and `job estimate`.

use serde_json::{Map, Value, json};
use types::job::RESERVED_ENVIRONMENT_PREFIX;
use types::limits::{
    MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_ATTRIBUTES, MAX_INPUTS, MAX_MIN_VERIFIERS,
    MAX_NAME_BYTES, MAX_OUTPUTS, MAX_PATH_BYTES, MAX_STATE_OUTPUTS, MAX_TASK_FUEL,
    MAX_TASK_MEMORY_BYTES, MAX_TASK_OUTPUT_BYTES, MAX_TASKS, MAX_WINDOW_MS,
};

use super::explain::{SpecField, fields};
use super::spec::{
    BYTE_UNITS, FUEL_UNITS, MIN_MEMORY_BYTES, NS_PER_SECOND, TAKEN_NAMES, TIME_UNITS,
};

/// The JSON Schema of a job spec.
pub fn schema() -> Value {
    let mut root = section();
    for field in fields() {
        let segments: Vec<_> = field.path.split('.').collect();
        enter(&mut root, &segments, &field);
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["$id"] = json!("urn:gridproof:job-spec:v1");
    root["title"] = json!("gridproof job spec (gridproof/v1)");
    let sections = &mut root["properties"];
    sections["inputs"]["maxItems"] = json!(MAX_INPUTS);
    sections["outputs"]["maxItems"] = json!(MAX_OUTPUTS);
    sections["tasks"]["oneOf"] = json!([
        { "anyOf": [{ "required": ["array"] }, { "required": ["indices"] }] },
        { "required": ["chain", "state"] },
    ]);
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
    let is_section = name == *first;
    // A list may be left out, also one whose entries have fields that may not.
    if field.is_required() && is_section {
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
        *place = of_field(field);
        return;
    }
    if place.is_null() {
        *place = if is_section {
            section()
        } else {
            json!({ "type": "array", "items": section() })
        };
    }
    let inner = if is_section {
        place
    } else {
        &mut place["items"]
    };
    enter(inner, rest, field);
}

/// The schema of a field, with its row of the page.
fn of_field(field: &SpecField) -> Value {
    let mut schema = rules(field.path);
    schema["description"] = json!(field.text());
    schema
}

/// What a field may be.
fn rules(path: &str) -> Value {
    match path {
        "version" => json!({ "const": "gridproof/v1" }),
        "engine.type" => json!({ "const": "wasm" }),
        "name" => name(),
        "engine.params.module" | "engine.params.stdin" | "inputs[].source" => source(),
        "engine.params.args" => {
            json!({ "type": "array", "maxItems": MAX_ARGUMENTS, "items": text(0, MAX_ARGUMENT_BYTES) })
        }
        "engine.params.env" => json!({
            "type": "object", "maxProperties": MAX_ARGUMENTS, "additionalProperties": text(0, MAX_ARGUMENT_BYTES),
            "propertyNames": { "pattern": "^[^=]+$", "not": { "pattern": format!("^{RESERVED_ENVIRONMENT_PREFIX}") } },
        }),
        "inputs[].target" => json!({
            "type": "string", "maxLength": MAX_PATH_BYTES, "pattern": "^/[^/]",
            "not": { "pattern": "^/(dev|out|proc|sys|tmp)(/|$)|^/in$" },
        }),
        "outputs[].name" => {
            let mut schema = name();
            schema["pattern"] = json!("^[^/\\\\]*$");
            let taken = [&TAKEN_NAMES[..], &[".", ".."]].concat();
            schema["not"] = json!({ "enum": taken });
            schema
        }
        "outputs[].path" => {
            json!({ "type": "string", "maxLength": MAX_PATH_BYTES, "pattern": "^/out/[^/]" })
        }
        "tasks.array" => whole(1, count(MAX_TASKS)),
        "tasks.chain" => whole(2, count(MAX_TASKS)),
        "tasks.indices" => json!({
            "type": "array", "minItems": 1, "maxItems": MAX_TASKS, "uniqueItems": true,
            "items": whole(0, count(MAX_TASKS) - 1),
        }),
        "tasks.state" => json!({
            "type": "array", "minItems": 1, "maxItems": MAX_STATE_OUTPUTS, "uniqueItems": true, "items": name(),
        }),
        "resources.fuel" => scaled(&FUEL_UNITS, 1, MAX_TASK_FUEL),
        "resources.memory" => scaled(&BYTE_UNITS, MIN_MEMORY_BYTES, MAX_TASK_MEMORY_BYTES),
        "resources.output" => scaled(&BYTE_UNITS, 0, MAX_TASK_OUTPUT_BYTES),
        "resources.wait" => scaled(&TIME_UNITS, 0, MAX_WINDOW_MS),
        "constraints.attributes" => json!({
            "type": "object", "maxProperties": MAX_ATTRIBUTES, "additionalProperties": name(),
            "propertyNames": { "maxLength": MAX_NAME_BYTES },
        }),
        "verification.verifiers" => whole(0, u64::from(MAX_MIN_VERIFIERS)),
        "verification.tasks" => {
            let mut schema = whole(1, 1 << 20);
            schema["pattern"] = json!("^(all|[0-9_]+)$");
            schema
        }
        "verification.confidence" => json!({
            "type": ["number", "string"], "exclusiveMinimum": 0, "exclusiveMaximum": 1, "pattern": "^0\\.[0-9]{1,6}$",
        }),
        "verification.value_at_risk" | "verification.task_value_at_risk" | "payment.price" => {
            json!({
                "type": ["number", "string"], "minimum": 0, "pattern": "^[0-9]+(\\.[0-9]{1,18})?$",
            })
        }
        "determinism.clock" => whole(0, u64::MAX / NS_PER_SECOND),
        // Digits alone are a number to YAML.
        "determinism.random_seed" => {
            json!({ "type": ["string", "integer"], "pattern": "^[0-9a-f]{64}$" })
        }
        // A test sees that no row of the page comes here.
        _ => json!({}),
    }
}

/// A limit as the number that a schema holds.
fn count(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// A text, which is taken as it is written.
fn text(least: usize, most: usize) -> Value {
    json!({ "type": ["string", "number", "boolean"], "minLength": least, "maxLength": most })
}

fn name() -> Value {
    text(1, MAX_NAME_BYTES)
}

/// A file, or bytes that the network holds.
fn source() -> Value {
    json!({
        "type": ["string", "number", "boolean"], "minLength": 1,
        "anyOf": [
            { "pattern": "^blake3:[0-9a-f]{64}(:[0-9]+)?$" },
            { "not": { "type": "string", "pattern": "^blake3:" } },
        ],
    })
}

/// A whole number; underscores, which make a text of it, may group its digits.
fn whole(least: u64, most: u64) -> Value {
    json!({ "type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": "^[0-9_]+$" })
}

/// A whole number, or one with a unit.
fn scaled(units: &[(&str, u64)], least: u64, most: u64) -> Value {
    let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
    let mut schema = whole(least, most);
    schema["pattern"] = json!(format!("^[0-9_]+ *({})?$", names.join("|")));
    schema
}

#[cfg(test)]
mod tests;
