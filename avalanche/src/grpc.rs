//! Unary gRPC calls, both ways, with the limits that hold between a plugin and its host.
//!
//! The host is a process of the same operator, and what it sends was bounded by it, but for HTTP bodies: so a message
//! has a limit, far above what the host's own protocol lets through.

use std::convert::Infallible;
use std::time::Duration;

use tonic::body::Body;
use tonic::codegen::http::{Request, Response, uri::PathAndQuery};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

/// Longest message in either direction, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Time after which an idle connection is probed; the host refuses probes that come more often than every 5 s.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Answers one call: decodes the question, and encodes the answer or the error.
pub async fn answer<Q, A, F>(
    request: Request<Body>,
    handler: impl FnOnce(Q) -> F,
) -> Result<Response<Body>, Infallible>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + 'static,
    F: Future<Output = Result<A, Status>> + Send,
{
    let mut handler = Some(handler);
    let service = tower::service_fn(|question: tonic::Request<Q>| {
        let answer = handler.take().map(|handler| handler(question.into_inner()));
        async move {
            match answer {
                Some(answer) => answer.await.map(tonic::Response::new),
                None => Err(Status::internal("a unary call has one question")),
            }
        }
    });
    let codec = ProstCodec::<A, Q>::default();
    let mut server = tonic::server::Grpc::new(codec)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Ok(server.unary(service, request).await)
}

/// The answer to a call of a method that is not served.
pub fn unknown_method() -> Result<Response<Body>, Infallible> {
    Ok(Status::new(Code::Unimplemented, "no such method").into_http())
}

/// A connection to a service of the host.
#[derive(Debug, Clone)]
pub struct HostConnection(tonic::client::Grpc<Channel>);

impl HostConnection {
    /// Connects to `HOST:PORT`, within a time limit.
    pub async fn dial(address: &str, limit: Duration) -> Result<Self, tonic::transport::Error> {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(limit)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_while_idle(true);
        let client = tonic::client::Grpc::new(endpoint.connect().await?)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self(client))
    }

    /// Calls a method, as `/package.Service/Method`.
    pub async fn call<Q, A>(&self, method: &'static str, question: Q) -> Result<A, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        // Copies share the connection.
        let mut client = self.0.clone();
        client
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_static(method);
        let codec = ProstCodec::<Q, A>::default();
        let answer = client.unary(tonic::Request::new(question), path, codec);
        Ok(answer.await?.into_inner())
    }
}
