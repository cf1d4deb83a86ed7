//! The description of the interface for programs: OpenAPI 3.1, made of the table of routes.
//!
//! Paths, methods, parameters, answers and codes of errors come from the routes themselves, the shapes of bodies and the names of
//! operations from the services of gRPC, which stand for the same routes: `rpc-server/tests/it/openapi.rs` compares the shapes with
//! real answers.

mod shapes;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::ErrorKind;
use crate::grpc::calls;

/// Name, type and meaning of a parameter of the query.
type QueryParameter = (&'static str, &'static str, &'static str);

/// The media type of canonical bytes.
const BYTES: &str = "application/octet-stream";

/// What is said of a body that is described as JSON.
const OR_BYTES: &str = "Or the same in canonical bytes, as application/octet-stream.";

/// The codes of errors by the kind that gives their status.
pub const CODES: &[(ErrorKind, &[&str])] = &[
    (
        ErrorKind::Malformed,
        &[
            "signed_other_body",
            "bad_block",
            "bad_address",
            "bad_job_id",
            "bad_transaction_id",
            "bad_state_key",
            "bad_height",
            "bad_blob_hash",
            "bad_blob_length",
            "bad_chunk",
            "bad_query",
            "bad_transaction",
            "bad_transactions",
            "bad_job_spec",
            "broken_body",
            "no_host",
        ],
    ),
    (ErrorKind::Forbidden, &["foreign_host", "foreign_origin"]),
    (
        ErrorKind::NotFound,
        &[
            "route_not_found",
            "block_not_found",
            "partner_not_found",
            "job_not_found",
            "transaction_not_found",
            "blob_not_found",
        ],
    ),
    (ErrorKind::MethodNotAllowed, &["method_not_allowed"]),
    (
        ErrorKind::Gone,
        &["cursor_too_old", "cursor_ahead", "pruned"],
    ),
    (ErrorKind::TooLarge, &["body_too_large"]),
    (
        ErrorKind::Refused,
        &["transaction_refused", "blob_refused", "blob_not_named"],
    ),
    (ErrorKind::Internal, &["internal"]),
    (
        ErrorKind::Unavailable,
        &[
            "catching_up",
            "signer_away",
            "stalled",
            "no_final_block",
            "busy",
            "overloaded",
            "too_many_connections",
            "stopping",
        ],
    ),
    (ErrorKind::Timeout, &["timeout"]),
];

/// Codes that every route may answer with.
const ANYWHERE: &[&str] = &[
    "no_host",
    "foreign_host",
    "foreign_origin",
    "internal",
    "overloaded",
    "too_many_connections",
    "timeout",
];
/// Codes of routes that take a body, beside these.
const OF_BODIES: &[&str] = &["signed_other_body", "broken_body", "body_too_large"];

/// A body: what it may be.
#[derive(Debug, Clone, Copy, Default)]
struct BodyKinds {
    /// JSON of the schema with this name.
    json: Option<&'static str>,
    /// Canonical bytes.
    bytes: bool,
    /// Server-sent events.
    events: bool,
}

/// What one method of a route does.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    method: &'static str,
    summary: &'static str,
    query: Vec<QueryParameter>,
    takes: BodyKinds,
    status: u16,
    gives: BodyKinds,
    codes: Vec<&'static str>,
}

/// A method that takes nothing and answers 200 without a body.
pub(crate) fn operation(method: &'static str, summary: &'static str) -> Operation {
    Operation {
        method,
        summary,
        query: Vec::new(),
        takes: BodyKinds::default(),
        status: 200,
        gives: BodyKinds::default(),
        codes: Vec::new(),
    }
}

impl Operation {
    /// It knows these parameters.
    pub(crate) fn query(mut self, parameters: &[QueryParameter]) -> Self {
        self.query.extend(parameters);
        self
    }

    /// It takes JSON of a shape, or the same in canonical bytes, of which generators of clients are told in words: they make no
    /// code that runs of two kinds of a body.
    pub(crate) fn takes(mut self, schema: &'static str) -> Self {
        self.takes.json = Some(schema);
        self
    }

    /// It takes bytes.
    pub(crate) fn takes_bytes(mut self) -> Self {
        self.takes.bytes = true;
        self
    }

    /// It answers with JSON of a shape.
    pub(crate) fn gives(self, schema: &'static str) -> Self {
        self.gives_with(200, schema)
    }

    /// It answers with a status and JSON of a shape.
    pub(crate) fn gives_with(mut self, status: u16, schema: &'static str) -> Self {
        self.status = status;
        self.gives.json = Some(schema);
        self
    }

    /// It answers with bytes.
    pub(crate) fn gives_bytes(mut self) -> Self {
        self.gives.bytes = true;
        self
    }

    /// It answers with bytes where they are asked for.
    pub(crate) fn or_bytes(self) -> Self {
        self.gives_bytes()
    }

