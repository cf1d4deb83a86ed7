//! `http.HTTP`: one HTTP request and its whole answer, as the host passes them through.

/// Serves a request whose answer is taken as a whole.
pub const HANDLE_SIMPLE: &str = "/http.HTTP/HandleSimple";
/// Serves an upgrade or a request over HTTP/2; the plugin would have to dial back, and refuses.
pub const HANDLE: &str = "/http.HTTP/Handle";

/// A header with its values.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Element {
    /// Name in Go's canonical form, as `Content-Type`.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Values in their order.
    #[prost(string, repeated, tag = "2")]
    pub values: Vec<String>,
}

/// A request that the host received.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SimpleRequest {
    /// Method, as `GET`.
    #[prost(string, tag = "1")]
    pub method: String,
    /// The request target as it was sent: path and query.
    #[prost(string, tag = "2")]
    pub url: String,
    /// Headers of the request.
    #[prost(message, repeated, tag = "3")]
    pub request_headers: Vec<Element>,
    /// The whole body.
    #[prost(bytes = "vec", tag = "4")]
    pub body: Vec<u8>,
    /// Headers that the host has put into the answer already; they are lost unless the answer repeats them.
    #[prost(message, repeated, tag = "5")]
    pub response_headers: Vec<Element>,
}

/// An answer for the host to send.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SimpleResponse {
    /// Status code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// All headers of the answer.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<Element>,
    /// The whole body.
    #[prost(bytes = "vec", tag = "3")]
    pub body: Vec<u8>,
}
