//! The events: the long poll, and the same as a stream of server-sent events.
//!
//! A stream is a long poll that answers more than once: it holds its place of the polls while it lasts, and ends by itself
//! before the time that a client has to take an answer. Whoever reads it connects again with the id of the last event
//! that came, as an `EventSource` of a browser does by itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures::{StreamExt as _, stream};
use rpc::limits::{MAX_EVENTS_PER_PAGE, MAX_WAIT_MS};
use rpc::model::{Event, EventPage};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{App, Reply, Route, query, read};
use crate::backend::Backend;
use crate::error::{ApiError, ErrorKind};
use crate::events::CursorError;
use crate::openapi::operation;
use crate::stop::until;

/// Events that a stream hands over together.
const STREAMED_TOGETHER: usize = 64;
/// Maximum number of events of one stream.
const MAX_STREAMED: usize = 10 * MAX_EVENTS_PER_PAGE;
/// What a stream begins with: how long a reader pauses before it connects again, in milliseconds.
const PREFACE: &[u8] = b"retry: 500\n\n";

/// The routes that wait for something to happen, which have room of their own.
pub(super) fn polls() -> Vec<Route> {
    let codes = &["bad_query", "cursor_too_old", "cursor_ahead"];
    let wait = ("wait_ms", "integer", "longest time, at most 25,000");
    let poll = operation("GET", "Events from a cursor on, once there are any")
        .query(&[
            (
                "cursor",
                "integer",
                "the first event to read; without it the newest cursor is given",
            ),
            wait,
            ("limit", "integer", "at most so many events, up to 1,000"),
        ])
        .gives("EventPage")
        .fails(codes);
    let stream = operation("GET", "Events from a cursor on, as server-sent events")
        .query(&[
            (
                "cursor",
                "integer",
                "the first event to read; the header Last-Event-ID comes first",
            ),
            wait,
        ])
        .gives_events()
        .fails(codes);
    vec![
        read("/v1/events", 1, get(events)).is(poll),
        read("/v1/events/stream", 1, get(event_stream)).is(stream),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    cursor: Option<u64>,
    wait_ms: Option<u64>,
    limit: Option<usize>,
}

async fn events(
    State(mut app): State<App>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Json<EventPage>, ApiError> {
    let query = self::query(query)?;
    let log = app.backend.events();
    let Some(cursor) = query.cursor else {
        return Ok(Json(EventPage {
            cursor: log.cursor(),
            events: Vec::new(),
        }));
    };
    let limit = query
        .limit
        .unwrap_or(MAX_EVENTS_PER_PAGE)
        .clamp(1, MAX_EVENTS_PER_PAGE);
    let wait = Duration::from_millis(query.wait_ms.unwrap_or(0).min(MAX_WAIT_MS));
    let waited = tokio::select! {
        biased;
        page = log.wait(cursor, limit) => page,
        () = until(app.stopped.clone()) => log.read(cursor, limit),
        _ = tokio::time::timeout(wait, std::future::pending::<()>()) => log.read(cursor, limit),
    };
    app.stopped.borrow_and_update();
    waited.map(Json).map_err(|error| cursor_error(&error))
}

fn cursor_error(error: &CursorError) -> ApiError {
    let hint = "read the state anew, then go on from the cursor of a request without one";
    ApiError::new(ErrorKind::Gone, cursor_code(error), error.to_string(), hint)
}

fn cursor_code(error: &CursorError) -> &'static str {
    match error {
        CursorError::TooOld { .. } => "cursor_too_old",
        CursorError::Ahead { .. } => "cursor_ahead",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    cursor: Option<u64>,
    wait_ms: Option<u64>,
}

async fn event_stream(
    State(app): State<App>,
    query: Result<Query<StreamQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Reply {
    let query = self::query(query)?;
    let log = app.backend.events();
    let cursor = last_event(&headers)?.or(query.cursor);
    let cursor = cursor.unwrap_or_else(|| log.cursor());
    // What cannot be read is refused before the stream begins.
    log.read(cursor, 0).map_err(|error| cursor_error(&error))?;
    let wait = query.wait_ms.map(Duration::from_millis);
    let wait = wait.unwrap_or(app.longest_stream).min(app.longest_stream);
    let stream = EventStream {
        backend: app.backend,
        stopped: app.stopped,
        cursor,
        end: Instant::now() + wait,
        left: MAX_STREAMED,
    };
    let preface = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(PREFACE)) });
    let body = Body::from_stream(preface.chain(stream::unfold(stream, EventStream::next)));
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((head, body).into_response())
}

/// The cursor after the last event that a reader got, which it sends when it connects again.
fn last_event(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let cursor = value.to_str().ok().and_then(|text| text.parse().ok());
    cursor.map(Some).ok_or_else(|| {
        let hint = "send the id of an event of this stream, or none";
        ApiError::malformed("bad_query", "Last-Event-ID is no cursor", hint)
    })
}

/// A reader's way through the events.
struct EventStream {
    backend: Arc<dyn Backend>,
    stopped: watch::Receiver<bool>,
    cursor: u64,
    end: Instant,
    /// Events that it may still hand over.
    left: usize,
}

impl EventStream {
    /// The next events, once there are any; nothing at its end.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.left == 0 {
            return None;
        }
        let limit = self.left.min(STREAMED_TOGETHER);
        let log = self.backend.events();
        let read = tokio::select! {
            biased;
            page = log.wait(self.cursor, limit) => page,
            () = until(self.stopped.clone()) => return None,
            () = sleep_until(self.end) => return None,
        };
        let text = match read {
            Ok(page) => {
                self.left -= page.events.len().min(self.left);
                let text = shown(self.cursor, &page.events);
                self.cursor = page.cursor;
                text
            }
            Err(error) => {
                self.left = 0;
                format!("event: end\ndata: {}\n\n", cursor_code(&error))
            }
        };
        Some((Ok(text.into()), self))
    }
}

/// Events from a cursor on as a stream shows them; the id of each is the cursor after it.
fn shown(cursor: u64, events: &[Event]) -> String {
    let ids = cursor.saturating_add(1)..;
    let each = ids.zip(events).map(|(id, event)| {
        let kind = match event {
            Event::Block { .. } => "block",
            Event::Transaction { .. } => "transaction",
            Event::Job { .. } => "job",
        };
        // An event is JSON of one line.
        let data = serde_json::to_string(event).unwrap_or_default();
        format!("id: {id}\nevent: {kind}\ndata: {data}\n\n")
    });
    each.collect()
}
