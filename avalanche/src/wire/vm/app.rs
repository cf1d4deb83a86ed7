//! Messages of other nodes' VMs, which nodes are connected, and how the VM is.

use prost_types::Timestamp;

/// A node asks this VM something.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AppRequest {
    /// Id of the node, 20 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub node_id: Vec<u8>,
    /// The node's number for the request.
    #[prost(uint32, tag = "2")]
    pub request_id: u32,
    /// Until when it waits.
    #[prost(message, optional, tag = "3")]
    pub deadline: Option<Timestamp>,
    /// What it asks.
    #[prost(bytes = "vec", tag = "4")]
    pub request: Vec<u8>,
}

/// A request of ours will not be answered.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AppFailure {
    /// Id of the node that was asked.
    #[prost(bytes = "vec", tag = "1")]
    pub node_id: Vec<u8>,
    /// Our number for the request.
    #[prost(uint32, tag = "2")]
    pub request_id: u32,
    /// The code of the error: -1 is a timeout.
    #[prost(sint32, tag = "3")]
    pub error_code: i32,
    /// What the error says, for people.
    #[prost(string, tag = "4")]
    pub error_message: String,
}

/// A node answers a request of ours.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AppResponse {
    /// Id of the node that answers.
    #[prost(bytes = "vec", tag = "1")]
    pub node_id: Vec<u8>,
    /// Our number for the request.
    #[prost(uint32, tag = "2")]
    pub request_id: u32,
    /// The answer.
    #[prost(bytes = "vec", tag = "3")]
    pub response: Vec<u8>,
}

/// A node tells this VM something.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AppGossip {
    /// Id of the node.
    #[prost(bytes = "vec", tag = "1")]
    pub node_id: Vec<u8>,
    /// What it tells.
    #[prost(bytes = "vec", tag = "2")]
    pub msg: Vec<u8>,
}

/// A node is connected.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Connected {
    /// Id of the node.
    #[prost(bytes = "vec", tag = "1")]
    pub node_id: Vec<u8>,
    /// Name of its program.
    #[prost(string, tag = "2")]
    pub name: String,
    /// First part of its version.
    #[prost(uint32, tag = "3")]
    pub major: u32,
    /// Second part of its version.
    #[prost(uint32, tag = "4")]
    pub minor: u32,
    /// Third part of its version.
    #[prost(uint32, tag = "5")]
    pub patch: u32,
}

/// A node is connected no more.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Disconnected {
    /// Id of the node.
    #[prost(bytes = "vec", tag = "1")]
    pub node_id: Vec<u8>,
}

/// How the VM is.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HealthReport {
    /// One JSON value.
    #[prost(bytes = "vec", tag = "1")]
    pub details: Vec<u8>,
}
