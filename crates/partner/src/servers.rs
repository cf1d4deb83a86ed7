//! The servers that a partner works through, and how each of them has behaved.
//!
//! None is believed. One that fails is set aside for a time that doubles, one that was caught lying for much longer;
//! an answer that proved right brings it back. If all are set aside, the one whose time ends first is asked anyway.

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
    aside_until: Option<Instant>,
}

/// All servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Servers(Arc<Vec<Server>>);

impl Servers {
    /// The servers at these URLs.
    pub fn new(urls: &[String]) -> Result<Self, ClientError> {
        let server =
            |url: &String| Ok(Server { client: Client::with_timeout(url, ANSWER_TIME)?, standing: Mutex::default() });
        urls.iter().map(server).collect::<Result<_, _>>().map(|servers| Self(Arc::new(servers)))
    }

    /// Those that may be asked now, in the order of the configuration; never nobody.
    #[must_use]
    pub fn available(&self, now: Instant) -> Vec<&Server> {
        let free: Vec<_> =
            self.0.iter().filter(|server| server.aside_until().is_none_or(|until| until <= now)).collect();
        if free.is_empty() {
            self.0.iter().min_by_key(|server| server.aside_until()).into_iter().collect()
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
        self.standing().aside_until
    }

    /// It gave an answer that proved right.
    pub fn fine(&self) {
        let mut standing = self.standing();
        if standing.failures > 0 {
            tracing::info!(server = self.client.url(), failures = standing.failures, "server answers again");
        }
        *standing = Standing::default();
    }

    /// It gave no answer, or none that makes sense.
    pub fn failed(&self, now: Instant, why: &str) {
        let mut standing = self.standing();
        let pause = FIRST_ASIDE.saturating_mul(1 << standing.failures.min(10)).min(LONGEST_ASIDE);
        standing.failures = standing.failures.saturating_add(1);
        standing.aside_until = Some(now + pause);
        let (server, aside_ms) = (self.client.url(), pause.as_millis());
        // Said once until it answers again: a server may be away for hours.
        if standing.failures == 1 {
            tracing::warn!(server, why, aside_ms, "server failed");
        } else {
            tracing::debug!(server, why, aside_ms, failures = standing.failures, "server failed again");
        }
    }

    /// It gave an answer that is proven wrong.
    pub fn lied(&self, now: Instant, why: &str) {
        self.standing().aside_until = Some(now + LIAR_ASIDE);
        tracing::error!(server = self.client.url(), why, aside_s = LIAR_ASIDE.as_secs(), "server gave a false answer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        Servers::new(&["http://127.0.0.1:1".into(), "http://127.0.0.1:2".into()]).unwrap()
    }

    fn urls(servers: &Servers, now: Instant) -> Vec<&str> {
        servers.available(now).into_iter().map(|server| server.client.url()).collect()
    }

    #[test]
    fn who_fails_is_set_aside_and_comes_back() {
        let (servers, start) = (servers(), Instant::now());
        servers.all()[0].failed(start, "test");
        assert_eq!(urls(&servers, start), ["http://127.0.0.1:2"]);
        let later = start + FIRST_ASIDE;
        assert_eq!(urls(&servers, later).len(), 2);
        servers.all()[0].failed(later, "test");
        assert_eq!(urls(&servers, later + FIRST_ASIDE).len(), 1, "the second time is longer");
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
        assert_eq!(urls(&servers, later), ["http://127.0.0.1:2"], "its time ends first");
    }
}
