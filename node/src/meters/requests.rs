//! Requests that the HTTP interface answered, read when somebody looks at the metrics.

use metrics::{Catalogue, Counter, Labelled};
use rpc_server::RequestCounts;

/// Requests by route and outcome. The server's routes bound how many there are.
pub(super) struct RequestMetrics(Labelled<Counter>);

impl RequestMetrics {
    pub(super) fn register(all: &mut Catalogue) -> Self {
        Self(all.counters(
            "gridproof_http_requests_total",
            &["route", "outcome"],
            "Requests by HTTP and gRPC that were answered, by route; what is no route is other.",
        ))
    }

    pub(super) fn refresh(&self, requests: &RequestCounts) {
        for (route, outcome, count) in requests.all() {
            self.0.of(&[route, outcome.name()]).set(count);
        }
    }
}
