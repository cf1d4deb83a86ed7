//! Messages and ends of calls as gRPC writes them over HTTP/2.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, Full};
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message as _;
use rpc::ErrorBody;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::POOL;
use crate::error::ApiError;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// The trailer in which a refused call reads more than its status.
const ERROR_TRAILER: &str = "gridproof-error-bin";

/// The one message of a unary call.
pub(super) fn question(body: &Bytes) -> Result<&[u8], ApiError> {
    let malformed = |message: &str| {
        let hint = "send one message of this method, without compression";
        ApiError::malformed("bad_message", message, hint)
    };
    let Some((prefix, message)) = body.split_at_checked(PREFIX_BYTES) else {
        return Err(malformed("the call has no message"));
    };
    if prefix.first() != Some(&0) {
        return Err(malformed("the message is compressed"));
    }
    let length = prefix
        .iter()
        .skip(1)
        .fold(0, |length, byte| (length << 8_u32) | usize::from(*byte));
    if length != message.len() {
        return Err(malformed("the message is not as long as it says"));
    }
    Ok(message)
}

/// Appends a message with its prefix.
pub(super) fn push(frame: &mut Vec<u8>, message: &DynamicMessage) {
    let length = u32::try_from(message.encoded_len()).unwrap_or(u32::MAX);
    frame.push(0);
    frame.extend(length.to_be_bytes());
    frame.extend(message.encode_to_vec());
}

/// The response of a call that is answered with one message.
pub(super) fn answer(message: &DynamicMessage) -> Response {
    let mut frame = Vec::new();
    push(&mut frame, message);
    let trailers = std::future::ready(Some(Ok(succeeded())));
    answering(Body::new(
        Full::<Bytes>::from(frame).with_trailers(trailers),
    ))
}

/// A response of gRPC with this body, which ends with trailers.
pub(super) fn answering(body: Body) -> Response {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The trailers of a call that succeeded.
pub(super) fn succeeded() -> HeaderMap {
    HeaderMap::from_iter([(
        header::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )])
}

/// The trailers of a call that failed.
pub(super) fn failed(error: &ApiError) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let status = refusal(error.kind.status(), &error.body);
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from_static("13"));
    }
    trailers
}

/// The status of a call that HTTP refuses with this status and body.
pub(super) fn refusal(http: u16, body: &ErrorBody) -> Status {
    let text = format!("{}: {}", body.message, body.hint);
    let mut status = Status::new(code(http, &body.code), text);
    if let Some(details) = details(body) {
        let details = MetadataValue::from_bytes(&details);
        status.metadata_mut().insert_bin(ERROR_TRAILER, details);
    }
    status
}

/// The error as the message `Error`.
fn details(body: &ErrorBody) -> Option<Vec<u8>> {
    let kind = POOL.get_message_by_name("gridproof.v1.Error")?;
    let fields = serde_json::to_value(body).ok()?;
    let message = DynamicMessage::deserialize(kind, fields).ok()?;
    Some(message.encode_to_vec())
}

/// The status that an error of HTTP is by gRPC.
fn code(http: u16, code: &str) -> Code {
    match (http, code) {
        (_, "route_not_found") | (405, _) => Code::Unimplemented,
        (400, _) => Code::InvalidArgument,
        (403, _) => Code::PermissionDenied,
        (404, _) => Code::NotFound,
        (409, _) => Code::Aborted,
        (410, _) => Code::OutOfRange,
        (413, _) => Code::ResourceExhausted,
        (422, _) => Code::FailedPrecondition,
        (503, _) => Code::Unavailable,
        (504, _) => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}
