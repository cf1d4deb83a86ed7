//! The shapes of bodies: messages of gRPC have the fields of the JSON shapes, under the same names.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::grpc::messages;

/// Messages that JSON does not have: canonical bytes are a body of their own, and a stream has its cursors beside the events.
const OF_GRPC_ALONE: [&str; 2] = ["CanonicalBytes", "StreamedEvent"];

/// Every shape by its name.
pub(super) fn all() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let truth = json!({ "type": "boolean" });
    let hex = json!({ "type": "string", "description": "canonical bytes of a signed transaction, in hex digits" });
    let mut all = Map::from_iter([
        ("Live".to_owned(), object([("live", truth.clone())])),
        ("Ready".to_owned(), object([("ready", truth)])),
        ("Submit".to_owned(), object([("transaction", hex.clone())])),
        (
            "SubmitBatch".to_owned(),
            object([("transactions", json!({ "type": "array", "items": hex }))]),
        ),
        (
            "OpenApi".to_owned(),
            json!({ "type": "object", "properties": { "openapi": text } }),
        ),
    ]);
    for message in messages() {
        let name = message.name();
        if !name.ends_with("Request") && !OF_GRPC_ALONE.contains(&name) {
            all.insert(name.to_owned(), shape(&message));
        }
    }
    all
}

/// An object that has these fields.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let required = fields.each_ref().map(|(name, _)| *name);
    let properties = fields.map(|(name, shape)| (name.to_owned(), shape));
    json!({ "type": "object", "required": required.to_vec(), "properties": Map::from_iter(properties) })
}

fn shape(message: &MessageDescriptor) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in message.fields() {
        let may_be_absent = field.containing_oneof().is_some();
        if !may_be_absent && !field.is_list() && !field.is_map() {
            required.push(field.name().to_owned());
        }
        properties.insert(field.name().to_owned(), of_field(&field, may_be_absent));
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

/// What a field holds; one that may be absent may be `null`.
fn of_field(field: &FieldDescriptor, may_be_absent: bool) -> Value {
    if field.is_map() {
        return json!({ "type": "object", "additionalProperties": { "type": "string" } });
    }
    let one = match field.kind() {
        Kind::Message(message) => {
            let shape = json!({ "$ref": format!("#/components/schemas/{}", message.name()) });
            if may_be_absent {
                return json!({ "oneOf": [shape, { "type": "null" }] });
            }
            shape
        }
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Uint32 | Kind::Uint64 => json!({ "type": "integer", "minimum": 0 }),
        Kind::Int64 => json!({ "type": "integer" }),
        _ => json!({ "type": "string" }),
    };
    if field.is_list() {
        return json!({ "type": "array", "items": one });
    }
    if may_be_absent {
        let mut nullable = one;
        let kind = nullable["type"].take();
        nullable["type"] = json!([kind, "null"]);
        return nullable;
    }
    one
}
