//! The client against nodes that are away, slow, or none at all, and its waiting.

use std::net::SocketAddr;
use std::time::Duration;

use gridproof_rpc_server::Server;
use rpc::client::{JobNews, ServerNews};
use rpc::model::{Event, TransactionStatus};
use rpc::{Client, ClientError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use types::hash::TransactionId;
use types::job::Stage;
use types::number::{Attempt, Height};

use crate::fake::{DEADLINE, config, start, within};
use crate::samples;

#[test]
fn only_plain_urls_of_a_node_are_taken() {
    for url in [
        "http://127.0.0.1:26601",
        "http://localhost:1/",
        "http://[::1]:26601",
        "http://127.0.0.1:9650/ext/bc/2CA6j5zYzasynPsFeNoqWkmTCt3VScMvXUZHbfDJ8k3oGzAPtU/",
    ] {
        assert_eq!(Client::new(url).unwrap().url(), url.trim_end_matches('/'));
    }
    for url in [
        "",
        "127.0.0.1:26601",
        "https://127.0.0.1",
        "ftp://a",
        "http://a/v1",
        "http://a/ext/bc/x/v1/status",
        "http://a/?x=1",
        "http://a/#x",
        "http://user:word@a",
        "http://",
    ] {
        let error = Client::new(url).unwrap_err();
        assert!(matches!(error, ClientError::Url { .. }), "{url}");
        assert!(error.hint().contains("http://127.0.0.1:26601"));
    }
}

/// An address at which nobody listens, and the socket that keeps it from everybody else: it has the address and does not
/// listen.
fn deaf_address() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

#[tokio::test]
async fn no_connection_names_the_url_and_what_to_check() {
    let (address, _held) = deaf_address();
    let error = Client::new(&format!("http://{address}"))
        .unwrap()
        .status()
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::NoConnection { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("no connection to http://{address}: ")),
        "{error}"
    );
    assert!(
        error.to_string().contains("refused") && error.hint().contains("running"),
        "{error}"
    );
    assert!(error.is_retryable());
    assert_eq!(error.body().code, "no_connection");
}

/// A server that answers every connection with the same bytes.
async fn canned(bytes: Vec<u8>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::with_timeout(
        &format!("http://{}", listener.local_addr().unwrap()),
        DEADLINE,
    )
    .unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4_096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&bytes).await;
        }
    });
    client
}

#[tokio::test]
async fn answers_of_something_else_are_told_apart() {
    let ok = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let error = canned(ok("<html>")).await.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
    let error = canned(ok("{}")).await.status().await.unwrap_err();
    assert!(error.to_string().contains("chain_id"), "{error}");
    let error = canned(b"SSH-2.0-OpenSSH\r\n".to_vec())
        .await
        .status()
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Broken { .. } | ClientError::NoConnection { .. }
        ),
        "{error}"
    );
    let error = canned(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{".to_vec())
        .await
        .status()
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Broken { .. }) && error.is_retryable(),
        "{error}"
    );
    let error = canned(b"HTTP/1.1 502 Bad\r\ncontent-length: 3\r\n\r\nbad".to_vec())
        .await
        .status()
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("http_502", true));
    let redirect =
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(
        canned(redirect.to_vec())
            .await
            .status()
            .await
            .unwrap_err()
            .code(),
        "http_302"
    );
    let error = canned(ok("\x01\x02"))
        .await
        .proof(&types::state_key::StateKey::Chain)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let mut endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..40 {
        endless.extend_from_slice(b"8000\r\n");
        endless.extend_from_slice(&vec![b' '; 0x8000]);
        endless.extend_from_slice(b"\r\n");
    }
    let error = canned(endless).await.genesis().await.unwrap_err();
    assert!(
        matches!(error, ClientError::TooLarge { limit, .. } if limit == 1 << 20),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::with_timeout(&url, Duration::from_millis(200)).unwrap();
    let error = within("giving up", client.status()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Timeout { .. }) && error.is_retryable(),
        "{error}"
    );
}

