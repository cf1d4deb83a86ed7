//! The examples of `docs/http.md` are what the router answers.
//!
//! To write new ones after a deliberate change: `GRIDPROOF_BLESS=1 cargo test -p gridproof-rpc-server document`.

use std::net::SocketAddr;
use std::path::Path;

use rpc::model::{Event, JobSpecView, SubmitBatchRequest, SubmitRequest};
use types::codec::encode;
use types::hash::{BlobId, Hash32, TransactionId};
use types::job::Stage;
use types::number::{Attempt, Height, Timestamp};

use crate::fake::{Answer, FIRST, Running, raw, start};
use crate::samples;

/// The address that examples name.
const HOST: &str = "127.0.0.1:26601";
/// What opens an example in the document.
const OPEN: &str = "```http\n";
/// What closes it.
const CLOSE: &str = "\n```";
/// A transaction of a final block.
const INCLUDED: TransactionId = TransactionId(Hash32([9; 32]));
/// The bytes of the blob that examples name.
const BLOB: &[u8] = b"hello";

/// A request of the document.
struct Example {
    method: &'static str,
    target: String,
    accept: Option<&'static str>,
    body: Option<Body>,
}

enum Body {
    Json(serde_json::Value),
    Bytes(&'static [u8]),
}

fn get(target: impl Into<String>) -> Example {
    Example {
        method: "GET",
        target: target.into(),
        accept: None,
        body: None,
    }
}

fn bytes_of(target: &str) -> Example {
    Example {
        accept: Some("application/octet-stream"),
        ..get(target)
    }
}

fn post(target: &str, body: &impl serde::Serialize) -> Example {
    Example {
        method: "POST",
        body: Some(Body::Json(serde_json::to_value(body).unwrap())),
        ..get(target)
    }
}

/// Every example, in the document's order.
fn examples() -> Vec<Example> {
    let signed = samples::transaction();
    let submit = SubmitRequest {
        transaction: hex::encode(encode(&signed)),
    };
    let batch = SubmitBatchRequest {
        transactions: vec![submit.transaction.clone()],
    };
    let blob = BlobId::of(BLOB);
    let path = format!("/v1/blobs/{}/{}", blob.hash, blob.length);
    let (job, alice, partner) = (samples::JOB, samples::ALICE, samples::BOB);
    vec![
        get(format!("/v1/jobs/{}", "0".repeat(64))),
        get("/livez"),
        get("/readyz"),
        get("/v1/status"),
        get("/v1/genesis"),
        get("/v1/validators"),
        get("/v1/blocks/latest"),
        bytes_of("/v1/blocks/9"),
        get(format!("/v1/proofs/account/{alice}")),
        bytes_of("/v1/proofs/chain"),
        get("/v1/state-signatures/8"),
        get(format!("/v1/accounts/{alice}")),
        get("/v1/partners"),
        get(format!("/v1/partners/{partner}")),
        post("/v1/transactions", &submit),
        post("/v1/transactions/batch", &batch),
        get(format!("/v1/transactions/{}", signed.id())),
        get(format!("/v1/transactions/{INCLUDED}")),
        get("/v1/jobs?live=false"),
        get(format!("/v1/jobs/{job}")),
        post("/v1/estimate", &JobSpecView::from(&samples::spec())),
        Example {
            method: "PUT",
            body: Some(Body::Bytes(BLOB)),
            ..get(format!("{path}/chunks/0?job={job}"))
        },
        get(path.clone()),
        Example {
            method: "HEAD",
            ..get(path.clone())
        },
        get(format!("{path}/chunks/0")),
        get("/v1/events"),
        get(format!("/v1/events?cursor={FIRST}&wait_ms=5000&limit=3")),
        get(format!("/v1/events/stream?cursor={FIRST}&wait_ms=0")),
        get("/v1/openapi.json"),
    ]
}

impl Example {
    /// The request as the document shows it.
    fn shown(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\nHost: {HOST}\n", self.method, self.target);
        if let Some(kind) = self.accept {
            text.extend(["Accept: ", kind, "\n"]);
        }
        match &self.body {
            None => {}
            Some(Body::Json(value)) => {
                text += "Content-Type: application/json\n\n";
                text += &serde_json::to_string_pretty(value).unwrap();
                text += "\n";
            }
            Some(Body::Bytes(bytes)) => {
                let length = bytes.len().to_string();
                text.extend(["\n(", &length, " bytes)\n"]);
            }
        }
        text
    }

