//! The endpoints that a partner works through, and how each of them has behaved.
//!
//! None is believed. One that fails is set aside for a time that doubles, and an answer that proved right brings it
//! back. One that was caught lying is set aside for much longer, whatever else it says or fails to say meanwhile. If
//! all are set aside, the one whose time ends first is asked anyway.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use rpc::{Client, ClientError, RequestSigner};

/// First time aside after a failure.
const FIRST_ASIDE: Duration = Duration::from_millis(500);
/// Longest time aside after failures.
const LONGEST_ASIDE: Duration = Duration::from_secs(30);
/// Time aside after a lie.
const LIAR_ASIDE: Duration = Duration::from_mins(5);
/// How long an endpoint has for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// An RPC server with what is remembered of its answers.
#[derive(Debug)]
pub struct Endpoint {
    /// HTTP client of this endpoint.
    pub client: Client,
    standing: Mutex<EndpointStanding>,
}

/// How an endpoint has behaved.
#[derive(Debug)]
struct EndpointStanding {
    /// Failures since its last right answer.
    failures: u32,
    /// Times aside for the failures to come.
    pauses: ExponentialBackoff,
    /// End of its time aside for a failure.
    failed_until: Option<Instant>,
    /// End of its time aside for a lie.
    liar_until: Option<Instant>,
}

impl Default for EndpointStanding {
    fn default() -> Self {
        Self {
            failures: 0,
            pauses: pauses(),
            failed_until: None,
            liar_until: None,
        }
    }
}

/// Times aside after failures, from the first on.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_ASIDE)
        .with_max_delay(LONGEST_ASIDE)
        .without_max_times()
        .build()
}

/// All endpoints. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoints(Arc<Vec<Endpoint>>);

impl Endpoints {
    /// The endpoints at these URLs. What is asked there is signed, if a signer is given.
    pub fn new(urls: &[String], signer: Option<&RequestSigner>) -> Result<Self, ClientError> {
        let endpoint = |url: &String| {
            let client = Client::with_timeout(url, ANSWER_TIME)?;
            Ok(Endpoint {
                client: match signer {
                    Some(signer) => client.signed_by(signer.clone()),
                    None => client,
                },
                standing: Mutex::default(),
            })
        };
        urls.iter()
            .map(endpoint)
            .collect::<Result<_, _>>()
            .map(|endpoints| Self(Arc::new(endpoints)))
    }

    /// Those that may be asked now, in the order of the configuration; never nobody.
    #[must_use]
    pub fn available(&self, now: Instant) -> Vec<&Endpoint> {
        self.available_from(0, now)
    }

    /// Those that may be asked now, beginning with the one at place `first` of the configuration, which is taken as a
    /// circle; never nobody.
    #[must_use]
    pub fn available_from(&self, first: usize, now: Instant) -> Vec<&Endpoint> {
        let (before, after) = self
            .0
            .split_at(first.checked_rem(self.0.len()).unwrap_or_default());
        let is_free =
            |endpoint: &&Endpoint| endpoint.aside_until().is_none_or(|until| until <= now);
        let free: Vec<_> = after.iter().chain(before).filter(is_free).collect();
        if free.is_empty() {
            self.0
                .iter()
                .min_by_key(|endpoint| endpoint.aside_until())
                .into_iter()
                .collect()
        } else {
            free
        }
    }

    /// Every endpoint, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> &[Endpoint] {
        &self.0
    }
}

