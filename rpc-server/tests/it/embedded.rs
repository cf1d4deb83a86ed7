//! The routes behind a host that passes requests on: no socket, no name to check, and whole answers.

use gridproof_rpc_server::{EmbeddedServer, PassedAnswer, PassedRequest};

use crate::fake::{Fake, PANIC, config, within};

fn passed(method: &str, target: &str) -> PassedRequest {
    PassedRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

fn code(answer: &PassedAnswer) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    body["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_passed_request_is_answered_as_over_a_socket() {
    let server = EmbeddedServer::new(&config(), Fake::new());
    let answer = server.answer(passed("GET", "/v1/status")).await;
    assert_eq!(answer.status, 200);
    let is_json = |(name, value): &(String, String)| {
        name == "content-type" && value.starts_with("application/json")
    };
    assert!(answer.headers.iter().any(is_json), "{:?}", answer.headers);
    let answer = server.answer(passed("GET", "/v2/status")).await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (404, "route_not_found")
    );
    let answer = server.answer(passed("POST", "/v1/status")).await;
    assert_eq!(answer.status, 405);
    let answer = server
        .answer(passed("GET", &format!("/v1/accounts/{PANIC}")))
        .await;
    assert_eq!((answer.status, code(&answer).as_str()), (500, "internal"));
}

#[tokio::test]
async fn pages_and_malformed_requests_are_refused() {
    let server = EmbeddedServer::new(&config(), Fake::new());
    let mut page = passed("GET", "/v1/status");
    page.headers
        .push(("Origin".to_owned(), "http://evil.example".to_owned()));
    let answer = server.answer(page).await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (403, "foreign_origin")
    );
    for (method, target, header) in [
        ("G T", "/v1/status", ("a", "b")),
        ("GET", "/v1/ status", ("a", "b")),
        ("GET", "", ("a", "b")),
        ("GET", "/v1/status", ("a b", "c")),
        ("GET", "/v1/status", ("a", "b\nc")),
    ] {
        let mut request = passed(method, target);
        let (name, value) = header;
        request.headers.push((name.to_owned(), value.to_owned()));
        let answer = server.answer(request).await;
        assert_eq!(answer.status, 400, "{method:?} {target:?} {header:?}");
    }
}

#[tokio::test]
async fn a_long_poll_ends_when_the_host_stops() {
    let server = EmbeddedServer::new(&config(), Fake::new());
    let target = format!("/v1/events?cursor={}&wait_ms=20000", crate::fake::FIRST);
    let poll = server.answer(passed("GET", &target));
    let stop = async {
        tokio::task::yield_now().await;
        server.stop();
    };
    let (answer, ()) = within("the end of the poll", async { tokio::join!(poll, stop) }).await;
    assert!(answer.status == 200 || answer.status == 503, "{answer:?}");
}
