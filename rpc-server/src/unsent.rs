//! Answers that clients have not taken yet: all together they hold a bounded number of bytes, and those of one caller
//! its share of them.
//!
//! A small answer passes as it is: the connections' own buffers hold as much. A large one takes its length from its
//! caller's share and gives it back when its last part is on its way or its connection ends, which a client that reads
//! slowly brings about by its deadline. It is handed over in parts, so that the HTTP layer does not buffer it whole.

use std::convert::Infallible;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::header;
use axum::response::Response;
use futures::{StreamExt as _, stream};

use crate::error::ApiError;
use crate::pool::{KIB, Taking};

/// Longest answer that takes nothing from the budget, and the length of the parts of longer ones, in bytes.
const SMALL: usize = 64 << 10;

/// The response in parts under the budget, of which `take` takes so many KiB, or a refusal if it is used up.
pub(crate) async fn bound(
    response: Response,
    take: impl FnOnce(usize) -> Option<Taking>,
) -> Result<Response, ApiError> {
    let length = response.body().size_hint().exact();
    let Some(length) = length.and_then(|bytes| usize::try_from(bytes).ok()) else {
        return Ok(response);
    };
    if length <= SMALL {
        return Ok(response);
    }
    let taking = take(length.div_ceil(KIB)).ok_or_else(|| {
        ApiError::overloaded("too many large answers wait for clients that read slowly")
    })?;
    let (mut head, body) = response.into_parts();
    // The body is in memory: collecting it moves it.
    let bytes = axum::body::to_bytes(body, length).await;
    let bytes = bytes.map_err(|_| ApiError::internal("an answer was lost"))?;
    head.headers.insert(header::CONTENT_LENGTH, length.into());
    let parts = stream::unfold((bytes, taking), async |(mut rest, taking): (Bytes, _)| {
        if rest.is_empty() {
            return None;
        }
        let part = rest.split_to(rest.len().min(SMALL));
        Some((Ok::<_, Infallible>(part), (rest, taking)))
    });
    Ok(Response::from_parts(head, Body::from_stream(parts)))
}

/// A response whose length is not known: it holds what was taken for it until its end.
pub(crate) fn holding(response: Response, taking: Taking) -> Response {
    let (head, body) = response.into_parts();
    let kept = stream::unfold(
        (body.into_data_stream(), taking),
        async |(mut rest, taking): (BodyDataStream, _)| {
            let next = rest.next().await?;
            Some((next, (rest, taking)))
        },
    );
    Response::from_parts(head, Body::from_stream(kept))
}
