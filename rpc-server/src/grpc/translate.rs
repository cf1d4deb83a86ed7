//! Messages as requests of HTTP, and JSON as messages.
//!
//! A field whose name stands in the path becomes a part of it. One of bytes is the body, a list of bytes the body as canonical
//! bytes of a list, a message the body as JSON. All others are parameters of the query.

use std::fmt::Write as _;

use prost_reflect::{
    DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage as _, SerializeOptions,
    Value,
};
use serde_json::Deserializer;

use crate::error::ApiError;

/// What a message is as a request of HTTP.
pub(super) struct RoutedRequest {
    /// Path and query.
    pub(super) target: String,
    /// The body is JSON.
    pub(super) json: bool,
    pub(super) body: Vec<u8>,
}

/// The request that a message stands for at a route's path.
pub(super) fn sent(question: &DynamicMessage, path: &str) -> Result<RoutedRequest, ApiError> {
    let mut sent = RoutedRequest {
        target: filled(question, path)?,
        json: false,
        body: Vec::new(),
    };
    let mut separator = '?';
    for field in question.descriptor().fields() {
        let value = question.get_field(&field);
        if path.contains(&format!("{{{}}}", field.name())) {
            continue;
        }
        match value.as_ref() {
            Value::Bytes(bytes) => sent.body = bytes.to_vec(),
            Value::List(list) => sent.body = canonical_list(list),
            Value::Message(message) => {
                sent.json = true;
                sent.body = json(message)?;
            }
            _ => {
                let is_given = question.has_field(&field) || !field.supports_presence();
                if let Some(text) = text(&value).filter(|_| is_given) {
                    sent.target.push(separator);
                    sent.target += field.name();
                    sent.target.push('=');
                    push_encoded(&mut sent.target, &text, false);
                    separator = '&';
                }
            }
        }
    }
    Ok(sent)
}

/// A path with the values of the fields that it names.
fn filled(question: &DynamicMessage, path: &str) -> Result<String, ApiError> {
    let mut filled = String::with_capacity(path.len());
    for part in path.split('/').skip(1) {
        filled.push('/');
        let Some(name) = part
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            filled += part;
            continue;
        };
        let field = question.descriptor().get_field_by_name(name);
        let value = field.and_then(|field| text(&question.get_field(&field)));
        let value = value.filter(|text| !text.is_empty()).ok_or_else(|| {
            let message = format!("the field `{name}` is empty");
            ApiError::malformed("bad_message", message, "set it")
        })?;
        // A key of a proof is the rest of its path.
        push_encoded(&mut filled, &value, name == "key");
    }
    Ok(filled)
}

/// A value as a path or a query holds it; nothing if that is not possible.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::U32(number) => Some(number.to_string()),
        Value::U64(number) => Some(number.to_string()),
        _ => None,
    }
}

fn push_encoded(target: &mut String, text: &str, with_slashes: bool) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'~')
            || (with_slashes && byte == b'/');
        if plain {
            target.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(target, "%{byte:02X}");
        }
    }
}

/// The canonical bytes of a list whose items are given in theirs.
fn canonical_list(list: &[Value]) -> Vec<u8> {
    let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
    let mut all = count.to_le_bytes().to_vec();
    for bytes in list.iter().filter_map(Value::as_bytes) {
        all.extend_from_slice(bytes);
    }
    all
}

/// A message as HTTP's JSON.
fn json(message: &DynamicMessage) -> Result<Vec<u8>, ApiError> {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    let mut serializer = serde_json::Serializer::new(Vec::new());
    let written = message.serialize_with_options(&mut serializer, &options);
    written.map_err(|_| ApiError::internal("a message has no JSON"))?;
    Ok(serializer.into_inner())
}

/// HTTP's JSON as a message. Fields that the message does not have are left out.
pub(super) fn message(kind: &MessageDescriptor, json: &[u8]) -> Result<DynamicMessage, ApiError> {
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let mut json = Deserializer::from_slice(json);
    let message = DynamicMessage::deserialize_with_options(kind.clone(), &mut json, &options);
    message.map_err(|error| {
        tracing::error!(%error, message = kind.full_name(), "an answer has another shape");
        ApiError::internal("the answer fits no message")
    })
}
