//! Waiting through the event long poll: the state is read, then events say when to read it again.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use types::hash::{JobId, TransactionId};

use super::{Client, ClientError};
use crate::limits::MAX_EVENTS_PER_PAGE;
use crate::model::{Event, JobView, TransactionStatus};

/// Time between attempts while a node cannot be reached.
const RETRY: Duration = Duration::from_millis(500);
/// How long one long poll waits. The state is read again after each, so a lost event costs no more than this.
const POLL: Duration = Duration::from_secs(10);

impl Client {
    /// Waits until a transaction is in a final block. A node that is unreachable or has not heard of the
    /// transaction yet is asked again until `timeout`.
    pub async fn wait_transaction(
        &self,
        id: TransactionId,
        timeout: Duration,
    ) -> Result<TransactionStatus, ClientError> {
        let read = async || match self.transaction(id).await {
            Ok(status @ TransactionStatus::Included { .. }) => Ok(Some(status)),
            Ok(TransactionStatus::Pending { .. }) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        };
        let concerns = |event: &Event| matches!(event, Event::Transaction { id: other, .. } if *other == id);
        self.wait_until(&format!("the inclusion of transaction {id}"), timeout, read, concerns).await
    }

    /// Waits until `done` holds for a job. It is called with every state of the job that is seen, so it may show
    /// progress. A node that is unreachable or has not heard of the job yet is asked again until `timeout`.
    pub async fn wait_job(
        &self,
        id: JobId,
        timeout: Duration,
        mut done: impl FnMut(&JobView) -> bool,
    ) -> Result<JobView, ClientError> {
        let read = async || match self.job(id).await {
            Ok(view) => Ok(done(&view).then_some(view)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        };
        let concerns = |event: &Event| matches!(event, Event::Job { job, .. } if *job == id);
        self.wait_until(&format!("what was waited for of job {id}"), timeout, read, concerns).await
    }

    /// Reads until there is a value, between reads waiting for an event that concerns it.
    async fn wait_until<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut read: impl AsyncFnMut() -> Result<Option<T>, ClientError>,
        concerns: impl Fn(&Event) -> bool,
    ) -> Result<T, ClientError> {
        let mut retry = tokio::time::interval(RETRY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let attempts = async {
            let mut cursor = None;
            loop {
                match self.read_then_wait(&mut cursor, &mut read, &concerns).await {
                    Ok(Some(value)) => return Ok(value),
                    Ok(None) => {}
                    Err(error) if error.is_retryable() => {
                        retry.tick().await;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        match tokio::time::timeout_at(Instant::now() + timeout, attempts).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::WaitedTooLong { what: what.to_owned(), seconds: timeout.as_secs() }),
        }
    }

    /// One read; if it gives nothing, one wait for an event that concerns it (or for a poll's time to pass).
    async fn read_then_wait<T>(
        &self,
        cursor: &mut Option<u64>,
        read: &mut impl AsyncFnMut() -> Result<Option<T>, ClientError>,
        concerns: &impl Fn(&Event) -> bool,
    ) -> Result<Option<T>, ClientError> {
        // The cursor is taken before the state is read, so that no event falls between them.
        let mut at = match *cursor {
            Some(at) => at,
            None => self.events(None, Duration::ZERO, 1).await?.cursor,
        };
        *cursor = None;
        if let Some(value) = read().await? {
            return Ok(Some(value));
        }
        let until = Instant::now() + POLL;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.events(Some(at), left, MAX_EVENTS_PER_PAGE).await {
                Ok(page) => {
                    at = page.cursor;
                    if page.events.iter().any(concerns) {
                        break;
                    }
                }
                // Fell behind, or the node started anew: the next round takes a new cursor.
                Err(error) if matches!(error.code(), "cursor_too_old" | "cursor_ahead") => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        *cursor = Some(at);
        Ok(None)
    }
}
