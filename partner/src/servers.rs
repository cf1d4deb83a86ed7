//! The servers that a partner works through, and how each of them has behaved.
//!
//! None is believed. One that fails is set aside for a time that doubles, and an answer that proved right brings it
//! back. One that was caught lying is set aside for much longer, whatever else it says or fails to say meanwhile. If
//! all are set aside, the one whose time ends first is asked anyway.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rpc::{Client, ClientError};

/// First time aside after a failure.
const FIRST_ASIDE: Duration = Duration::from_millis(500);
/// Longest time aside after failures.
const LONGEST_ASIDE: Duration = Duration::from_secs(30);
/// Time aside after a lie.
const LIAR_ASIDE: Duration = Duration::from_mins(5);
/// How long a server has for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// A server.
#[derive(Debug)]
pub struct Server {
    /// Speaks to it.
    pub client: Client,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    failures: u32,
    failed_until: Option<Instant>,
    liar_until: Option<Instant>,
}

/// All servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Servers(Arc<Vec<Server>>);

impl Servers {
    /// The servers at these URLs.
    pub fn new(urls: &[String]) -> Result<Self, ClientError> {
        let server = |url: &String| {
            Ok(Server {
                client: Client::with_timeout(url, ANSWER_TIME)?,
                standing: Mutex::default(),
            })
        };
        urls.iter()
            .map(server)
            .collect::<Result<_, _>>()
            .map(|servers| Self(Arc::new(servers)))
    }

    /// Those that may be asked now, in the order of the configuration; never nobody.
    #[must_use]
    pub fn available(&self, now: Instant) -> Vec<&Server> {
        self.available_from(0, now)
    }

    /// Those that may be asked now, beginning with the one at place `first` of the configuration, which is taken as a
    /// circle; never nobody.
    #[must_use]
    pub fn available_from(&self, first: usize, now: Instant) -> Vec<&Server> {
        let (before, after) = self
            .0
            .split_at(first.checked_rem(self.0.len()).unwrap_or_default());
        let is_free = |server: &&Server| server.aside_until().is_none_or(|until| until <= now);
        let free: Vec<_> = after.iter().chain(before).filter(is_free).collect();
        if free.is_empty() {
            self.0
                .iter()
                .min_by_key(|server| server.aside_until())
                .into_iter()
                .collect()
        } else {
            free
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Server] {
        &self.0
    }
}

impl Server {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn aside_until(&self) -> Option<Instant> {
        let standing = self.standing();
        standing.failed_until.max(standing.liar_until)
    }

    /// It gave an answer that proved right.
    pub fn fine(&self) {
        let mut standing = self.standing();
        if standing.failures > 0 {
            tracing::info!(
                server = self.client.url(),
                failures = standing.failures,
                "server answers again"
            );
        }
        (standing.failures, standing.failed_until) = (0, None);
    }

    /// It gave no answer, or none that makes sense.
    pub fn failed(&self, now: Instant, why: &str) {
        let mut standing = self.standing();
        let pause = FIRST_ASIDE
            .saturating_mul(1 << standing.failures.min(10))
            .min(LONGEST_ASIDE);
        standing.failures = standing.failures.saturating_add(1);
        standing.failed_until = Some(now + pause);
        let (server, aside_ms) = (self.client.url(), pause.as_millis());
        // Said once until it answers again: a server may be away for hours.
        if standing.failures == 1 {
            tracing::warn!(server, why, aside_ms, "server failed");
        } else {
            tracing::debug!(
                server,
                why,
                aside_ms,
                failures = standing.failures,
                "server failed again"
            );
        }
    }

    /// It gave an answer that is proven wrong.
    pub fn lied(&self, now: Instant, why: &str) {
        self.standing().liar_until = Some(now + LIAR_ASIDE);
        tracing::error!(
            server = self.client.url(),
            why,
            aside_s = LIAR_ASIDE.as_secs(),
            "server gave a false answer"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        Servers::new(&["http://127.0.0.1:1".into(), "http://127.0.0.1:2".into()]).unwrap()
    }

    fn urls(servers: &Servers, now: Instant) -> Vec<&str> {
        servers
            .available(now)
            .into_iter()
            .map(|server| server.client.url())
            .collect()
    }

    #[test]
    fn who_fails_is_set_aside_and_comes_back() {
        let (servers, start) = (servers(), Instant::now());
        servers.all()[0].failed(start, "test");
        assert_eq!(urls(&servers, start), ["http://127.0.0.1:2"]);
        let later = start + FIRST_ASIDE;
        assert_eq!(urls(&servers, later).len(), 2);
        servers.all()[0].failed(later, "test");
        assert_eq!(
            urls(&servers, later + FIRST_ASIDE).len(),
            1,
            "the second time is longer"
        );
        servers.all()[0].fine();
        assert_eq!(urls(&servers, later).len(), 2);
    }

    #[test]
    fn a_liar_stays_away_longer_and_somebody_is_always_asked() {
        let (servers, start) = (servers(), Instant::now());
        servers.all()[0].lied(start, "test");
        let later = start + LONGEST_ASIDE;
        assert_eq!(urls(&servers, later), ["http://127.0.0.1:2"]);
        servers.all()[1].failed(later, "test");
        assert_eq!(
            urls(&servers, later),
            ["http://127.0.0.1:2"],
            "its time ends first"
        );
    }

    #[test]
    fn neither_a_failure_nor_a_true_answer_shortens_a_liar_s_time() {
        for after in [
            |liar: &Server, now| liar.failed(now, "test"),
            |liar: &Server, _| liar.fine(),
        ] {
            let (servers, start) = (servers(), Instant::now());
            servers.all()[0].lied(start, "test");
            after(&servers.all()[0], start);
            assert_eq!(
                urls(&servers, start + LONGEST_ASIDE),
                ["http://127.0.0.1:2"]
            );
            assert_eq!(urls(&servers, start + LIAR_ASIDE).len(), 2);
        }
    }

    #[test]
    fn the_order_is_a_circle() {
        let (servers, now) = (servers(), Instant::now());
        for (first, port) in [(0, "1"), (1, "2"), (2, "1"), (usize::MAX, "2")] {
            let order: Vec<_> = servers
                .available_from(first, now)
                .iter()
                .map(|server| server.client.url())
                .collect();
            assert_eq!(order.len(), 2);
            assert!(order[0].ends_with(port), "{first}: {order:?}");
        }
    }
}
