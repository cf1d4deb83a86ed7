//! Requests of HTTP as the calls that stand for them.

use gridproof_rpc_server::calls;
use prost_reflect::{DynamicMessage, Value as Field};
use serde_json::{Value, json};

use super::method;

/// The call and the message that stand for a request of HTTP, if it is answered with JSON.
pub fn called(verb: &str, target: &str, body: Option<&Value>) -> Option<(String, Value)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let found = calls().into_iter().find_map(|(call, route)| {
        let (of, template) = route.split_once(' ').unwrap();
        let fields = fields(template, path).filter(|_| of == verb && !call.ends_with("Bytes"));
        Some((call, fields?))
    });
    let (call, mut fields) = found?;
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        fields.insert(name.to_owned(), value.into());
    }
    let bytes =
        |digits: &Value| Field::Bytes(hex::decode(digits.as_str().unwrap()).unwrap().into());
    let base64 = |digits: &Value| {
        let one = method("/gridproof.v1.Transactions/Submit").input();
        let mut message = DynamicMessage::new(one);
        message.set_field_by_name("transaction", bytes(digits));
        serde_json::to_value(&message).unwrap()["transaction"].clone()
    };
    match body {
        Some(body) if body.get("transaction").is_some() => {
            fields.insert("transaction".to_owned(), base64(&body["transaction"]));
        }
        Some(body) if body.get("transactions").is_some() => {
            let all = body["transactions"].as_array().unwrap().iter().map(base64);
            fields.insert("transactions".to_owned(), all.collect());
        }
        Some(body) => drop(fields.insert("spec".to_owned(), body.clone())),
        None => {}
    }
    for name in ["live"] {
        if let Some(value) = fields.get_mut(name) {
            *value = json!(value.as_str().unwrap() == "true");
        }
    }
    Some((call, fields.into()))
}

/// The fields of a path that fits a template.
fn fields(template: &str, path: &str) -> Option<serde_json::Map<String, Value>> {
    let mut found = serde_json::Map::new();
    let (template, mut rest) = (template.split('/'), path.split('/'));
    for name in template {
        let part = rest.next()?;
        match name
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some("key") => {
                let key: Vec<_> = std::iter::once(part).chain(rest.by_ref()).collect();
                found.insert("key".to_owned(), key.join("/").into());
            }
            Some(name) => drop(found.insert(name.to_owned(), part.into())),
            None if name == part => {}
            None => return None,
        }
    }
    rest.next().is_none().then_some(found)
}
