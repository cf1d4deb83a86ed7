//! Waiting through the event long poll: the state is read, then events say when to read it again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep_until};
use types::hash::{JobId, TransactionId};

use super::{Client, ClientError};
use crate::limits::MAX_EVENTS_PER_PAGE;
use crate::model::{Event, JobView, TransactionStatus};

/// Pause after the first attempt that gave nothing; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long one long poll waits. The state is read again after each, so a lost event costs no more than this.
const POLL: Duration = Duration::from_secs(10);

/// What a waiter hears on the way.
#[derive(Debug, Clone, Copy)]
pub enum JobNews<'a> {
    /// The job's state was read.
    State(&'a JobView),
    /// No node answers, or none can now; it is tried again.
    Trouble(&'a ClientError),
}

impl Client {
    /// Waits until a transaction is in a final block. A node that is unreachable or has not heard of the
    /// transaction yet is asked again until `timeout`.
    pub async fn wait_transaction(
        &self,
        id: TransactionId,
        timeout: Duration,
    ) -> Result<TransactionStatus, ClientError> {
        let rounds = async {
            let mut follower = Follower::new(self, Watched::Transaction(id));
            loop {
                match follower.before_reading(self.transaction(id)).await {
                    Ok(status @ TransactionStatus::Included { .. }) => return Ok(status),
                    Ok(TransactionStatus::Pending { .. }) => {
                        follower.wait(None, &mut |_| false).await?;
                    }
                    Err(error) => follower.wait(Some(error), &mut |_| false).await?,
                }
            }
        };
        self.in_time(rounds, timeout, || {
            format!("the inclusion of transaction {id}")
        })
        .await
    }

    /// Waits until `done` holds for a job. It is called with every state of the job that is seen, and with every error
    /// that a retry may mend, so it may show progress; if it holds for an error, waiting ends with that. A node that
    /// is unreachable or has not heard of the job yet is asked again until `timeout`: whoever does not know that the
    /// job exists reads it first.
    pub async fn wait_job(
        &self,
        id: JobId,
        timeout: Duration,
        mut done: impl FnMut(JobNews<'_>) -> bool,
    ) -> Result<JobView, ClientError> {
        let rounds = async {
            let mut follower = Follower::new(self, Watched::Job(id));
            loop {
                match follower.before_reading(self.job(id)).await {
                    Ok(view) if done(JobNews::State(&view)) => return Ok(view),
                    Ok(_) => {
                        follower
                            .wait(None, &mut |error| done(JobNews::Trouble(error)))
                            .await?;
                    }
                    Err(error) => {
                        follower
                            .wait(Some(error), &mut |error| done(JobNews::Trouble(error)))
                            .await?;
                    }
                }
            }
        };
        self.in_time(rounds, timeout, || {
            format!("what was waited for of job {id}")
        })
        .await
    }

    /// Goes through the rounds until their end or a timeout, and looks after servers that are away meanwhile.
    async fn in_time<T>(
        &self,
        rounds: impl Future<Output = Result<T, ClientError>>,
        timeout: Duration,
        what: impl Fn() -> String,
    ) -> Result<T, ClientError> {
        let ended = tokio::select! {
            ended = tokio::time::timeout(timeout, rounds) => ended,
            never = self.transport.look_after_away() => match never {},
        };
        ended.unwrap_or_else(|_| {
            Err(ClientError::WaitedTooLong {
                what: what(),
                seconds: timeout.as_secs(),
            })
        })
    }
}

/// The transaction or job that is waited for.
#[derive(Debug, Clone, Copy)]
enum Watched {
    Transaction(TransactionId),
    Job(JobId),
}

impl Watched {
    fn is_concerned(self, event: &Event) -> bool {
        match (self, event) {
            (Self::Transaction(id), Event::Transaction { id: other, .. }) => id == *other,
            (Self::Job(id), Event::Job { job, .. }) => id == *job,
            _ => false,
        }
    }
}

/// A position in the events of one endpoint.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// Index of the endpoint.
    endpoint: usize,
    /// Number of the next event to read there.
    next: u64,
}

/// Pauses between attempts, from the first on.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .build()
}

/// Says when a transaction or job is worth reading again.
struct Follower<'a> {
    client: &'a Client,
    watched: Watched,
    /// Events before it were seen before the last reading; `None` if that is not known.
    cursor: Option<Cursor>,
    /// Pauses between attempts since the last one that gave something.
    pauses: ExponentialBackoff,
}

impl<'a> Follower<'a> {
    fn new(client: &'a Client, watched: Watched) -> Self {
        Self {
            client,
            watched,
            cursor: None,
            pauses: pauses(),
        }
    }

    /// Reads what is watched, with a cursor from before the reading, so that no event falls between them.
    async fn before_reading<T>(
        &mut self,
        read: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        if self.cursor.is_none() {
            let endpoint = self.client.transport.current();
            let next = self.client.events(None, Duration::ZERO, 1).await?.cursor;
            self.cursor = Some(Cursor { endpoint, next });
        }
        let result = read.await;
        if result.is_ok() {
            self.pauses = pauses();
        }
        result
    }

    /// Waits before the next attempt, longer each time.
    async fn pause(&mut self) {
        let pause = self.pauses.next().unwrap_or(LONGEST_PAUSE);
        sleep_until(Instant::now() + pause).await;
    }

    /// Waits until the next reading may differ, or for a while after an error that a retry may mend; `gives_up` is
    /// asked about such an error.
    async fn wait(
        &mut self,
        error: Option<ClientError>,
        gives_up: &mut impl FnMut(&ClientError) -> bool,
    ) -> Result<(), ClientError> {
        // A cursor of another endpoint than the one that was read says nothing: read again with a new one.
        let endpoint = self.client.transport.current();
        self.cursor = self.cursor.filter(|cursor| cursor.endpoint == endpoint);
        let result = match (error, self.cursor) {
            // The node has not heard of it yet.
            (Some(error), Some(cursor)) if error.is_not_found() => {
                self.wait_for_event(cursor).await
            }
            (Some(error), None) if error.is_not_found() => {
                self.pause().await;
                Ok(())
            }
            (None, Some(cursor)) => self.wait_for_event(cursor).await,
            (Some(error), _) => Err(error),
            (None, None) => Ok(()),
        };
        match result {
            Err(error) if error.is_retryable() && !gives_up(&error) => {
                self.cursor = None;
                self.pause().await;
                Ok(())
            }
            // Fell behind, or the node started anew: the next reading takes a new cursor.
            Err(error) if matches!(error.code(), "cursor_too_old" | "cursor_ahead") => {
                self.cursor = None;
                Ok(())
            }
            other => other,
        }
    }

    /// Waits for an event that concerns what is watched, or for a poll's time to pass.
    async fn wait_for_event(&mut self, mut cursor: Cursor) -> Result<(), ClientError> {
        let until = Instant::now() + POLL;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let page = self
                .client
                .events(Some(cursor.next), left, MAX_EVENTS_PER_PAGE)
                .await?;
            cursor.next = page.cursor;
            if page.events.is_empty() {
                // The poll's time is over, or the node is stopping and answers at once: then not again at once.
                self.pause().await;
            }
            if left.is_zero()
                || page.events.is_empty()
                || page
                    .events
                    .iter()
                    .any(|event| self.watched.is_concerned(event))
            {
                self.cursor = Some(cursor);
                return Ok(());
            }
        }
    }
}
