//! gRPC says what HTTP says: the same answers field by field, the same refusals, within the same limits.
//!
//! To write the compiled services anew: `GRIDPROOF_BLESS=1 cargo test --workspace --test it -- grpc::`.

mod health;
mod limits;
mod requests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gridproof_rpc_server::calls;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MethodDescriptor, SerializeOptions,
};
use rpc::model::{ActionView, EventPage, JobView, SubmitResult, SubmittedBatch};
use serde_json::{Value, json};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use types::number::{ChainTime, Height};

use crate::document::answers;
use crate::fake::{FIRST, Running, start, within};
use crate::samples;
use requests::called;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")
}

fn compiled() -> Vec<u8> {
    let mut compiler = protox::Compiler::new([folder()]).unwrap();
    compiler.include_imports(true).include_source_info(false);
    let files = ["gridproof/v1/node.proto", "grpc/health/v1/health.proto"];
    compiler.open_files(files).unwrap();
    compiler.encode_file_descriptor_set()
}

pub fn pool() -> DescriptorPool {
    DescriptorPool::decode(compiled().as_slice()).unwrap()
}

fn method(path: &str) -> MethodDescriptor {
    let (service, name) = path.trim_start_matches('/').split_once('/').unwrap();
    let service = pool().get_service_by_name(service).unwrap();
    let found = service.methods().find(|method| method.name() == name);
    found.unwrap_or_else(|| panic!("no method {path}"))
}

/// Encodes and decodes messages of types that are known when the test runs.
#[derive(Clone)]
struct AnyCodec(MethodDescriptor);

impl Codec for AnyCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for AnyCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to).map_err(|e| Status::internal(e.to_string()))
    }
}

impl Decoder for AnyCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.output(), from);
        message
            .map(Some)
            .map_err(|e| Status::internal(e.to_string()))
    }
}

pub async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    within("a connection", endpoint.connect()).await.unwrap()
}

/// Calls a method with a message given as JSON.
pub async fn call(
    channel: &Channel,
    path: &str,
    question: &Value,
) -> Result<DynamicMessage, Status> {
    let question = DynamicMessage::deserialize(method(path).input(), question).unwrap();
    send(channel, path, question).await
}

async fn send(
    channel: &Channel,
    path: &str,
    question: DynamicMessage,
) -> Result<DynamicMessage, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client
        .ready()
        .await
        .map_err(|e| Status::unknown(e.to_string()))?;
    let codec = AnyCodec(method(path));
    let request = tonic::Request::new(question);
    let answer = client.unary(request, path.parse().unwrap(), codec);
    Ok(within("an answer", answer).await?.into_inner())
}

/// A message in the shape of HTTP's JSON, without what is absent or empty.
fn shown(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    let json = message.serialize_with_options(serde_json::value::Serializer, &options);
    without_absent(json.unwrap())
}

fn without_absent(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(key, value)| (key, without_absent(value)));
            let is_there =
                |value: &Value| !value.is_null() && value != &json!([]) && value != &json!({});
            Value::Object(fields.filter(|(_, value)| is_there(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_absent).collect()),
        other => other,
    }
}

#[test]
fn the_compiled_services_are_those_of_the_source() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/grpc/descriptors.bin");
    if std::env::var_os("GRIDPROOF_BLESS").is_some() {
        std::fs::write(&path, compiled()).unwrap();
    }
    let kept = std::fs::read(path).unwrap();
    assert!(kept == compiled(), "GRIDPROOF_BLESS=1 writes them anew");
}

#[test]
fn every_route_has_a_call_and_every_call_a_route() {
    let routes: BTreeSet<_> = gridproof_rpc_server::paths()
        .into_iter()
        .map(|path| path.replace("{*", "{"))
        .collect();
    let called: BTreeSet<_> = calls()
        .into_iter()
        .map(|(_, route)| route.split_once(' ').unwrap().1.to_owned())
        .collect();
    let of_http_alone = ["/livez", "/v1/openapi.json"].map(str::to_owned);
    let expected = &routes - &BTreeSet::from(of_http_alone);
    assert_eq!(called, expected);
}

async fn prepared() -> (Running, Channel) {
    let running = crate::document::prepared().await;
    let channel = connect(running.address).await;
    (running, channel)
}

#[tokio::test]
async fn every_answer_is_the_same_by_grpc() {
    let (_running, channel) = prepared().await;
    let mut compared = BTreeSet::new();
    for (verb, target, body, answer) in answers().await {
        let is_json = answer.head.contains("content-type: application/json");
        let Some((path, question)) = called(verb, &target, body.as_ref()) else {
            continue;
        };
        if !is_json || path.ends_with("Health/Check") {
            continue;
        }
        let by_grpc = call(&channel, &path, &question).await;
        if answer.status >= 400 {
            assert_eq!(by_grpc.unwrap_err().code(), Code::NotFound, "{target}");
            continue;
        }
        let mut expected = without_absent(answer.json());
        let mut found = shown(&by_grpc.unwrap_or_else(|status| panic!("{target}: {status}")));
        // The clock of events goes on, and what was submitted stays.
        for value in [&mut expected, &mut found] {
            value.as_object_mut().unwrap().remove("missing");
        }
        if !target.contains("blobs") {
            assert_eq!(found, expected, "{target} by {path}");
        }
        compared.insert(path);
    }
    assert!(compared.len() >= 14, "{compared:?}");
}

