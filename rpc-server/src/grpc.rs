//! gRPC, as a second wording of the HTTP interface: each method of `proto/gridproof/v1/node.proto` names the route that it stands
//! for. A call is translated into a request to that route's handler, and the answer back, behind a gate of the same cost.
//!
//! Nothing is answered here that HTTP does not answer. The messages have the fields of the JSON shapes, under the same names, so a
//! shape that changes changes its message too: `rpc-server/tests/it/grpc.rs` compares them.

mod call;
mod events;
mod frame;
mod health;
mod translate;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor, Value};
use rpc::ErrorBody;

use crate::admission::{Admission, RouteCost, admit};
use crate::error::ApiError;
use call::RoutedCall;
pub(crate) use health::HealthEnd;

/// The compiled services and messages, which `rpc-server/tests/it/grpc.rs` writes.
const DESCRIPTORS: &[u8] = include_bytes!("grpc/descriptors.bin");
/// The package of the node's own services.
const PACKAGE: &str = "gridproof.v1";
/// The option of a method that names its route.
const ROUTE_OPTION: &str = "gridproof.v1.http";
/// The service by which gRPC's own tools ask whether a server serves, and the route that answers it.
const HEALTH_SERVICE: (&str, &str) = ("grpc.health.v1.Health", "GET /readyz");
/// The path of the service that tells which services there are.
pub(crate) const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/{method}";
/// Room for the fields of a message beside what a route takes as its body, in bytes.
const FIELDS_BYTES: usize = 4 << 10;
/// Longest body of an error, in bytes.
const MAX_ERROR_BYTES: usize = 64 << 10;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS).expect("a test compares them with their source")
});

/// What a call of a route costs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CallCost {
    /// It is answered as soon as it can be.
    Request(RouteCost),
    /// It waits for as long as this.
    Poll(Duration),
}

/// Every method of the node with the route that it stands for, as `GET /v1/jobs/{id}`.
fn methods() -> Vec<(MethodDescriptor, String)> {
    let option = POOL.get_extension_by_name(ROUTE_OPTION);
    let services: Vec<_> = POOL.services().collect();
    let methods = services
        .iter()
        .flat_map(prost_reflect::ServiceDescriptor::methods);
    let routed = methods.filter_map(|method| {
        if method.parent_service().full_name() == HEALTH_SERVICE.0 {
            return Some((method, HEALTH_SERVICE.1.to_owned()));
        }
        let options = method.options();
        let route = options.get_extension(option.as_ref()?);
        let Value::String(route) = route.as_ref() else {
            return None;
        };
        Some((method, route.clone()))
    });
    routed.collect()
}

/// Every method by its path, with the method and path of HTTP that it stands for.
#[must_use]
pub fn calls() -> Vec<(String, String)> {
    let methods = methods().into_iter();
    methods
        .map(|(method, route)| (call_path(&method), route))
        .collect()
}

/// The messages of the node's own services.
pub(crate) fn messages() -> Vec<MessageDescriptor> {
    let all = POOL.all_messages();
    let own = all.filter(|message| message.package_name() == PACKAGE && !message.is_map_entry());
    own.filter(|message| message.parent_message().is_none())
        .collect()
}

fn call_path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The methods that the routes of `handlers` answer, each behind a gate of its route's cost.
pub(crate) fn router(
    admission: &Admission,
    costs: &BTreeMap<String, CallCost>,
    handlers: &Router,
    reflection: bool,
    health_end: &HealthEnd,
) -> Router {
    let mut router = Router::new();
    for (method, route) in methods() {
        let Some((verb, path)) = route.split_once(' ') else {
            continue;
        };
        let cost = match costs.get(path).copied() {
            // Who listens waits like a long poll, whatever its route costs once.
            Some(CallCost::Request(_)) if method.is_server_streaming() => {
                CallCost::Poll(health_end.longest)
            }
            Some(cost) => cost,
            None => continue,
        };
        let (handlers, end) = (handlers.clone(), health_end.clone());
        let call = Arc::new(RoutedCall::new(&method, verb, path, cost, handlers, end));
        let gate = match cost {
            CallCost::Request(mut cost) => {
                cost.max_body = call.max_message();
                admission.request(cost)
            }
            CallCost::Poll(wait) => admission.poll(wait, call.max_message()),
        };
        let answer = post(move |request: Request| {
            let call = Arc::clone(&call);
            async move { call.answer(request).await }
        });
        let gated = answer.route_layer(from_fn_with_state(gate, admit));
        router = router.route(&call_path(&method), gated);
    }
    if reflection {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS);
        let service = builder
            .build_v1()
            .expect("a test compares the descriptors with their source");
        let cost = RouteCost {
            weight: 1,
            max_body: 0,
        };
        let gate = from_fn_with_state(admission.request(cost), admit);
        let reflected = Router::new().route_service(REFLECTION, service);
        router = router.merge(reflected.route_layer(gate));
    }
    router
}

/// True if a request is a call by gRPC.
fn is_call(request: &Request) -> bool {
    is_grpc(request.headers().get(header::CONTENT_TYPE))
}

fn is_grpc(kind: Option<&header::HeaderValue>) -> bool {
    let kind = kind.and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/grpc"))
}

/// The outermost layer: a call that is refused, by whatever layer, reads why in gRPC's words.
pub(crate) async fn word(request: Request, next: Next) -> Response {
    let is_call = is_call(&request);
    let response = next.run(request).await;
    if !is_call || is_grpc(response.headers().get(header::CONTENT_TYPE)) {
        return response;
    }
    let http = response.status().as_u16();
    let body = to_bytes(response.into_body(), MAX_ERROR_BYTES).await;
    let body: Option<ErrorBody> = body
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let body = body.unwrap_or_else(|| ApiError::internal("the node failed while answering").body);
    frame::refusal(http, &body).into_http()
}
