//! The description of the interface is the router's: every path and method is in it and no other, its codes are those of the
//! document, and real answers have the shapes that it gives.

use std::collections::{BTreeMap, BTreeSet};

use gridproof_rpc_server::CODES;
use rpc::model::JobView;
use serde_json::{Value, json};
use types::number::{ChainTime, Height};

use crate::document::{answers, document};
use crate::fake::{request, start};
use crate::samples;

/// Where a value differs from a shape; nothing if it does not. Fields that the shape does not have differ too.
fn difference(api: &Value, shape: &Value, value: &Value) -> Option<String> {
    if let Some(reference) = shape["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let shape = &api["components"]["schemas"][name];
        assert!(shape.is_object(), "no schema {name}");
        return difference(api, shape, value).map(|found| format!("{name}: {found}"));
    }
    if let Some(either) = shape["oneOf"].as_array() {
        let fits = |shape| difference(api, shape, value).is_none();
        let all: Vec<_> = either.iter().filter(|shape| !fits(shape)).collect();
        return (all.len() == either.len()).then(|| format!("{value} fits none of {shape}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = &shape["type"];
    let is_it = kinds == kind
        || kinds
            .as_array()
            .is_some_and(|all| all.contains(&json!(kind)));
    if !is_it {
        return Some(format!("{value} is no {kinds}"));
    }
    if let Value::Array(items) = value {
        let mut items = items.iter();
        return items.find_map(|item| difference(api, &shape["items"], item));
    }
    let fields = value.as_object()?;
    let required = shape["required"].as_array().into_iter().flatten();
    let mut missing = required.filter(|name| !fields.contains_key(name.as_str().unwrap()));
    if let Some(name) = missing.next() {
        return Some(format!("{name} is missing in {value}"));
    }
    fields.iter().find_map(|(name, value)| {
        let shape = match &shape["additionalProperties"] {
            Value::Null => &shape["properties"][name],
            all => all,
        };
        if shape.is_null() {
            return Some(format!("{name} is not described"));
        }
        difference(api, shape, value).map(|found| format!("{name}: {found}"))
    })
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

async fn described() -> Value {
    let running = start().await;
    let answer = request(running.address, "GET", "/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    answer.json()
}

/// The name of the schema of a body; an error has its codes beside it.
fn schema_name(body: &Value) -> String {
    let schema = &body["content"]["application/json"]["schema"];
    let reference = schema["$ref"]
        .as_str()
        .or(schema["allOf"][0]["$ref"].as_str());
    reference.unwrap().rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_shapes_are_those_of_real_bodies_and_every_answer_is_described() {
    let api = described().await;
    let fits = |name: &str, value: &Value| {
        let shape = json!({ "$ref": format!("#/components/schemas/{name}") });
        assert_eq!(difference(&api, &shape, value), None);
    };
    for (method, target, body, answer) in answers().await {
        let operation = operation(&api, method, &target);
        if let Some(body) = &body {
            fits(&schema_name(&operation["requestBody"]), body);
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
        if kind == "application/json" && target != "/v1/openapi.json" {
            fits(&schema_name(response), &answer.json());
        }
    }
    for stage in crate::models::stages() {
        let (record, spec) = (samples::record(stage), samples::spec());
        let receipt = samples::job_receipt();
        let view = JobView::new(&record, &spec, Some(&receipt), ChainTime(1), Height(9));
        fits("Job", &serde_json::to_value(&view).unwrap());
    }
    let refused =
        json!({ "code": "c", "message": "m", "hint": "h", "retryable": true, "expected_nonce": 3 });
    fits(
        "SubmittedBatch",
        &json!({ "results": [{ "refused": refused }] }),
    );
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own() {
    let api = described().await;
    let paths = api["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let names: Vec<_> = operations
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    let once: BTreeSet<_> = names.iter().collect();
    assert!(names.len() > 18 && once.len() == names.len(), "{names:?}");
    assert!(once.contains(&"getStatus"), "{names:?}");
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
    let table = page
        .split("| status | again | means | codes |")
        .nth(1)
        .unwrap();
    let mut documented = BTreeMap::new();
    for line in table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let codes: BTreeSet<_> = cells[4]
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