#[tokio::test]
async fn waiting_for_a_transaction_ends_with_its_inclusion() {
    let running = start().await;
    let signed = samples::transaction();
    let id = signed.id();
    let waiting = tokio::spawn({
        let client = running.client.clone();
        async move { client.wait_transaction(id, DEADLINE).await }
    });
    running.client.submit(&signed).await.unwrap();
    running.fake.log.extend([Event::Transaction {
        id: TransactionId::default(),
        height: Height(8),
        failure: None,
    }]);
    running.fake.included.lock().unwrap().insert(id);
    running.fake.log.extend([Event::Transaction {
        id,
        height: Height(9),
        failure: None,
    }]);
    let status = within("the inclusion", waiting).await.unwrap().unwrap();
    assert!(matches!(
        status,
        TransactionStatus::Included {
            height: Height(9),
            ..
        }
    ));
}

#[tokio::test]
async fn waiting_gives_up_in_time_and_says_for_what() {
    let running = start().await;
    let id = samples::transaction().id();
    let error = running
        .client
        .wait_transaction(id, Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::WaitedTooLong { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&id.to_string()), "{error}");
}

#[tokio::test]
async fn waiting_for_a_job_shows_each_state_and_survives_a_lost_cursor() {
    let running = start().await;
    *running.fake.stage.lock().unwrap() = Some(samples::pending());
    let (seen, mut states) = tokio::sync::mpsc::unbounded_channel();
    let waiting = tokio::spawn({
        let client = running.client.clone();
        async move {
            let done = |news: JobNews<'_>| {
                let JobNews::State(view) = news else {
                    return false;
                };
                let _ = seen.send(view.stage.clone());
                !view.live
            };
            client.wait_job(samples::JOB, DEADLINE, done).await
        }
    });
    assert_eq!(
        within("the first state", states.recv()).await.unwrap(),
        "pending"
    );
    *running.fake.stage.lock().unwrap() = Some(Stage::Settled);
    // More events than the ring holds: the waiter's cursor is lost, and it must look anew.
    let event = |n: u16| Event::Job {
        job: samples::JOB,
        stage: "settled".to_owned(),
        attempt: Attempt(n),
        height: Height(9),
    };
    running.fake.log.extend((0..100).map(event));
    let view = within("the settlement", waiting).await.unwrap().unwrap();
    assert_eq!(view.stage, "settled");
    let mut last = String::new();
    while let Some(state) = states.recv().await {
        last = state;
    }
    assert_eq!(last, "settled");
}

#[tokio::test]
async fn waiting_outlives_a_restart_of_the_node() {
    let running = start().await;
    let id = samples::transaction().id();
    running.fake.waiting.lock().unwrap().insert(id);
    let (address, fake) = (running.address, running.fake.clone());
    let waiting = tokio::spawn({
        let client = running.client.clone();
        async move { client.wait_transaction(id, DEADLINE).await }
    });
    within("the shutdown", running.server.shutdown()).await;
    fake.included.lock().unwrap().insert(id);
    let mut config = config();
    config.listen = address;
    let server = Server::start(config, fake).await.unwrap();
    assert!(within("the inclusion", waiting).await.unwrap().is_ok());
    server.shutdown().await;
}

/// A client of these nodes, the first of which is asked first.
fn client_of(nodes: &[SocketAddr]) -> Client {
    Client::of(
        &nodes
            .iter()
            .map(|address| format!("http://{address}"))
            .collect::<Vec<_>>(),
    )
    .unwrap()
}

#[tokio::test]
async fn the_next_server_answers_where_one_does_not() {
    let ((dead, _held), alive) = (deaf_address(), start().await);
    let client = client_of(&[dead, alive.address]);
    assert_eq!(client.url(), format!("http://{dead}"));
    client.status().await.unwrap();
    assert_eq!(
        client.url(),
        format!("http://{}", alive.address),
        "it is asked from then on"
    );
    assert!(
        client_of(&[dead, alive.address])
            .submit(&samples::transaction())
            .await
            .is_ok(),
        "nobody had heard it"
    );
    let (second, _held_too) = deaf_address();
    let error = client_of(&[dead, second]).status().await.unwrap_err();
    assert!(
        matches!(error, ClientError::NoConnection { .. }),
        "all were asked: {error}"
    );
    let error = client.job(types::hash::JobId::default()).await.unwrap_err();
    assert!(
        error.is_not_found() && client.url().contains(&alive.address.to_string()),
        "an answer is an answer"
    );
    assert!(Client::of::<&str>(&[]).is_err());
}

