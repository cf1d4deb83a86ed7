//! How many requests were answered, by route and outcome. What strangers choose is in no name: a path that is no route is
//! counted as [`OTHER`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

/// What is no route.
const OTHER: &str = "other";

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// With what was asked for.
    Answered,
    /// With a fault of the asker: 4xx.
    Refused,
    /// With a request to come again, for want of room or time: 503 and 504.
    Shed,
    /// With a fault of the node: 5xx.
    Failed,
}

impl RequestOutcome {
    const ALL: [Self; 4] = [Self::Answered, Self::Refused, Self::Shed, Self::Failed];

    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            503 | 504 => Self::Shed,
            500.. => Self::Failed,
            400.. => Self::Refused,
            _ => Self::Answered,
        }
    }

    /// The name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Shed => "shed",
            Self::Failed => "failed",
        }
    }
}

type Counts = [AtomicU64; RequestOutcome::ALL.len()];

/// Requests that a server answered. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct RequestCounts(Arc<BTreeMap<String, Counts>>);

impl RequestCounts {
    /// Of these routes, and of everything else together.
    pub(crate) fn of(routes: impl IntoIterator<Item = String>) -> Self {
        let routes = routes.into_iter().chain([OTHER.to_owned()]);
        Self(Arc::new(
            routes.map(|route| (route, Counts::default())).collect(),
        ))
    }

    /// Every route and outcome that there was, with how often.
    pub fn all(&self) -> impl Iterator<Item = (&str, RequestOutcome, u64)> {
        let all = self.0.iter().flat_map(|(route, counts)| {
            let counts = RequestOutcome::ALL.into_iter().zip(counts);
            counts.map(|(outcome, count)| (route.as_str(), outcome, count.load(Ordering::Relaxed)))
        });
        all.filter(|(_, _, count)| *count > 0)
    }

    fn add(&self, route: &str, outcome: RequestOutcome) {
        let counts = self.0.get(route).or_else(|| self.0.get(OTHER));
        let mut of = counts
            .into_iter()
            .flat_map(|counts| RequestOutcome::ALL.into_iter().zip(counts));
        if let Some((_, count)) = of.find(|(other, _)| *other == outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The layer that counts what is answered, whatever refused it. gRPC's words come later: here a call has a status of HTTP.
pub(crate) async fn count(
    State(counts): State<RequestCounts>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(OTHER, MatchedPath::as_str);
    counts.add(route, RequestOutcome::of(response.status()));
    response
}