    /// It answers with server-sent events.
    pub(crate) fn gives_events(mut self) -> Self {
        self.gives.events = true;
        self
    }

    /// It refuses with these codes, beside those of every route.
    pub(crate) fn fails(mut self, codes: &[&'static str]) -> Self {
        self.codes.extend(codes);
        self
    }

    fn describe(&self, path: &str, names: &OperationNames) -> Value {
        let mut described = Map::new();
        let route = format!("{} {}", self.method, path.replace("{*", "{"));
        if let Some((service, method)) = names.get(&route) {
            described.insert("operationId".to_owned(), method.as_str().into());
            described.insert("tags".to_owned(), json!([service]));
        }
        described.insert("summary".to_owned(), self.summary.into());
        let mut parameters: Vec<Value> = path_parameters(path).map(path_parameter).collect();
        parameters.extend(self.query.iter().map(query_parameter));
        if !parameters.is_empty() {
            described.insert("parameters".to_owned(), parameters.into());
        }
        if self.takes.json.is_some() || self.takes.bytes {
            let mut body = json!({ "required": true, "content": self.takes.describe() });
            if self.takes.json.is_some() {
                body["description"] = OR_BYTES.into();
            }
            described.insert("requestBody".to_owned(), body);
        }
        described.insert("responses".to_owned(), self.responses().into());
        described.into()
    }

    fn responses(&self) -> Map<String, Value> {
        let mut success = json!({ "description": self.summary });
        let content = self.gives.describe();
        if !content.is_empty() {
            success["content"] = content.into();
        }
        let mut all = Map::from_iter([(self.status.to_string(), success)]);
        let of_body = if self.takes.json.is_some() || self.takes.bytes {
            OF_BODIES
        } else {
            &[]
        };
        let possible = || self.codes.iter().chain(ANYWHERE).chain(of_body);
        for (kind, codes) in CODES {
            let own: Vec<_> = codes
                .iter()
                .filter(|code| possible().any(|possible| possible == *code))
                .collect();
            if own.is_empty() {
                continue;
            }
            let words: Vec<_> = own.iter().map(|code| format!("`{code}`")).collect();
            let error = json!({
                "allOf": [{ "$ref": "#/components/schemas/Error" }],
                "properties": { "code": { "enum": own } },
            });
            let answer = json!({
                "description": words.join(", "),
                "content": { "application/json": { "schema": error } },
            });
            all.insert(kind.status().to_string(), answer);
        }
        all
    }
}

impl BodyKinds {
    fn describe(self) -> Map<String, Value> {
        let mut content = Map::new();
        if let Some(schema) = self.json {
            let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
            content.insert("application/json".to_owned(), json!({ "schema": schema }));
        }
        if self.bytes {
            let schema = json!({ "type": "string", "format": "binary" });
            content.insert(BYTES.to_owned(), json!({ "schema": schema }));
        }
        if self.events {
            let schema = json!({ "type": "string" });
            content.insert("text/event-stream".to_owned(), json!({ "schema": schema }));
        }
        content
    }
}

/// The names in braces of a path; one that takes the rest of the path has a star.
fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/');
    let inside = parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    inside.map(|name| name.trim_start_matches('*'))
}

fn path_parameter(name: &str) -> Value {
    let kind = match name {
        "height" | "length" | "chunk" => "integer",
        _ => "string",
    };
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": kind } })
}

fn query_parameter((name, kind, meaning): &QueryParameter) -> Value {
    json!({
        "name": name,
        "in": "query",
        "required": meaning.ends_with("; required"),
        "description": meaning,
        "schema": { "type": kind },
    })
}

/// Service and method of gRPC by the route that they stand for.
type OperationNames = BTreeMap<String, (String, String)>;

/// The names of the operations. Where two methods stand for one route, the first counts.
fn names() -> OperationNames {
    let mut names = OperationNames::new();
    for (path, route) in calls() {
        let mut parts = path.rsplit(['/', '.']);
        if let (Some(method), Some(service)) = (parts.next(), parts.next()) {
            let name = (service.to_owned(), lower_first(method));
            names.entry(route).or_insert(name);
        }
    }
    names
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// The document about these paths and what their methods do.
pub(crate) fn document(routes: &[(&'static str, Vec<Operation>)]) -> Value {
    let (mut paths, names) = (Map::new(), names());
    for (path, operations) in routes {
        let methods = operations.iter().map(|operation| {
            let method = operation.method.to_ascii_lowercase();
            (method, operation.describe(path, &names))
        });
        let methods: Map<_, _> = methods.collect();
        paths.insert(path.replace("{*", "{"), methods.into());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "gridproof",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The HTTP interface of a node",
            "description": "docs/http.md tells what each route does, with examples. Amounts are decimal strings of SQUARE; hashes, keys and addresses are hexadecimal digits; times are milliseconds. Readers must ignore fields that they do not know.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:26601" }],
        "paths": paths,
        "components": { "schemas": shapes::all() },
    })
}