#[tokio::test]
async fn what_belongs_to_one_server_is_not_asked_of_the_next() {
    let ((dead, _held), alive) = (deaf_address(), start().await);
    let client = client_of(&[dead, alive.address]);
    let error = client.events(Some(1), Duration::ZERO, 1).await.unwrap_err();
    assert!(
        matches!(error, ClientError::NoConnection { .. }),
        "the cursor is the dead server's: {error}"
    );
    assert!(
        client.events(None, Duration::ZERO, 1).await.is_ok(),
        "later calls go to the next"
    );
    let client = client_of(&[dead, alive.address]);
    let blob = types::hash::BlobId::of(b"bytes");
    assert!(
        client
            .put_blob_chunk(samples::JOB, blob, 0, vec![1])
            .await
            .is_err()
    );
    assert!(
        client
            .put_blob_chunk(samples::JOB, blob, 0, vec![1])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn waiting_goes_on_with_the_next_server_and_says_what_is_wrong() {
    let (first, second) = (start().await, start().await);
    *first.fake.stage.lock().unwrap() = Some(samples::pending());
    let (seen, mut news) = tokio::sync::mpsc::unbounded_channel();
    let client = client_of(&[first.address, second.address]);
    let waiting = tokio::spawn(async move {
        let done = |news: JobNews<'_>| match news {
            JobNews::State(view) => {
                let _ = seen.send(view.stage.clone());
                !view.live
            }
            JobNews::Trouble(error) => {
                let _ = seen.send(error.code().to_owned());
                false
            }
        };
        client.wait_job(samples::JOB, DEADLINE, done).await
    });
    assert_eq!(
        within("the first state", news.recv()).await.unwrap(),
        "pending"
    );
    // The second has not heard of the job yet when the first goes away.
    within("the shutdown", first.server.shutdown()).await;
    *second.fake.stage.lock().unwrap() = Some(Stage::Settled);
    assert_eq!(
        within("the settlement", waiting)
            .await
            .unwrap()
            .unwrap()
            .stage,
        "settled"
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_told_when_it_goes_and_when_it_is_back() {
    let (first, second) = (start().await, start().await);
    let (address, fake) = (first.address, first.fake.clone());
    *second.fake.stage.lock().unwrap() = Some(samples::pending());
    let (told, mut news) = tokio::sync::mpsc::unbounded_channel();
    let client = client_of(&[address, second.address]).telling(move |news| {
        let _ = told.send(match news {
            ServerNews::Away(error) => format!("away: {}", error.url().unwrap()),
            ServerNews::Back { url } => format!("back: {url}"),
        });
    });
    within("the shutdown", first.server.shutdown()).await;
    let waiting = tokio::spawn(async move {
        let done = |news: JobNews<'_>| matches!(news, JobNews::State(view) if !view.live);
        client.wait_job(samples::JOB, DEADLINE, done).await
    });
    let away = within("the loss", news.recv()).await.unwrap();
    assert_eq!(away, format!("away: http://{address}"));
    // The second one answers all the while.
    let mut config = config();
    config.listen = address;
    let server = Server::start(config, fake).await.unwrap();
    let back = within("the return", news.recv()).await.unwrap();
    assert_eq!(back, format!("back: http://{address}"));
    *second.fake.stage.lock().unwrap() = Some(Stage::Settled);
    assert!(within("the settlement", waiting).await.unwrap().is_ok());
    assert!(news.recv().await.is_none(), "each is told once");
    server.shutdown().await;
}

#[tokio::test]
async fn a_waiter_hears_that_nobody_answers_and_may_give_up() {
    let (address, _held) = deaf_address();
    let client = client_of(&[address]);
    let mut troubles = 0;
    let waiting = client.wait_job(samples::JOB, DEADLINE, |news| {
        troubles += usize::from(matches!(
            news,
            JobNews::Trouble(ClientError::NoConnection { .. })
        ));
        troubles == 2
    });
    let error = within("giving up", Box::pin(waiting)).await.unwrap_err();
    assert!(matches!(error, ClientError::NoConnection { .. }), "{error}");
}
