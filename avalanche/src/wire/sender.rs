//! `appsender.AppSender`: messages to the VM on other nodes.

/// Sends a request to nodes.
pub const SEND_REQUEST: &str = "/appsender.AppSender/SendAppRequest";
/// Answers a node's request.
pub const SEND_RESPONSE: &str = "/appsender.AppSender/SendAppResponse";
/// Refuses a node's request.
pub const SEND_ERROR: &str = "/appsender.AppSender/SendAppError";
/// Tells nodes something.
pub const SEND_GOSSIP: &str = "/appsender.AppSender/SendAppGossip";

/// A request to nodes.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SendRequest {
    /// Ids of the nodes.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub node_ids: Vec<Vec<u8>>,
    /// Our number for it, not in use.
    #[prost(uint32, tag = "2")]
    pub request_id: u32,
    /// What is asked.
    #[prost(bytes = "vec", tag = "3")]
    pub request: Vec<u8>,
}

/// The answer to a node's request.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SendResponse {
    /// Id of the node.
    #[prost(bytes = "vec", tag = "1")]
    pub node_id: Vec<u8>,
    /// Its number for the request.
    #[prost(uint32, tag = "2")]
    pub request_id: u32,
    /// The answer.
    #[prost(bytes = "vec", tag = "3")]
    pub response: Vec<u8>,
}

/// The refusal of a node's request.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SendRefusal {
    /// Id of the node.
    #[prost(bytes = "vec", tag = "1")]
    pub node_id: Vec<u8>,
    /// Its number for the request.
    #[prost(uint32, tag = "2")]
    pub request_id: u32,
    /// Above zero; codes below are the host's.
    #[prost(sint32, tag = "3")]
    pub error_code: i32,
    /// What is wrong, for people.
    #[prost(string, tag = "4")]
    pub error_message: String,
}

/// A message to nodes: to those named, and to a sample of others.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SendGossip {
    /// Ids of nodes that get it in any case.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub node_ids: Vec<Vec<u8>>,
    /// How many validators get it.
    #[prost(uint64, tag = "2")]
    pub validators: u64,
    /// How many nodes get it that are no validators.
    #[prost(uint64, tag = "3")]
    pub non_validators: u64,
    /// How many nodes of any kind get it.
    #[prost(uint64, tag = "4")]
    pub peers: u64,
    /// What is told.
    #[prost(bytes = "vec", tag = "5")]
    pub msg: Vec<u8>,
}
