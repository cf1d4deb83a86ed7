//! The server of metrics: one text, behind the same check of hosts as the HTTP interface.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use gridproof_rpc_server::Server;

use crate::fake::{Answer, raw, request};

async fn start() -> Server {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let hosts = ["metrics.example".to_owned()];
    let text = Arc::new(|| "a_total 1\n# EOF\n".to_owned());
    Server::exposition(listen, &hosts, text).await.unwrap()
}

async fn named(address: SocketAddr, host: &str) -> Answer {
    let head = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    raw(address, head.as_bytes()).await
}

#[tokio::test]
async fn the_text_is_at_its_path_and_nothing_else_is_there() {
    let server = start().await;
    let address = server.local_address();
    let answer = request(address, "GET", "/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, b"a_total 1\n# EOF\n");
    let kind = "content-type: application/openmetrics-text; version=1.0.0";
    assert!(answer.head.contains(kind), "{}", answer.head);
    for path in ["/", "/v1/status", "/livez"] {
        let answer = request(address, "GET", path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "route_not_found"),
            "{path}"
        );
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_foreign_name_is_refused_with_the_key_that_admits_it() {
    let server = start().await;
    let address = server.local_address();
    for host in [
        "localhost",
        "127.0.0.1:9",
        "metrics.example",
        "METRICS.example:9100",
    ] {
        assert_eq!(named(address, host).await.status, 200, "{host}");
    }
    let refused = named(address, "evil.example").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "foreign_host")
    );
    let hint = refused.json()["hint"].to_string();
    assert!(hint.contains("metrics.allowed_hosts"), "{hint}");
}
