//! What the server bears: connections, requests, bytes, time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gridproof_rpc_server::{Server, ServerError};
use rpc::limits::{MAX_CHUNK_BODY_BYTES, MAX_REQUEST_BYTES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use types::hash::Hash32;

use crate::fake::{Fake, Running, SLOW, config, raw, request, send, start, start_with, within};
use crate::samples;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn bodies_above_their_limit_are_refused_by_announcement_and_by_count() {
    let running = start().await;
    let chunk = format!("/v1/blobs/{}/5/chunks/0?job={}", Hash32::ZERO, samples::JOB);
    for (method, path, limit) in [
        ("POST", "/v1/transactions", MAX_REQUEST_BYTES),
        ("POST", "/v1/estimate", MAX_REQUEST_BYTES),
        ("PUT", chunk.as_str(), MAX_CHUNK_BODY_BYTES),
    ] {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let announced = format!("{head}Content-Length: {}\r\n\r\n", u64::MAX / 2);
        let answer = raw(running.address, announced.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (413, "body_too_large"),
            "{path}"
        );
        // Without an announcement the bytes are counted; the client here sends all of them before it reads.
        let chunked = format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
            limit + 1
        );
        let body = [chunked.as_bytes(), &vec![0; limit + 1], b"\r\n0\r\n\r\n"].concat();
        let answer = raw(running.address, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (413, "body_too_large"),
            "{path}"
        );
        let answer = send(running.address, method, path, &vec![0; limit]).await;
        assert_ne!(answer.status, 413, "{path}");
    }
}

#[tokio::test]
async fn a_request_takes_its_time_at_most() {
    let mut config = config();
    config.request_timeout = SHORT;
    let running = start_with(config).await;
    let answer = request(running.address, "GET", &format!("/v1/accounts/{SLOW}")).await;
    assert_eq!((answer.status, answer.code().as_str()), (504, "timeout"));
    let dripped =
        "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nonly this";
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(dripped.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    within("the answer to half a body", stream.read_exact(&mut start))
        .await
        .unwrap();
    assert_eq!(&start, b"HTTP/1.1 504");
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_cut_off() {
    let mut config = config();
    config.client_timeout = SHORT;
    let running = start_with(config).await;
    for head in [
        "",
        "GET",
        "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    ] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        writer.write_all(head.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let dripping = async {
            let mut tick = tokio::time::interval(SHORT / 10);
            // Each byte is progress, and none of them moves the deadline.
            while !head.is_empty() && writer.write_all(b"x").await.is_ok() {
                tick.tick().await;
            }
            std::future::pending::<()>().await;
        };
        let cut = within("the cut", async {
            tokio::select! {
                read = reader.read_to_end(&mut rest) => read,
                () = dripping => Ok(0),
            }
        });
        // Closed with or without a reset.
        let _ = cut.await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{head:?}");
    }
    running.client.status().await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_ends_and_a_busy_one_does_not() {
    let mut config = config();
    (config.client_timeout, config.request_timeout) = (SHORT, SHORT * 20);
    let running = start_with(config).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let mut answers = 0;
    let mut buffer = vec![0; 4_096];
    let poll = format!(
        "GET /v1/events?cursor={}&wait_ms=600 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        crate::fake::FIRST
    );
    for _ in 0..2 {
        // Longer than a client may take: but here the node is the one who owes.
        stream.write_all(poll.as_bytes()).await.unwrap();
        let read = within("the end of the poll", stream.read(&mut buffer))
            .await
            .unwrap();
        assert!(
            buffer[..read].starts_with(b"HTTP/1.1 200"),
            "{:?}",
            String::from_utf8_lossy(&buffer[..read])
        );
        answers += 1;
    }
    assert_eq!(answers, 2);
    let _ = within(
        "the end of the idle connection",
        stream.read_to_end(&mut buffer),
    )
    .await;
}

/// Asks for a large answer and reads nothing but its start.
async fn ask_and_not_read(running: &Running) -> TcpStream {
    running.fake.large.store(true, Ordering::SeqCst);
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream
        .write_all(b"GET /v1/genesis HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    within("the answer's start", stream.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    let mut config = config();
    config.client_timeout = SHORT;
    let running = start_with(config).await;
    let mut stream = ask_and_not_read(&running).await;
    // The deadline passes while the client waits for another that idles from now on: it is cut off later.
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let mut rest = Vec::new();
    let _ = within("the end of an idle connection", idle.read_to_end(&mut rest)).await;
    rest.clear();
    let _ = within("the cut", stream.read_to_end(&mut rest)).await;
    assert!(
        rest.len() < crate::fake::LARGE,
        "all {} bytes came",
        rest.len()
    );
}

#[tokio::test]
async fn large_answers_that_nobody_takes_are_bounded_together() {
    let mut config = config();
    config.max_unsent_bytes = 3 * crate::fake::LARGE;
    config.client_timeout = Duration::from_mins(1);
    config.address_percent = 100;
    let running = start_with(config).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(ask_and_not_read(&running).await);
    }
    let error = running.client.genesis().await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("overloaded", true));
    running.client.status().await.unwrap();
    drop(held);
    within("room again", async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while request(running.address, "GET", "/v1/genesis").await.status != 200 {
            tick.tick().await;
        }
    })
    .await;
    let whole = request(running.address, "GET", "/v1/genesis").await;
    assert_eq!(whole.body.len(), crate::fake::LARGE);
    assert!(
        whole
            .head
            .contains(&format!("content-length: {}", crate::fake::LARGE))
    );
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let running = start().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = format!(
        "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Long: {}",
        "x".repeat(200_000)
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let mut rest = Vec::new();
    let _ = within("the cut", stream.read_to_end(&mut rest)).await;
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    running.client.status().await.unwrap();
}

/// Asks for what the node never answers.
async fn ask_slowly(running: &Running) -> TcpStream {
    let slow = format!("GET /v1/accounts/{SLOW} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(slow.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn too_many_connections_are_told_to_come_back() {
    let mut config = config();
    (config.max_connections, config.request_timeout) = (4, Duration::from_mins(1));
    let running = start_with(config).await;
    // The node owes an answer on each of them, so none makes room.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(ask_slowly(&running).await);
    }
    within("all four requests", async {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while running.fake.slow.load(Ordering::SeqCst) < 4 {
            tick.tick().await;
        }
    })
    .await;
    for n in 0..300 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let mut all = Vec::new();
        let _ = within("the refusal", stream.read_to_end(&mut all)).await;
        let text = String::from_utf8_lossy(&all);
        assert!(
            text.starts_with("HTTP/1.1 503") && text.contains("too_many_connections"),
            "the connection {n} read {text:?}"
        );
    }
    drop(held);
    within("room", async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while running.client.status().await.is_err() {
            tick.tick().await;
        }
    })
    .await;
}

