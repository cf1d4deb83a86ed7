//! By when a client must have taken what it was answered, on a connection on which several requests may run at once.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::Instant;

/// The deadlines of a connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Deadlines(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client_timeout: Duration,
    open: Mutex<OpenAnswers>,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct OpenAnswers {
    next: u64,
    /// Requests that the node has not answered yet.
    unanswered: usize,
    /// Answers that the client has not taken yet, each with its deadline.
    untaken: BTreeMap<u64, Instant>,
    /// By when the next request must come, if nothing is open.
    idle: Option<Instant>,
}

impl Deadlines {
    /// Of a connection on which hyper bounds the time of the first request.
    pub(super) fn new(client_timeout: Duration) -> Self {
        let open = OpenAnswers {
            next: 0,
            unanswered: 0,
            untaken: BTreeMap::new(),
            idle: Some(Instant::now() + client_timeout),
        };
        Self(Arc::new(Shared {
            client_timeout,
            open: Mutex::new(open),
            changes: watch::Sender::new(()),
        }))
    }

    fn open(&self) -> MutexGuard<'_, OpenAnswers> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the client is late, as things stand; never while the node alone owes something.
    pub(super) fn next(&self) -> Option<Instant> {
        let open = self.open();
        let first = open.untaken.values().min().copied();
        first.or(open.idle.filter(|_| open.unanswered == 0))
    }

    /// Tells when that may have changed.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// A request came: the node owes the answer.
    pub(super) fn node_owes(&self) -> OwedAnswer {
        let mut open = self.open();
        open.unanswered += 1;
        open.next += 1;
        let number = open.next;
        drop(open);
        self.0.changes.send_replace(());
        OwedAnswer {
            deadlines: self.clone(),
            number,
        }
    }
}

/// One answer, until it is taken or its stream is gone.
#[derive(Debug)]
pub(super) struct OwedAnswer {
    deadlines: Deadlines,
    number: u64,
}

impl OwedAnswer {
    /// The answer is made: the client owes the taking of it.
    pub(super) fn is_made(&self) {
        let mut open = self.deadlines.open();
        let deadline = Instant::now() + self.deadlines.0.client_timeout;
        open.unanswered = open.unanswered.saturating_sub(1);
        open.untaken.insert(self.number, deadline);
        open.idle = Some(deadline);
        drop(open);
        self.deadlines.0.changes.send_replace(());
    }
}

impl Drop for OwedAnswer {
    fn drop(&mut self) {
        let mut open = self.deadlines.open();
        if open.untaken.remove(&self.number).is_none() {
            // The client gave the request up before it was answered.
            open.unanswered = open.unanswered.saturating_sub(1);
            open.idle = Some(Instant::now() + self.deadlines.0.client_timeout);
        }
        drop(open);
        self.deadlines.0.changes.send_replace(());
    }
}

/// A body that is owed until it is handed over.
#[derive(Debug)]
pub(super) struct OwedBody {
    body: Body,
    _answer: OwedAnswer,
}

impl OwedBody {
    pub(super) fn new(body: Body, answer: OwedAnswer) -> Self {
        Self {
            body,
            _answer: answer,
        }
    }
}

impl HttpBody for OwedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
