//! The stream of events: server-sent events of HTTP as messages.

use std::convert::Infallible;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::response::Response;
use futures::{StreamExt as _, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};

use super::{frame, translate};
use crate::error::{ApiError, ErrorKind};

/// Number of the field with the cursor after an event, and of the field with the event.
const CURSOR: u32 = 1;
const EVENT: u32 = 2;

/// What follows of a stream.
enum Rest {
    Events(BodyDataStream),
    Failure(ApiError),
    Nothing,
}

/// The response to a call, from the response of HTTP.
pub(super) fn answer(response: Response, kind: &MessageDescriptor) -> Response {
    let rest = Rest::Events(response.into_body().into_data_stream());
    let frames = stream::unfold((rest, kind.clone()), async |(rest, kind)| {
        let (frame, rest) = next(rest, &kind).await?;
        Some((Ok::<_, Infallible>(frame), (rest, kind)))
    });
    frame::answering(Body::new(StreamBody::new(frames)))
}

async fn next(rest: Rest, kind: &MessageDescriptor) -> Option<(Frame<Bytes>, Rest)> {
    let mut events = match rest {
        Rest::Events(events) => events,
        Rest::Failure(error) => {
            return Some((Frame::trailers(frame::failed(&error)), Rest::Nothing));
        }
        Rest::Nothing => return None,
    };
    while let Some(part) = events.next().await {
        let part = part.map_err(|_| ApiError::internal("the events broke off"));
        let (messages, failure) = match part {
            Ok(part) => messages(&part, kind),
            Err(error) => (Vec::new(), Some(error)),
        };
        let rest = failure.map_or(Rest::Events(events), Rest::Failure);
        match rest {
            Rest::Events(more) if messages.is_empty() => events = more,
            rest => return Some((Frame::data(messages.into()), rest)),
        }
    }
    Some((Frame::trailers(frame::succeeded()), Rest::Nothing))
}

/// The messages of some server-sent events, and the error with which they end, if they do.
fn messages(part: &Bytes, kind: &MessageDescriptor) -> (Vec<u8>, Option<ApiError>) {
    let text = String::from_utf8_lossy(part);
    let mut messages = Vec::new();
    for event in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = event.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let Some(data) = field("data") else {
            continue;
        };
        let Some(cursor) = field("id").and_then(|id| id.parse::<u64>().ok()) else {
            let message = "events at the cursor are gone: the reader was too slow";
            let hint = "read the state anew, then go on from its cursor";
            return (
                messages,
                Some(ApiError::new(ErrorKind::Gone, data, message, hint)),
            );
        };
        match message(kind, cursor, data) {
            Ok(message) => frame::push(&mut messages, &message),
            Err(error) => return (messages, Some(error)),
        }
    }
    (messages, None)
}

fn message(kind: &MessageDescriptor, cursor: u64, event: &str) -> Result<DynamicMessage, ApiError> {
    let mut message = DynamicMessage::new(kind.clone());
    let field = kind.get_field(EVENT).map(|field| field.kind());
    let Some(Kind::Message(inner)) = field else {
        return Err(ApiError::internal("the stream's message holds no event"));
    };
    let event = translate::message(&inner, event.as_bytes())?;
    message.set_field_by_number(CURSOR, Value::U64(cursor));
    message.set_field_by_number(EVENT, Value::Message(event));
    Ok(message)
}
