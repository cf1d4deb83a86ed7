//! Room and time for requests: tower's limits, answered as errors of the interface.

use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::middleware::from_fn_with_state;
use axum::{BoxError, Router};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::error::Overloaded;

use crate::error::{ApiError, ErrorKind};
use crate::unsent::{Unsent, bound};

/// Lets at most `max_requests` requests to these routes be in progress, refuses the next at once, gives each `time`
/// to be answered, and counts its answer against `unsent`.
pub(crate) fn limited<S>(
    routes: Router<S>,
    max_requests: usize,
    time: Duration,
    unsent: Unsent,
) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let limits = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(async move |error: BoxError| {
            refusal(&error, time)
        }))
        .load_shed()
        // One semaphore for all routes: the plain layer would give each route its own.
        .layer(GlobalConcurrencyLimitLayer::new(max_requests))
        .timeout(time);
    routes
        .layer(limits)
        .layer(from_fn_with_state(unsent, bound))
}

fn refusal(error: &BoxError, time: Duration) -> ApiError {
    if error.is::<Overloaded>() {
        return ApiError::overloaded("the node answers as many requests as it can");
    }
    if error.is::<tower::timeout::error::Elapsed>() {
        let message = format!("no answer within {} ms", time.as_millis());
        return ApiError::new(
            ErrorKind::Timeout,
            "timeout",
            message,
            "send the body faster, or try again",
        );
    }
    tracing::error!(%error, "a layer before the routes failed");
    ApiError::internal("the node failed before it could answer")
}