/// Reads JSON as a message that must have every field of it, and compares what comes back.
fn fits(name: &str, json: Value) {
    let kind = pool().get_message_by_name(name).unwrap();
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(kind, &json, &options);
    let message = message.unwrap_or_else(|error| panic!("{name}: {error} in {json}"));
    assert_eq!(shown(&message), without_absent(json));
}

#[test]
fn every_shape_fits_its_message() {
    for stage in crate::models::stages() {
        let view = JobView::new(
            &samples::record(stage),
            &samples::spec(),
            Some(&samples::job_receipt()),
            ChainTime(1),
            Height(9),
        );
        fits("gridproof.v1.Job", serde_json::to_value(&view).unwrap());
    }
    let refused = SubmitResult::Refused(rpc::ErrorBody {
        code: "nonce_too_high".to_owned(),
        message: "m".to_owned(),
        hint: "h".to_owned(),
        retryable: true,
        expected_nonce: Some(types::number::Nonce(3)),
        retry_after_ms: Some(5),
    });
    let batch = SubmittedBatch {
        results: vec![refused],
    };
    let batch = serde_json::to_value(&batch).unwrap();
    fits("gridproof.v1.SubmittedBatch", batch);
    let page = EventPage {
        cursor: 4,
        events: crate::document::events().to_vec(),
    };
    fits(
        "gridproof.v1.EventPage",
        serde_json::to_value(&page).unwrap(),
    );
}

#[test]
fn every_action_fits_its_message() {
    let (hash, job) = ("07".repeat(32), "05".repeat(32));
    let step = |more: Value| {
        let mut step = json!({ "job": job, "attempt": 1 });
        step.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        step
    };
    let spec = rpc::model::JobSpecView::from(&samples::spec());
    let profile = rpc::model::ProfileView::from(&samples::profile());
    let actions = [
        json!({ "type": "transfer", "to": samples::BOB, "amount": "1" }),
        json!({ "type": "register_partner", "profile": profile }),
        json!({ "type": "bond", "amount": "1" }),
        json!({ "type": "unbond", "amount": "1" }),
        json!({ "type": "submit_job", "spec": spec }),
        json!({ "type": "cancel_job", "job": job }),
        json!({ "type": "challenge_job", "job": job, "commitment": hash }),
        step(json!({ "type": "contradict", "task": 2, "leaf": hash, "settled_leaf": hash })),
        step(json!({ "type": "acknowledge" })),
        step(json!({ "type": "decline", "unrunnable": true })),
        step(json!({ "type": "hand_on", "states": { "hash": hash, "length": 4 } })),
        step(json!({ "type": "commit", "commitment": hash })),
        step(json!({ "type": "renew", "number": 3 })),
        step(json!({ "type": "no_result" })),
        step(json!({ "type": "announce" })),
        step(
            json!({ "type": "reveal", "result_root": hash, "salt": hash, "tasks": [1, 2],
            "outcomes": { "hash": hash, "length": 4 } }),
        ),
        step(json!({ "type": "agree", "salt": hash })),
        step(json!({ "type": "vote", "ballot": 1, "commitment": hash })),
        step(
            json!({ "type": "open_vote", "ballot": 1, "leaf": hash, "witness": hash, "salt": hash }),
        ),
        step(
            json!({ "type": "differ", "result_root": hash, "salt": hash, "task": 2, "leaf": hash }),
        ),
    ];
    for action in actions {
        let read: ActionView = serde_json::from_value(action.clone()).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written, action, "the model has these fields");
        fits("gridproof.v1.Action", written);
    }
}

#[tokio::test]
async fn bytes_go_and_come_as_they_are() {
    let (running, channel) = prepared().await;
    let bytes = async |path: &str, question: Value| {
        let message = call(&channel, path, &question).await.unwrap();
        let data = message.get_field_by_name("data").unwrap();
        data.as_bytes().unwrap().to_vec()
    };
    let genesis = bytes("/gridproof.v1.Chain/GetGenesis", json!({})).await;
    assert_eq!(genesis, [1, 2, 3]);
    let block = bytes(
        "/gridproof.v1.Chain/GetBlockBytes",
        json!({ "block": "latest" }),
    )
    .await;
    assert_eq!(block, types::codec::encode(&samples::block()));
    let blob = types::hash::BlobId::of(b"hello");
    let (hash, length) = (blob.hash.to_string(), blob.length);
    let put = json!({ "hash": hash, "length": length, "chunk": 0, "job": samples::JOB, "data": "aGVsbG8=" });
    let status = call(&channel, "/gridproof.v1.Blobs/PutChunk", &put)
        .await
        .unwrap();
    assert_eq!(shown(&status), json!({ "complete": true, "chunks": 1 }));
    assert_eq!(
        *running.fake.last_upload.lock().unwrap(),
        Some(samples::JOB)
    );
    let chunk = json!({ "hash": hash, "length": length, "chunk": 0 });
    assert_eq!(bytes("/gridproof.v1.Blobs/GetChunk", chunk).await, b"hello");
}

