//! The description of the interface is the router's: every path and method is in it and no other, its codes are those of the
//! document, and real answers have the shapes that it gives.
//!
//! To write the shapes anew: `GRIDPROOF_BLESS=1 cargo test -p gridproof-rpc-server openapi`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gridproof_rpc_server::CODES;
use serde_json::{Map, Value, json};

use crate::document::{answers, document};
use crate::fake::{request, start};

/// Objects whose keys are data.
const MAPS: [&str; 2] = ["attributes", "environment"];

/// The shape of a value as far as it shows one.
fn shape(key: &str, value: &Value) -> Value {
    match value {
        Value::Null => json!({ "type": "null" }),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(number) if number.is_f64() => json!({ "type": "number" }),
        Value::Number(_) => json!({ "type": "integer" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => {
            let items = items.iter().map(|item| shape("", item));
            let items = items.reduce(|a, b| merged(&a, &b)).unwrap_or(json!({}));
            json!({ "type": "array", "items": items })
        }
        Value::Object(_) if MAPS.contains(&key) => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Value::Object(fields) => {
            let properties = fields
                .iter()
                .map(|(key, value)| (key.clone(), shape(key, value)));
            let required: Vec<_> = fields.keys().collect();
            json!({ "type": "object", "properties": properties.collect::<Map<_, _>>(), "required": required })
        }
    }
}

fn kinds(shape: &Value) -> BTreeSet<String> {
    match &shape["type"] {
        Value::String(kind) => BTreeSet::from([kind.clone()]),
        Value::Array(kinds) => kinds
            .iter()
            .map(|kind| kind.as_str().unwrap().to_owned())
            .collect(),
        _ => BTreeSet::new(),
    }
}

/// The shape of what has one of two shapes.
fn merged(a: &Value, b: &Value) -> Value {
    if a == b || b == &json!({}) {
        return a.clone();
    }
    if a == &json!({}) {
        return b.clone();
    }
    let mut both = Map::new();
    let all: Vec<_> = kinds(a).union(&kinds(b)).cloned().collect();
    let kind = if all.len() == 1 {
        json!(all[0])
    } else {
        json!(all)
    };
    both.insert("type".to_owned(), kind);
    let has = |shape: &Value, key: &str| shape.get(key).is_some();
    for key in ["items", "additionalProperties"] {
        match (a.get(key), b.get(key)) {
            (Some(a), Some(b)) => both.insert(key.to_owned(), merged(a, b)),
            (Some(one), None) | (None, Some(one)) => both.insert(key.to_owned(), one.clone()),
            (None, None) => None,
        };
    }
    if has(a, "properties") || has(b, "properties") {
        let of = |shape: &Value| shape["properties"].as_object().cloned().unwrap_or_default();
        let mut properties = of(a);
        for (key, shape) in of(b) {
            let known = properties.get(&key).map(|known| merged(known, &shape));
            properties.insert(key, known.unwrap_or(shape));
        }
        both.insert("properties".to_owned(), properties.into());
        let required = |shape: &Value| -> Option<BTreeSet<String>> {
            let all = shape.get("required")?.as_array()?.iter();
            Some(all.map(|key| key.as_str().unwrap().to_owned()).collect())
        };
        let required = match (required(a), required(b)) {
            (Some(a), Some(b)) => a.intersection(&b).cloned().collect(),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => BTreeSet::new(),
        };
        both.insert("required".to_owned(), json!(required));
    }
    both.into()
}

/// A shape that says nothing of what was `null` in every example.
fn without_null(shape: Value) -> Value {
    match shape {
        Value::Object(fields) if fields.get("type") == Some(&json!("null")) => json!({}),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Value::Object(
                fields
                    .map(|(key, value)| (key, without_null(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

/// The operation of a request, by method and target.
fn operation<'a>(api: &'a Value, method: &str, target: &str) -> &'a Value {
    let path = target.split('?').next().unwrap();
    let fits = |route: &str| {
        let (mut route, mut path) = (route.split('/'), path.split('/'));
        loop {
            match (route.next(), path.next()) {
                (None, None) | (Some("{key}"), Some(_)) => return true,
                (Some(name), Some(_)) if name.starts_with('{') => {}
                (Some(name), Some(part)) if name == part => {}
                _ => return false,
            }
        }
    };
    let paths = api["paths"].as_object().unwrap();
    // A path without parameters comes first: /v1/transactions/batch is no id.
    let exact = paths.get(path);
    let found = exact.or_else(|| {
        paths
            .iter()
            .find(|(route, _)| fits(route))
            .map(|(_, found)| found)
    });
    &found.unwrap_or_else(|| panic!("{target} is not described"))[method.to_ascii_lowercase()]
}

/// The name of the schema of a body.
fn schema_name(body: &Value) -> Option<String> {
    let reference = body["content"]["application/json"]["schema"]["$ref"].as_str()?;
    Some(reference.rsplit('/').next().unwrap().to_owned())
}

async fn described() -> Value {
    let running = start().await;
    let answer = request(running.address, "GET", "/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    answer.json()
}

#[tokio::test]
async fn the_shapes_are_those_of_real_bodies_and_every_answer_is_described() {
    let api = described().await;
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |name: String, value: &Value| {
        let found = shape("", value);
        let known = schemas.get(&name).map(|known| merged(known, &found));
        schemas.insert(name, known.unwrap_or(found));
    };
    for (method, target, body, answer) in answers().await {
        let operation = operation(&api, method, &target);
        if let (Some(name), Some(body)) = (schema_name(&operation["requestBody"]), &body) {
            add(name, body);
        }
        let response = &operation["responses"][answer.status.to_string()];
        assert!(
            response.is_object(),
            "{method} {target} answers {}",
            answer.status
        );
        let kind = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("content-type: "));
        let Some(kind) = kind else { continue };
        assert!(
            response["content"][kind].is_object(),
            "{method} {target}: {kind}"
        );
        if kind == "application/json" {
            let name = schema_name(response).unwrap_or_else(|| "Error".to_owned());
            add(name, &answer.json());
        }
    }
    for schema in schemas.values_mut() {
        *schema = without_null(schema.take());
    }
    schemas.insert("OpenApi".to_owned(), json!({ "type": "object" }));
    // A node says these two where they help.
    let error = schemas.get_mut("Error").unwrap();
    for key in ["expected_nonce", "retry_after_ms"] {
        error["properties"][key] = json!({ "type": "integer" });
    }
    let expected = serde_json::to_string_pretty(&schemas).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/openapi/schemas.json");
    if std::env::var_os("GRIDPROOF_BLESS").is_some() {
        std::fs::write(path, expected).unwrap();
        return;
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        expected,
        "GRIDPROOF_BLESS=1 writes it anew"
    );
    let text = api.to_string();
    let names = text.split("\"#/components/schemas/").skip(1);
    for name in names.map(|rest| rest.split('"').next().unwrap()) {
        assert!(
            api["components"]["schemas"][name].is_object(),
            "no schema {name}"
        );
    }
}

#[tokio::test]
async fn every_path_and_method_is_described_and_no_other() {
    let (api, running) = (described().await, start().await);
    assert_eq!(api["openapi"], "3.1.0");
    let described: BTreeSet<_> = api["paths"].as_object().unwrap().keys().cloned().collect();
    let paths = gridproof_rpc_server::paths().into_iter();
    let paths: BTreeSet<_> = paths.map(|path| path.replace("{*", "{")).collect();
    assert_eq!(described, paths);
    for path in paths {
        let methods = api["paths"][&path].as_object().unwrap();
        let parameters = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Vec<_> = parameters.collect();
        let target = parameters.iter().fold(path.clone(), |target, name| {
            target.replace(&format!("{{{name}}}"), "0")
        });
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let target = format!("{target}?wait_ms=0");
            let status = request(running.address, method, &target).await.status;
            let operation = methods.get(&method.to_ascii_lowercase());
            assert_eq!(
                status != 405,
                operation.is_some(),
                "{method} {path} answers {status}"
            );
            let Some(operation) = operation else { continue };
            for name in &parameters {
                let all = operation["parameters"].as_array().unwrap();
                let is_it = |known: &&Value| known["name"] == *name && known["in"] == "path";
                assert!(
                    all.iter().any(|known| is_it(&known)),
                    "{method} {path}: {name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_codes_are_those_of_the_document_each_with_its_status() {
    let page = std::fs::read_to_string(document()).unwrap();
    let table = page.split("| status | means | codes |").nth(1).unwrap();
    let mut documented = BTreeMap::new();
    for line in table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let codes: BTreeSet<_> = cells[3]
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        documented.insert(cells[1].parse::<u16>().unwrap(), codes);
    }
    let known = CODES.iter().map(|(kind, codes)| {
        let codes = codes.iter().map(|code| (*code).to_owned());
        (kind.status(), codes.collect())
    });
    assert_eq!(
        known.collect::<BTreeMap<u16, BTreeSet<String>>>(),
        documented
    );
    let text = described().await["paths"].to_string();
    for code in documented.values().flatten() {
        // Two that no described route answers with.
        let is_shown = text.contains(&format!("\"{code}\""));
        let is_of_none = ["route_not_found", "method_not_allowed"].contains(&code.as_str());
        assert!(is_shown || is_of_none, "no route fails with {code}");
    }
}
