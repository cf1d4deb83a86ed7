//! Whether the node serves, by gRPC: asked once, and listened to.

use std::sync::atomic::Ordering;

use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use super::{AnyCodec, call, method, prepared, shown};
use crate::fake::within;

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

#[tokio::test]
async fn health_is_of_the_node_and_of_each_service() {
    let (running, channel) = prepared().await;
    for service in ["", "gridproof.v1.Jobs"] {
        let health = call(&channel, CHECK, &json!({ "service": service })).await;
        assert_eq!(shown(&health.unwrap()), json!({ "status": "SERVING" }));
    }
    let unknown = call(&channel, CHECK, &json!({ "service": "x" })).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
    running.fake.ready.store(false, Ordering::SeqCst);
    let health = call(&channel, CHECK, &json!({})).await.unwrap();
    assert_eq!(shown(&health), json!({ "status": "NOT_SERVING" }));
}

async fn listen(channel: &Channel, question: Value) -> Streaming<DynamicMessage> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let question = DynamicMessage::deserialize(method(WATCH).input(), question).unwrap();
    let request = tonic::Request::new(question);
    let codec = AnyCodec(method(WATCH));
    let stream = client.server_streaming(request, WATCH.parse().unwrap(), codec);
    within("a stream", stream).await.unwrap().into_inner()
}

/// The next status; none at the end of the stream, which must be a good one.
async fn next(stream: &mut Streaming<DynamicMessage>) -> Option<Value> {
    let message = within("a status", stream.message()).await.unwrap();
    message.map(|message| shown(&message)["status"].clone())
}

#[tokio::test]
async fn who_listens_hears_each_change_and_the_end() {
    let (running, channel) = prepared().await;
    let mut stream = listen(&channel, json!({})).await;
    let mut unknown = listen(&channel, json!({ "service": "x" })).await;
    assert_eq!(next(&mut unknown).await, Some(json!("SERVICE_UNKNOWN")));
    assert_eq!(next(&mut stream).await, Some(json!("SERVING")));
    for (ready, status) in [(false, "NOT_SERVING"), (true, "SERVING")] {
        running.fake.ready.store(ready, Ordering::SeqCst);
        assert_eq!(next(&mut stream).await, Some(json!(status)));
    }
    // A node that stops says so before it ends the stream.
    let stopping = tokio::spawn(running.server.shutdown());
    assert_eq!(next(&mut stream).await, Some(json!("NOT_SERVING")));
    assert_eq!(next(&mut stream).await, None);
    drop((stream, unknown, channel));
    within("the shutdown", stopping).await.unwrap();
}