#[tokio::test]
async fn a_refusal_says_what_http_says() {
    let (_running, channel) = prepared().await;
    let job = json!({ "id": "0".repeat(64) });
    let missing = call(&channel, "/gridproof.v1.Jobs/GetJob", &job)
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.message().ends_with(": check the id"), "{missing}");
    let details = missing.metadata().get_bin("gridproof-error-bin").unwrap();
    let details = details.to_bytes().unwrap();
    let kind = pool().get_message_by_name("gridproof.v1.Error").unwrap();
    let details = DynamicMessage::decode(kind, details).unwrap();
    assert_eq!(shown(&details)["code"], "job_not_found");
    for (path, question, code) in [
        ("Jobs/GetJob", json!({ "id": "xyz" }), Code::InvalidArgument),
        ("Jobs/GetJob", json!({}), Code::InvalidArgument),
        (
            "Jobs/GetJob",
            json!({ "id": "../status" }),
            Code::InvalidArgument,
        ),
        (
            "Proofs/GetProof",
            json!({ "key": "nothing/1" }),
            Code::InvalidArgument,
        ),
        ("Chain/GetBlock", json!({ "block": "77" }), Code::NotFound),
        (
            "Chain/GetAccount",
            json!({ "address": crate::fake::PANIC }),
            Code::Internal,
        ),
        (
            "Transactions/Submit",
            json!({ "transaction": "AAAA" }),
            Code::InvalidArgument,
        ),
        (
            "Events/ReadEvents",
            json!({ "cursor": 1 }),
            Code::OutOfRange,
        ),
        (
            "Events/ReadEvents",
            json!({ "cursor": FIRST + 99 }),
            Code::OutOfRange,
        ),
    ] {
        let refused = call(&channel, &format!("/gridproof.v1.{path}"), &question).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), code, "{path} {question}: {refused}");
        assert!(refused.metadata().get_bin("gridproof-error-bin").is_some());
    }
}

/// The events of a stream, read to its end.
pub async fn streamed(channel: &Channel, question: &Value) -> (Vec<Value>, Option<Status>) {
    let path = "/gridproof.v1.Events/StreamEvents";
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let question = DynamicMessage::deserialize(method(path).input(), question).unwrap();
    let request = tonic::Request::new(question);
    let stream = client.server_streaming(request, path.parse().unwrap(), AnyCodec(method(path)));
    let mut stream = match within("a stream", stream).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => return (Vec::new(), Some(status)),
    };
    let mut events = Vec::new();
    loop {
        match within("an event", stream.message()).await {
            Ok(Some(event)) => events.push(shown(&event)),
            Ok(None) => return (events, None),
            Err(status) => return (events, Some(status)),
        }
    }
}

#[tokio::test]
async fn a_stream_gives_the_events_with_their_cursors_and_ends() {
    let (_running, channel) = prepared().await;
    let (events, failure) = streamed(&channel, &json!({ "cursor": FIRST, "wait_ms": 0 })).await;
    assert!(failure.is_none(), "{failure:?}");
    let expected = crate::document::events().into_iter().zip(FIRST + 1..);
    let expected = expected.map(|(event, cursor)| {
        without_absent(json!({ "cursor": cursor, "event": serde_json::to_value(event).unwrap() }))
    });
    assert_eq!(events, expected.collect::<Vec<_>>());
    let (_, failure) = streamed(&channel, &json!({ "cursor": 1 })).await;
    assert_eq!(failure.unwrap().code(), Code::OutOfRange);
}

#[tokio::test]
async fn reflection_is_off_unless_it_is_configured() {
    let list = async |address| {
        let mut client =
            tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(
                connect(address).await,
            );
        let request = tonic_reflection::pb::v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(
                tonic_reflection::pb::v1::server_reflection_request::MessageRequest::ListServices(
                    String::new(),
                ),
            ),
        };
        let requests = tonic::codegen::tokio_stream::once(request);
        let mut answers = client.server_reflection_info(requests).await?.into_inner();
        let answer = within("the list", answers.message()).await?;
        Ok::<_, Status>(format!("{answer:?}"))
    };
    let off = start().await;
    assert_eq!(
        list(off.address).await.unwrap_err().code(),
        Code::Unimplemented
    );
    let mut config = crate::fake::config();
    config.grpc_reflection = true;
    let on = crate::fake::start_with(config).await;
    let services = list(on.address).await.unwrap();
    assert!(services.contains("gridproof.v1.Transactions"), "{services}");
}
