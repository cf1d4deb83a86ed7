//! Answers that clients have not taken yet: all together they hold a bounded number of bytes, and those of one caller
//! its share of them.
//!
//! A small answer passes as it is: the connections' own buffers hold as much. A large one takes its length from its
//! caller's share and gives it back when its last part is on its way or its connection ends, which a client that reads
//! slowly brings about by its deadline. It is handed over in parts, so that the HTTP layer does not buffer it whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

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
    let all = body.collect().await;
    let all = all.map_err(|_| ApiError::internal("an answer was lost"))?;
    let trailers = all.trailers().cloned();
    let bytes = all.to_bytes();
    if trailers.is_none() {
        head.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let parts = stream::unfold(
        (bytes, trailers, taking),
        async |(mut rest, mut trailers, taking): (Bytes, Option<HeaderMap>, _)| {
            let frame = if rest.is_empty() {
                Frame::trailers(trailers.take()?)
            } else {
                Frame::data(rest.split_to(rest.len().min(SMALL)))
            };
            Some((Ok::<_, Infallible>(frame), (rest, trailers, taking)))
        },
    );
    Ok(Response::from_parts(
        head,
        Body::new(StreamBody::new(parts)),
    ))
}

/// A response whose length is not known: it holds what was taken for it until its end.
pub(crate) fn holding(response: Response, taking: Taking) -> Response {
    response.map(|body| {
        Body::new(HeldBody {
            body,
            taking: Some(taking),
        })
    })
}

/// A body that holds something until its end.
struct HeldBody {
    body: Body,
    taking: Option<Taking>,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) {
            self.taking = None;
        }
        frame
    }
}
