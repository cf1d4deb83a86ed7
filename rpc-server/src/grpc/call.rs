//! One method: its message becomes a request of HTTP, and what the route's handler answers becomes its message.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, Value};
use tower::ServiceExt as _;

use super::health::{HEALTH, HealthEnd, HealthQuestion};
use super::translate::{self, RoutedRequest};
use super::{CallCost, FIELDS_BYTES, events, frame};
use crate::error::{ApiError, ErrorKind};

/// The message that holds canonical bytes.
const BYTES: &str = "gridproof.v1.CanonicalBytes";

/// A method of a service.
pub(super) struct RoutedCall {
    input: MessageDescriptor,
    output: MessageDescriptor,
    verb: Method,
    path: String,
    /// Longest body that the route takes, in bytes.
    max_body: usize,
    streams: bool,
    handlers: Router,
    health_end: HealthEnd,
}

impl RoutedCall {
    pub(super) fn new(
        method: &MethodDescriptor,
        verb: &str,
        path: &str,
        cost: CallCost,
        handlers: Router,
        health_end: HealthEnd,
    ) -> Self {
        let max_body = match cost {
            CallCost::Request(cost) => cost.max_body,
            CallCost::Poll(_) => 0,
        };
        Self {
            input: method.input(),
            output: method.output(),
            verb: verb.parse().unwrap_or(Method::GET),
            path: path.to_owned(),
            max_body,
            streams: method.is_server_streaming(),
            handlers,
            health_end,
        }
    }

    /// Longest message that is read, in bytes: a field that is JSON for the route is shorter as a message.
    pub(super) fn max_message(&self) -> usize {
        2 * self.max_body + FIELDS_BYTES
    }

    /// Answers a call whose message is whole. An error is worded as HTTP words it.
    pub(super) async fn answer(self: Arc<Self>, request: Request) -> Response {
        let answered = self.answered(request).await;
        answered.unwrap_or_else(IntoResponse::into_response)
    }

    async fn answered(&self, request: Request) -> Result<Response, ApiError> {
        let body = to_bytes(request.into_body(), usize::MAX).await;
        let body = body.map_err(|_| ApiError::internal("a body was lost"))?;
        let question = DynamicMessage::decode(self.input.clone(), frame::question(&body)?);
        let question = question.map_err(|error| {
            let message = format!("the message is no {}: {error}", self.input.full_name());
            ApiError::malformed("bad_message", message, "use the node's own .proto file")
        })?;
        if self.output.full_name() == HEALTH {
            let health = self.health(&question);
            if self.streams {
                return Ok(health.watched(self.health_end.clone()));
            }
            return health.answer().await;
        }
        let Ok(response) = self
            .handlers
            .clone()
            .oneshot(self.request(&question)?)
            .await;
        if !response.status().is_success() {
            return Ok(response);
        }
        if self.streams {
            return Ok(events::answer(response, &self.output));
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_json = kind.is_some_and(|kind| kind.as_bytes() == b"application/json");
        let body = to_bytes(response.into_body(), usize::MAX).await;
        let body = body.map_err(|_| ApiError::internal("an answer was lost"))?;
        let message = if is_json {
            translate::message(&self.output, &body)?
        } else {
            self.holding(body)
        };
        Ok(frame::answer(&message))
    }

    /// The request of HTTP that a message stands for.
    fn request(&self, question: &DynamicMessage) -> Result<Request, ApiError> {
        let RoutedRequest { target, json, body } = translate::sent(question, &self.path)?;
        let limit = if json {
            4 * self.max_body
        } else {
            self.max_body
        };
        if body.len() > limit {
            let message = format!("what is sent has more than {limit} bytes");
            let hint = "send less; large blobs travel in chunks";
            return Err(ApiError::new(
                ErrorKind::TooLarge,
                "body_too_large",
                message,
                hint,
            ));
        }
        let mut request = Request::builder().method(self.verb.clone()).uri(target);
        if json {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if self.output.full_name() == BYTES {
            request = request.header(header::ACCEPT, "application/octet-stream");
        }
        request.body(Body::from(body)).map_err(|_| {
            let message = "a field of the message fits no path";
            ApiError::malformed("bad_message", message, "shorten it")
        })
    }

    fn holding(&self, bytes: Bytes) -> DynamicMessage {
        let mut message = DynamicMessage::new(self.output.clone());
        message.set_field_by_number(1, Value::Bytes(bytes));
        message
    }

    /// What is asked about the node's health.
    fn health(&self, question: &DynamicMessage) -> HealthQuestion {
        let service = question.get_field_by_number(1);
        let service = service.as_ref().and_then(|value| value.as_str());
        HealthQuestion {
            handlers: self.handlers.clone(),
            path: self.path.clone(),
            output: self.output.clone(),
            service: service.unwrap_or_default().to_owned(),
        }
    }
}