    async fn send(&self, address: SocketAddr) -> Answer {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n",
            self.method, self.target
        );
        if let Some(kind) = self.accept {
            head.extend(["Accept: ", kind, "\r\n"]);
        }
        let body = match &self.body {
            None => Vec::new(),
            Some(Body::Json(value)) => {
                head += "Content-Type: application/json\r\n";
                serde_json::to_vec(value).unwrap()
            }
            Some(Body::Bytes(bytes)) => bytes.to_vec(),
        };
        head.extend(["Content-Length: ", &body.len().to_string(), "\r\n\r\n"]);
        raw(address, &[head.as_bytes(), &body].concat()).await
    }
}

/// An answer as the document shows it: JSON in lines, bytes by their number.
fn shown(answer: &Answer) -> String {
    let mut text = format!("HTTP/1.1 {}", answer.status);
    let kind = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "));
    if let Some(kind) = kind {
        let body = match kind {
            "application/json" if answer.json().get("openapi").is_some() => {
                "{ \"openapi\": \"3.1.0\", ... }".to_owned()
            }
            "text/event-stream" => unchunked(&answer.body).trim_end().to_owned(),
            "application/json" => serde_json::to_string_pretty(&answer.json()).unwrap(),
            _ => format!("({} bytes)", answer.body.len()),
        };
        text.extend(["\nContent-Type: ", kind, "\n\n", &body]);
    }
    text
}

/// The text of a body that came in chunks.
pub fn unchunked(body: &[u8]) -> String {
    let (mut text, mut rest) = (String::new(), std::str::from_utf8(body).unwrap());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text += &after[..length];
        rest = after[length..].trim_start_matches("\r\n");
    }
    text
}

/// What a node knows that gives the document's answers.
pub fn events() -> [Event; 3] {
    let signed = samples::transaction();
    [
        Event::Block {
            height: Height(9),
            id: samples::header(9).id(),
            time: Timestamp(1_700_000_000_009),
            transactions: 1,
        },
        Event::Transaction {
            id: signed.id(),
            height: Height(9),
            failure: None,
        },
        Event::Job {
            job: samples::JOB,
            stage: "settled".to_owned(),
            attempt: Attempt(1),
            height: Height(9),
        },
    ]
}

pub fn document() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md")
}

/// A node that gives the document's answers.
pub async fn prepared() -> Running {
    let running = start().await;
    running.fake.log.extend(events());
    *running.fake.stage.lock().unwrap() = Some(Stage::Settled);
    running.fake.included.lock().unwrap().insert(INCLUDED);
    running
}

/// Method, target, JSON body and answer of each example.
pub async fn answers() -> Vec<(&'static str, String, Option<serde_json::Value>, Answer)> {
    let (running, mut all) = (prepared().await, Vec::new());
    for example in examples() {
        let answer = example.send(running.address).await;
        let body = match example.body {
            Some(Body::Json(value)) => Some(value),
            _ => None,
        };
        all.push((example.method, example.target, body, answer));
    }
    all
}

#[tokio::test]
async fn the_document_shows_what_the_router_answers() {
    let running = prepared().await;
    let mut expected = Vec::new();
    for example in examples() {
        let answer = example.send(running.address).await;
        expected.push(format!("{}\n{}", example.shown(), shown(&answer)));
    }
    let text = std::fs::read_to_string(document()).unwrap();
    let mut parts = text.split(OPEN);
    let mut blessed = parts.next().unwrap().to_owned();
    let parts: Vec<_> = parts.map(|part| part.split_once(CLOSE).unwrap()).collect();
    if std::env::var_os("GRIDPROOF_BLESS").is_some() {
        for ((_, rest), example) in parts.iter().zip(&expected) {
            blessed += &[OPEN, example, CLOSE, rest].concat();
        }
        assert_eq!(parts.len(), expected.len(), "the document lacks an example");
        std::fs::write(document(), blessed).unwrap();
        return;
    }
    for ((found, _), example) in parts.iter().zip(&expected) {
        assert_eq!(found, example);
    }
    assert_eq!(parts.len(), expected.len());
}

#[test]
fn every_route_has_an_example() {
    let routes = gridproof_rpc_server::paths();
    let fits = |route: &str, target: &str| {
        let path = target.split('?').next().unwrap();
        let (mut route, mut path) = (route.split('/'), path.split('/'));
        loop {
            match (route.next(), path.next()) {
                (None, None) => return true,
                (Some(rest), Some(_)) if rest.starts_with("{*") => return true,
                (Some(name), Some(_)) if name.starts_with('{') => {}
                (Some(name), Some(part)) if name == part => {}
                _ => return false,
            }
        }
    };
    for route in routes {
        assert!(
            examples()
                .iter()
                .any(|example| fits(route, &example.target)),
            "{route}"
        );
    }
}
