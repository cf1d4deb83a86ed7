//! Whether the node serves, as gRPC's own tools ask for it: once, or for as long as they listen.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use tower::ServiceExt as _;

use super::{POOL, frame};
use crate::error::ApiError;
use crate::stop::until;

/// The message that tells whether a node serves.
pub(super) const HEALTH: &str = "grpc.health.v1.HealthCheckResponse";
/// The values of its status.
const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const SERVICE_UNKNOWN: i32 = 3;
/// Time between two looks for one who listens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a stream of health lasts.
#[derive(Debug, Clone)]
pub(crate) struct HealthEnd {
    /// Longest time of a stream.
    pub(crate) longest: Duration,
    /// The flag that says when the server stops.
    pub(crate) stopped: watch::Receiver<bool>,
}

/// What is asked about: all of the node, or one of the services that there are.
pub(super) struct HealthQuestion {
    pub(super) handlers: Router,
    /// The route that tells whether the node takes work.
    pub(super) path: String,
    pub(super) output: MessageDescriptor,
    pub(super) service: String,
}

impl HealthQuestion {
    /// The answer to one who asks once.
    pub(super) async fn answer(&self) -> Result<Response, ApiError> {
        if !self.is_known() {
            let message = format!("there is no service {:?}", self.service);
            let hint = "leave the service empty to ask for the whole node";
            return Err(ApiError::not_found("service", message, hint));
        }
        Ok(frame::answer(&self.message(self.status().await)))
    }

    /// The answer to one who listens: the status, and each change of it until the end.
    pub(super) fn watched(self, end: HealthEnd) -> Response {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stream = HealthStream {
            question: self,
            told: None,
            looks,
            end: Instant::now() + end.longest,
            stopped: end.stopped,
            is_over: false,
        };
        let frames = stream::unfold(stream, HealthStream::next);
        frame::answering(Body::new(StreamBody::new(frames)))
    }

    fn is_known(&self) -> bool {
        self.service.is_empty() || POOL.get_service_by_name(&self.service).is_some()
    }

    async fn status(&self) -> i32 {
        let Ok(request) = Request::builder()
            .uri(self.path.as_str())
            .body(Body::empty())
        else {
            return NOT_SERVING;
        };
        let Ok(ready) = self.handlers.clone().oneshot(request).await;
        if ready.status() == StatusCode::OK {
            SERVING
        } else {
            NOT_SERVING
        }
    }

    fn message(&self, status: i32) -> DynamicMessage {
        let mut message = DynamicMessage::new(self.output.clone());
        message.set_field_by_number(1, Value::EnumNumber(status));
        message
    }
}

/// A listener's way through the changes.
struct HealthStream {
    question: HealthQuestion,
    /// The status that it heard last.
    told: Option<i32>,
    looks: Interval,
    end: Instant,
    stopped: watch::Receiver<bool>,
    is_over: bool,
}

impl HealthStream {
    /// The next change, or the end.
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        if self.is_over {
            return None;
        }
        while let Some(status) = self.look().await {
            if self.told != Some(status) {
                self.told = Some(status);
                let mut bytes = Vec::new();
                frame::push(&mut bytes, &self.question.message(status));
                return Some((Ok(Frame::data(bytes.into())), self));
            }
        }
        self.is_over = true;
        Some((Ok(Frame::trailers(frame::succeeded())), self))
    }

    /// The status at the next look; none at the end. A node that stops says first that it does not serve.
    async fn look(&mut self) -> Option<i32> {
        tokio::select! {
            biased;
            () = until(self.stopped.clone()) => {
                (self.told != Some(NOT_SERVING)).then_some(NOT_SERVING)
            }
            () = sleep_until(self.end) => None,
            _ = self.looks.tick() => Some(if self.question.is_known() {
                self.question.status().await
            } else {
                SERVICE_UNKNOWN
            }),
        }
    }
}
