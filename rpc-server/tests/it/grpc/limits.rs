//! Calls by gRPC have the places, shares, times and bytes of requests by HTTP.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;

use super::{call, connect, streamed};
use crate::fake::{LARGE, SLOW, config, request, start, start_with, within};

const ACCOUNT: &str = "/gridproof.v1.Chain/GetAccount";
/// What a client of HTTP/2 begins with: the preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn calls_and_requests_share_the_places() {
    let mut config = config();
    config.max_requests = 2;
    config.address_percent = 100;
    let running = start_with(config).await;
    let channel = connect(running.address).await;
    let slow = json!({ "address": SLOW });
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let (channel, slow) = (channel.clone(), slow.clone());
            tokio::spawn(async move { call(&channel, ACCOUNT, &slow).await })
        })
        .collect();
    let both = async {
        while running.fake.slow.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    within("two calls", both).await;
    let refused = call(&channel, ACCOUNT, &slow).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let status = request(running.address, "GET", "/v1/status").await.status;
    assert_eq!(status, 503);
    // A call that is given up gives its place back.
    for call in calls {
        call.abort();
    }
    let free = async { while request(running.address, "GET", "/v1/status").await.status != 200 {} };
    within("a free place", free).await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_refused() {
    let mut config = config();
    config.request_timeout = Duration::from_millis(50);
    let running = start_with(config).await;
    let channel = connect(running.address).await;
    let late = call(&channel, ACCOUNT, &json!({ "address": SLOW })).await;
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused() {
    let running = start().await;
    let channel = connect(running.address).await;
    let long = json!({ "address": "0".repeat(6_000) });
    let refused = call(&channel, ACCOUNT, &long).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}

#[tokio::test]
async fn a_foreign_name_is_refused() {
    let running = start().await;
    let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let endpoint = endpoint.origin("http://evil.example".parse().unwrap());
    let channel = endpoint.connect().await.unwrap();
    let refused = call(&channel, "/gridproof.v1.Chain/GetStatus", &json!({})).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn streams_take_places_of_the_polls() {
    let mut config = config();
    config.max_waiting = 1;
    config.address_percent = 100;
    let running = start_with(config).await;
    let channel = connect(running.address).await;
    let poll = {
        let channel = channel.clone();
        tokio::spawn(async move { streamed(&channel, &json!({})).await })
    };
    let refused = async {
        loop {
            let status = request(running.address, "GET", "/v1/events?wait_ms=0")
                .await
                .status;
            if status == 503 {
                return;
            }
        }
    };
    within("a refusal", refused).await;
    running.server.shutdown().await;
    let (events, _) = within("the end", poll).await.unwrap();
    assert!(events.is_empty());
}

#[tokio::test]
async fn a_connection_that_says_nothing_more_is_cut_off() {
    let mut config = config();
    config.client_timeout = Duration::from_millis(100);
    let running = start_with(config).await;
    for begun in [PREFACE, &PREFACE[..2]] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        // Cut off with or without a farewell.
        let _ = within("the end", stream.read_to_end(&mut rest)).await;
    }
}

/// A frame of HTTP/2 on the first stream, or on none.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A call of the genesis on the first stream, whose answers are never taken: the head is literal, without a table.
fn genesis_call(authority: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", authority),
        (":path", "/gridproof.v1.Chain/GetGenesis"),
        ("content-type", "application/grpc"),
    ] {
        head.push(0);
        for text in [name, value] {
            head.push(u8::try_from(text.len()).unwrap());
            head.extend(text.as_bytes());
        }
    }
    [frame(1, 4, 1, &head), frame(0, 1, 1, &[0; 5])].concat()
}

#[tokio::test]
async fn who_does_not_take_an_answer_is_cut_off() {
    let mut config = config();
    config.client_timeout = Duration::from_millis(300);
    let running = start_with(config).await;
    running.fake.large.store(true, Ordering::SeqCst);
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let call = genesis_call(&running.address.to_string());
    stream.write_all(&[PREFACE, &call].concat()).await.unwrap();
    let mut taken = Vec::new();
    // All that comes without a wider window, then the end.
    let _ = within("the end", stream.read_to_end(&mut taken)).await;
    assert!(
        taken.len() > 60_000 && taken.len() < LARGE,
        "{}",
        taken.len()
    );
}

#[tokio::test]
async fn http2_is_not_spoken_where_grpc_is_off() {
    let mut config = config();
    config.grpc = false;
    let running = start_with(config).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let channel = endpoint.connect_lazy();
    assert!(
        call(&channel, "/gridproof.v1.Chain/GetStatus", &json!({}))
            .await
            .is_err()
    );
    assert_eq!(
        request(running.address, "GET", "/v1/status").await.status,
        200
    );
}