#[tokio::test]
async fn requests_beyond_the_room_are_shed_and_liveness_is_not() {
    let mut config = config();
    (
        config.max_requests,
        config.max_waiting,
        config.request_timeout,
    ) = (1, 1, Duration::from_mins(1));
    let running = start_with(config).await;
    let busy = ask_slowly(&running).await;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let error = within("shedding", async {
        loop {
            tick.tick().await;
            if let Err(error) = running.client.status().await {
                return error;
            }
        }
    })
    .await;
    assert_eq!((error.code(), error.is_retryable()), ("overloaded", true));
    running.client.live().await.unwrap();
    // Long polls have room of their own.
    running
        .client
        .events(None, Duration::ZERO, 1)
        .await
        .unwrap();
    drop(busy);
    within("room again", async {
        while running.client.status().await.is_err() {
            tick.tick().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_ends_polls_and_connections() {
    let mut config = config();
    config.max_waiting = 1;
    let running = start_with(config).await;
    let idle = TcpStream::connect(running.address).await.unwrap();
    let polling = tokio::spawn({
        let client = running.client.clone();
        async move {
            client
                .events(Some(crate::fake::FIRST), Duration::from_secs(20), 10)
                .await
        }
    });
    within("the poll's arrival", async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while running.client.events(None, Duration::ZERO, 1).await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let half = "GET /v1/status HTTP/1.1\r\nHost:";
    let mut unfinished = TcpStream::connect(running.address).await.unwrap();
    unfinished.write_all(half.as_bytes()).await.unwrap();
    let address = running.address;
    drop(idle);
    drop(unfinished);
    within("the shutdown", running.server.shutdown()).await;
    // Aborted, it would have no answer.
    assert!(
        within("the end of the poll", polling)
            .await
            .unwrap()
            .unwrap()
            .events
            .is_empty()
    );
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let running = start().await;
    let mut config = config();
    config.listen = running.address;
    let error = Server::start(config, Fake::new()).await.unwrap_err();
    let ServerError::Listen { address, .. } = &error;
    assert_eq!(*address, running.address);
    assert!(error.to_string().contains(&running.address.to_string()));
}