impl Endpoint {
    fn standing(&self) -> MutexGuard<'_, EndpointStanding> {
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
                endpoint = self.client.url(),
                failures = standing.failures,
                "endpoint answers again"
            );
        }
        standing.failures = 0;
        standing.pauses = pauses();
        standing.failed_until = None;
    }

    /// It gave no answer, or none that makes sense.
    pub fn failed(&self, now: Instant, why: &str) {
        self.set_aside(now, why, true);
    }

    /// It says itself that it has no answer yet: it starts, or its chain does.
    pub fn is_not_ready(&self, now: Instant, why: &str) {
        self.set_aside(now, why, false);
    }

    fn set_aside(&self, now: Instant, why: &str, is_wrong: bool) {
        let mut standing = self.standing();
        let pause = standing.pauses.next().unwrap_or(LONGEST_ASIDE);
        standing.failures = standing.failures.saturating_add(1);
        standing.failed_until = Some(now + pause);
        let (endpoint, aside_ms) = (self.client.url(), pause.as_millis());
        // Said once until it answers again: an endpoint may be away for hours.
        if standing.failures == 1 && is_wrong {
            tracing::warn!(endpoint, why, aside_ms, "endpoint failed");
        } else {
            tracing::debug!(
                endpoint,
                why,
                aside_ms,
                failures = standing.failures,
                "endpoint failed again"
            );
        }
    }

    /// It gave an answer that is proven wrong.
    pub fn lied(&self, now: Instant, why: &str) {
        self.standing().liar_until = Some(now + LIAR_ASIDE);
        tracing::error!(
            endpoint = self.client.url(),
            why,
            aside_s = LIAR_ASIDE.as_secs(),
            "endpoint gave a false answer"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> Endpoints {
        Endpoints::new(
            &["http://127.0.0.1:1".into(), "http://127.0.0.1:2".into()],
            None,
        )
        .unwrap()
    }

    fn urls(endpoints: &Endpoints, now: Instant) -> Vec<&str> {
        endpoints
            .available(now)
            .into_iter()
            .map(|endpoint| endpoint.client.url())
            .collect()
    }

    #[test]
    fn who_fails_is_set_aside_and_comes_back() {
        let (endpoints, start) = (endpoints(), Instant::now());
        endpoints.all()[0].failed(start, "test");
        assert_eq!(urls(&endpoints, start), ["http://127.0.0.1:2"]);
        let later = start + FIRST_ASIDE;
        assert_eq!(urls(&endpoints, later).len(), 2);
        endpoints.all()[0].failed(later, "test");
        assert_eq!(
            urls(&endpoints, later + FIRST_ASIDE).len(),
            1,
            "the second time is longer"
        );
        endpoints.all()[0].fine();
        assert_eq!(urls(&endpoints, later).len(), 2);
    }

    #[test]
    fn a_liar_stays_away_longer_and_somebody_is_always_asked() {
        let (endpoints, start) = (endpoints(), Instant::now());
        endpoints.all()[0].lied(start, "test");
        let later = start + LONGEST_ASIDE;
        assert_eq!(urls(&endpoints, later), ["http://127.0.0.1:2"]);
        endpoints.all()[1].failed(later, "test");
        assert_eq!(
            urls(&endpoints, later),
            ["http://127.0.0.1:2"],
            "its time ends first"
        );
    }

    #[test]
    fn neither_a_failure_nor_a_true_answer_shortens_a_liar_s_time() {
        for after in [
            |liar: &Endpoint, now| liar.failed(now, "test"),
            |liar: &Endpoint, _| liar.fine(),
        ] {
            let (endpoints, start) = (endpoints(), Instant::now());
            endpoints.all()[0].lied(start, "test");
            after(&endpoints.all()[0], start);
            assert_eq!(
                urls(&endpoints, start + LONGEST_ASIDE),
                ["http://127.0.0.1:2"]
            );
            assert_eq!(urls(&endpoints, start + LIAR_ASIDE).len(), 2);
        }
    }

    #[test]
    fn the_order_is_a_circle() {
        let (endpoints, now) = (endpoints(), Instant::now());
        for (first, port) in [(0, "1"), (1, "2"), (2, "1"), (usize::MAX, "2")] {
            let order: Vec<_> = endpoints
                .available_from(first, now)
                .iter()
                .map(|endpoint| endpoint.client.url())
                .collect();
            assert_eq!(order.len(), 2);
            assert!(order[0].ends_with(port), "{first}: {order:?}");
        }
    }
}
