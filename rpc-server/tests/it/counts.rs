//! Answered requests are counted by route and outcome; strangers choose no name.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use gridproof_rpc_server::{Server, calls, paths};
use serde_json::json;

use crate::fake::{PANIC, raw, request, start};
use crate::grpc::{call, connect};

fn counted(server: &Server) -> BTreeSet<(String, &'static str, u64)> {
    let all = server.requests().all();
    all.map(|(route, outcome, count)| (route.to_owned(), outcome.name(), count))
        .collect()
}

#[tokio::test]
async fn requests_are_counted_by_route_and_outcome() {
    let running = start().await;
    let panics = format!("/v1/accounts/{PANIC}");
    for path in [
        "/v1/status",
        "/v1/status",
        "/v1/jobs/x",
        "/v1/no/such",
        &panics,
    ] {
        request(running.address, "GET", path).await;
    }
    let foreign = b"GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    raw(running.address, foreign).await;
    running.fake.ready.store(false, Ordering::SeqCst);
    request(running.address, "GET", "/readyz").await;
    let channel = connect(running.address).await;
    let status = "/gridproof.v1.Chain/GetStatus";
    call(&channel, status, &json!({})).await.unwrap();
    let job = "/gridproof.v1.Jobs/GetJob";
    call(&channel, job, &json!({ "id": "x" }))
        .await
        .unwrap_err();
    let expected = [
        ("/v1/status", "answered", 2),
        ("/v1/status", "refused", 1),
        ("/v1/jobs/{id}", "refused", 1),
        ("/v1/accounts/{address}", "failed", 1),
        ("/readyz", "shed", 1),
        ("other", "refused", 1),
        (status, "answered", 1),
        (job, "refused", 1),
    ];
    let expected = expected.map(|(route, outcome, count)| (route.to_owned(), outcome, count));
    assert_eq!(counted(&running.server), expected.into());
}

#[tokio::test]
async fn every_route_has_its_own_count_and_all_else_has_one() {
    let running = start().await;
    let routes = paths().into_iter().map(str::to_owned);
    let routes: BTreeSet<_> = routes
        .chain(calls().into_iter().map(|(path, _)| path))
        .collect();
    for route in &routes {
        // No route deletes anything.
        let path: Vec<_> = route.split('/').collect();
        let path = path
            .iter()
            .map(|part| if part.starts_with('{') { "1" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        request(running.address, "DELETE", &path).await;
    }
    for n in 0..30 {
        request(running.address, "GET", &format!("/{n}")).await;
    }
    let once = routes.into_iter().map(|route| (route, "refused", 1));
    let other = ("other".to_owned(), "refused", 30);
    assert_eq!(counted(&running.server), once.chain([other]).collect());
}
