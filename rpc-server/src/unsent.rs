//! Answers that clients have not taken yet: all together they hold a bounded number of bytes.
//!
//! A small answer passes as it is: the connections' own buffers hold as much. A large one takes its length from one
//! budget and gives it back when its last part is on its way or its connection ends, which a client that reads slowly
//! brings about by its deadline. It is handed over in parts, so that the HTTP layer does not buffer it whole.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Longest answer that takes nothing from the budget, and the length of the parts of longer ones, in bytes.
const SMALL: usize = 64 << 10;
/// Unit in which the budget is counted, in bytes.
const KIB: usize = 1 << 10;

/// Budget of bytes that are answered and not yet taken by their readers.
#[derive(Debug, Clone)]
pub(crate) struct Unsent(Arc<Semaphore>);

impl Unsent {
    /// A budget of whole KiB.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / KIB)))
    }
}

/// A layer: the response in parts under the budget, or a refusal if the budget is used up.
pub(crate) async fn bound(State(unsent): State<Unsent>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let Some(length) = response
        .body()
        .size_hint()
        .exact()
        .and_then(|bytes| usize::try_from(bytes).ok())
    else {
        return response;
    };
    if length <= SMALL {
        return response;
    }
    let units = u32::try_from(length.div_ceil(KIB)).unwrap_or(u32::MAX);
    let Ok(place) = unsent.0.try_acquire_many_owned(units) else {
        return ApiError::overloaded("too many large answers wait for clients that read slowly")
            .into_response();
    };
    let (mut head, body) = response.into_parts();
    // The body is in memory: collecting it moves it.
    let Ok(bytes) = axum::body::to_bytes(body, length).await else {
        return ApiError::internal("an answer was lost").into_response();
    };
    head.headers.insert(header::CONTENT_LENGTH, length.into());
    let parts = stream::unfold((bytes, place), async |(mut rest, place): (Bytes, _)| {
        if rest.is_empty() {
            return None;
        }
        let part = rest.split_to(rest.len().min(SMALL));
        Some((Ok::<_, Infallible>(part), (rest, place)))
    });
    Response::from_parts(head, Body::from_stream(parts))
}
