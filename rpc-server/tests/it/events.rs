//! The long poll.

use std::time::{Duration, Instant};

use rpc::model::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use types::hash::BlockId;
use types::number::{Height, Timestamp};

use crate::fake::{FIRST, request, start, within};

const LONG: Duration = Duration::from_secs(20);

fn block(height: u64) -> Event {
    Event::Block {
        height: Height(height),
        id: BlockId::default(),
        time: Timestamp(height),
        transactions: 1,
    }
}

#[tokio::test]
async fn without_a_cursor_the_newest_is_given_at_once() {
    let running = start().await;
    running.fake.log.extend([block(1), block(2)]);
    let page = running.client.events(None, LONG, 10).await.unwrap();
    assert_eq!((page.cursor, page.events), (FIRST + 2, vec![]));
    assert_eq!(running.client.status().await.unwrap().cursor, FIRST + 2);
}

#[tokio::test]
async fn a_poll_waits_for_the_first_event() {
    let running = start().await;
    let polling = tokio::spawn({
        let client = running.client.clone();
        async move { client.events(Some(FIRST), LONG, 10).await }
    });
    // Whether the poll arrives before or after the event, it sees it.
    tokio::task::yield_now().await;
    running.fake.log.extend([block(1)]);
    let page = within("the event", polling).await.unwrap().unwrap();
    assert_eq!((page.cursor, page.events), (FIRST + 1, vec![block(1)]));
}

#[tokio::test]
async fn a_poll_without_events_ends_with_its_wait_and_the_same_cursor() {
    let running = start().await;
    let begun = Instant::now();
    let page = running
        .client
        .events(Some(FIRST), Duration::from_millis(150), 10)
        .await
        .unwrap();
    assert_eq!((page.cursor, page.events), (FIRST, vec![]));
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn pages_are_limited_and_lose_nothing() {
    let running = start().await;
    running.fake.log.extend((0..5).map(block));
    let (mut cursor, mut seen) = (FIRST, Vec::new());
    while seen.len() < 5 {
        let page = running.client.events(Some(cursor), LONG, 2).await.unwrap();
        assert!(!page.events.is_empty() && page.events.len() <= 2);
        seen.extend(page.events);
        cursor = page.cursor;
    }
    assert_eq!(seen, (0..5).map(block).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cursor_that_is_gone_says_so() {
    let running = start().await;
    running.fake.log.extend((0..20).map(block));
    for (cursor, code) in [
        (0, "cursor_too_old"),
        (FIRST, "cursor_too_old"),
        (FIRST + 21, "cursor_ahead"),
    ] {
        let error = running
            .client
            .events(Some(cursor), LONG, 10)
            .await
            .unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (code, false));
        let answer = request(
            running.address,
            "GET",
            &format!("/v1/events?cursor={cursor}"),
        )
        .await;
        assert_eq!((answer.status, answer.code().as_str()), (410, code));
    }
    for query in [
        "cursor=-1",
        "cursor=x",
        "cursor=1&wait_ms=x",
        "limit=-1",
        "unknown=1",
        "cursor=1&cursor=2",
    ] {
        let answer = request(running.address, "GET", &format!("/v1/events?{query}")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_query"),
            "{query}"
        );
    }
}

/// The stream from a cursor on, read to its end.
async fn streamed(address: std::net::SocketAddr, query: &str, header: &str) -> crate::fake::Answer {
    let head = format!(
        "GET /v1/events/stream{query} HTTP/1.1\r\nHost: {address}\r\n{header}Connection: close\r\n\r\n"
    );
    crate::fake::raw(address, head.as_bytes()).await
}

#[tokio::test]
async fn a_stream_gives_each_event_with_the_cursor_after_it_and_goes_on_from_the_last() {
    let running = start().await;
    running.fake.log.extend((1..=3).map(block));
    let answer = streamed(running.address, &format!("?cursor={FIRST}&wait_ms=0"), "").await;
    assert_eq!(answer.status, 200);
    let text = crate::document::unchunked(&answer.body);
    let ids: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok())
        .collect();
    assert_eq!(ids, [FIRST + 1, FIRST + 2, FIRST + 3], "{text}");
    let header = format!("Last-Event-ID: {}\r\n", FIRST + 2);
    let query = format!("?cursor={FIRST}&wait_ms=0");
    let rest = streamed(running.address, &query, &header).await;
    let rest = crate::document::unchunked(&rest.body);
    assert!(
        rest.contains("\"height\":3") && !rest.contains("\"height\":2"),
        "{rest}"
    );
}

#[tokio::test]
async fn a_stream_from_a_cursor_that_cannot_be_read_is_refused() {
    let running = start().await;
    for (query, header, status, code) in [
        (format!("?cursor={}", FIRST - 1), "", 410, "cursor_too_old"),
        (format!("?cursor={}", FIRST + 9), "", 410, "cursor_ahead"),
        (String::new(), "Last-Event-ID: x\r\n", 400, "bad_query"),
        ("?limit=3".to_owned(), "", 400, "bad_query"),
    ] {
        let answer = streamed(running.address, &query, header).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{query}"
        );
    }
}

/// A connection on which a stream has begun.
async fn begun(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /v1/events/stream HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"retry: 500\n\n\r\n") {
        text.push(within("the preface", stream.read_u8()).await.unwrap());
    }
    stream
}

#[tokio::test]
async fn streams_take_places_of_the_polls_until_they_end() {
    let mut config = crate::fake::config();
    config.max_waiting = 2;
    config.address_percent = 100;
    let running = crate::fake::start_with(config).await;
    let address = running.address;
    let mut streams = [begun(address).await, begun(address).await];
    let refused = streamed(address, "?wait_ms=0", "").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "overloaded")
    );
    // A stream ends when the server stops; what happened before that was given.
    running.fake.log.extend([block(7)]);
    let mut given = vec![0; 6];
    for stream in &mut streams {
        within("an event", stream.read_exact(&mut given))
            .await
            .unwrap();
    }
    running.server.shutdown().await;
    for stream in &mut streams {
        let mut rest = String::new();
        within("the end", stream.read_to_string(&mut rest))
            .await
            .unwrap();
        assert!(rest.contains("\"height\":7"), "{rest}");
        assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    }
}
