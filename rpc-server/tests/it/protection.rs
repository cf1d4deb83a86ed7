//! Web pages of other origins, foreign names, and panics.

use std::net::SocketAddr;

use crate::fake::{Answer, PANIC, config, raw, request, start, start_with};

async fn with_headers(address: SocketAddr, target: &str, headers: &str) -> Answer {
    raw(
        address,
        format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").as_bytes(),
    )
    .await
}

#[tokio::test]
async fn only_known_hosts_are_served() {
    let mut config = config();
    config.allowed_hosts = vec!["Node1.example".to_owned()];
    let running = start_with(config).await;
    let (address, port) = (running.address, running.address.port());
    for host in [
        format!("127.0.0.1:{port}"),
        "127.0.0.1".to_owned(),
        format!("localhost:{port}"),
        "LOCALHOST".to_owned(),
        format!("[::1]:{port}"),
        "127.9.9.9".to_owned(),
        "node1.example".to_owned(),
        format!("NODE1.EXAMPLE:{port}"),
    ] {
        let answer = with_headers(address, "/v1/status", &format!("Host: {host}\r\n")).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[2001:db8::1]",
        "localhost:80:80",
        "evil.example:80",
        "",
        "user@localhost",
    ] {
        let answer = with_headers(address, "/v1/status", &format!("Host: {host}\r\n")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "foreign_host"),
            "{host}"
        );
    }
    for headers in ["", "Host: localhost\r\nHost: localhost\r\n"] {
        let answer = with_headers(address, "/v1/status", headers).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "no_host"),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn an_absolute_target_counts_as_host_and_must_agree() {
    let running = start().await;
    let address = running.address;
    let own = format!("http://{address}/v1/status");
    assert_eq!(
        with_headers(address, &own, &format!("Host: {address}\r\n"))
            .await
            .status,
        200
    );
    let foreign = with_headers(
        address,
        "http://evil.example/v1/status",
        &format!("Host: {address}\r\n"),
    )
    .await;
    assert_eq!(
        (foreign.status, foreign.code().as_str()),
        (403, "foreign_host")
    );
    let differing = with_headers(address, &own, "Host: evil.example\r\n").await;
    assert_eq!(
        (differing.status, differing.code().as_str()),
        (403, "foreign_host")
    );
}

#[tokio::test]
async fn foreign_origins_are_refused() {
    let running = start().await;
    let address = running.address;
    let ask = async |origin: &str| {
        with_headers(
            address,
            "/v1/status",
            &format!("Host: {address}\r\nOrigin: {origin}\r\n"),
        )
        .await
    };
    assert_eq!(ask(&format!("http://{address}")).await.status, 200);
    for origin in [
        "http://evil.example",
        "null",
        "https://127.0.0.1",
        "http://localhost",
        "file://",
        "",
    ] {
        let answer = ask(origin).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "foreign_origin"),
            "{origin}"
        );
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
}

#[tokio::test]
async fn every_route_is_protected() {
    let running = start().await;
    for path in gridproof_rpc_server::paths()
        .into_iter()
        .chain(["/nowhere"])
    {
        // Whether the parameters are well formed comes later.
        let path = path.replace(['{', '}', '*'], "x");
        let answer = with_headers(running.address, &path, "Host: evil.example\r\n").await;
        let refused = (answer.status, answer.code());
        assert_eq!(refused, (403, "foreign_host".to_owned()), "{path}");
        let origin = "Host: localhost\r\nOrigin: http://evil.example\r\n";
        let answer = with_headers(running.address, &path, origin).await;
        let refused = (answer.status, answer.code());
        assert_eq!(refused, (403, "foreign_origin".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_an_error_and_not_the_end() {
    let running = start().await;
    let answer = request(running.address, "GET", &format!("/v1/accounts/{PANIC}")).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert!(
        !String::from_utf8_lossy(&answer.body).contains("asked for"),
        "the panic's text stays inside"
    );
    running.client.status().await.unwrap();
}
