//! The long poll.

use std::time::{Duration, Instant};

use rpc::model::Event;
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
