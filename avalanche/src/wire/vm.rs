//! `vm.VM`: what the host asks of a VM about blocks, the chain's life and the node's surroundings.
//!
//! Ids of blocks are 32 bytes. "Not found" is an answer with [`WireError::NotFound`], never a failed call.

use prost_types::Timestamp;

mod app;
mod block;
mod summary;

pub use app::{
    AppFailure, AppGossip, AppRequest, AppResponse, Connected, Disconnected, HealthReport,
};
pub use block::{
    Accept, AncestorsFound, AncestorsWanted, BatchParse, BatchParsed, BuildBlock, BuiltBlock,
    FoundBlock, GetBlock, IdAtHeight, IdFound, ParseBlock, ParsedBlock, Preference, Reject,
    VerifiedBlock, Verify,
};
pub use summary::{
    AcceptSummary, GetSummary, ParseSummary, ParsedSummary, Summary, SummaryAccepted,
    SummaryAtHeight, SyncEnabled,
};

/// The name of the service, the first part of each method's path.
pub const SERVICE: &str = "vm.VM";

/// What the host makes of an answer that is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum WireError {
    /// No error.
    None = 0,
    /// The VM is shut down.
    Closed = 1,
    /// The thing that was asked for is not here.
    NotFound = 2,
    /// The VM cannot sync its state.
    NoStateSync = 3,
}

/// What the host does with the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum HostState {
    /// Never sent.
    Unspecified = 0,
    /// Fetches a state from other nodes.
    StateSyncing = 1,
    /// Fetches and executes accepted blocks; nothing is built.
    Bootstrapping = 2,
    /// Agrees on new blocks.
    NormalOp = 3,
}

/// Starts the VM on a chain. Fields that this VM does not use are left out.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Initialize {
    /// The Avalanche network: 1 is the main network, 12345 a local one.
    #[prost(uint32, tag = "1")]
    pub network_id: u32,
    /// Id of the subnet.
    #[prost(bytes = "vec", tag = "2")]
    pub subnet_id: Vec<u8>,
    /// Id of the chain, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub chain_id: Vec<u8>,
    /// Id of the node, 20 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub node_id: Vec<u8>,
    /// Compressed BLS key that verifies what the node's warp signer signs.
    #[prost(bytes = "vec", tag = "5")]
    pub public_key: Vec<u8>,
    /// Directory that is this chain's alone.
    #[prost(string, tag = "9")]
    pub chain_data_dir: String,
    /// The genesis that the chain was created with.
    #[prost(bytes = "vec", tag = "10")]
    pub genesis_bytes: Vec<u8>,
    /// Content of the chain's upgrade file.
    #[prost(bytes = "vec", tag = "11")]
    pub upgrade_bytes: Vec<u8>,
    /// Content of the chain's configuration file on this node.
    #[prost(bytes = "vec", tag = "12")]
    pub config_bytes: Vec<u8>,
    /// Where the host serves the chain's database.
    #[prost(string, tag = "13")]
    pub db_server_addr: String,
    /// Where the host serves sending of messages, validators and signing.
    #[prost(string, tag = "14")]
    pub server_addr: String,
}

/// The last accepted block: the answer to [`Initialize`] and [`SetState`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct LastAccepted {
    /// Id of the block.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Id of its parent.
    #[prost(bytes = "vec", tag = "2")]
    pub parent_id: Vec<u8>,
    /// Its height.
    #[prost(uint64, tag = "3")]
    pub height: u64,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub bytes: Vec<u8>,
    /// Its time.
    #[prost(message, optional, tag = "5")]
    pub timestamp: Option<Timestamp>,
}

/// The host does something else with the chain from now on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct SetState {
    /// What it does.
    #[prost(enumeration = "HostState", tag = "1")]
    pub state: i32,
}

/// Where HTTP requests for the chain go.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Handler {
    /// Path below the chain's own; empty for all.
    #[prost(string, tag = "1")]
    pub prefix: String,
    /// Where [`super::http`] is served for it.
    #[prost(string, tag = "2")]
    pub server_addr: String,
}

/// The handlers of a chain.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Handlers {
    /// One for each path.
    #[prost(message, repeated, tag = "1")]
    pub handlers: Vec<Handler>,
}

/// Where requests go that name the chain in a header; an empty address is none.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HeaderHandler {
    /// Where [`super::http`] is served.
    #[prost(string, tag = "1")]
    pub server_addr: String,
}

/// What a VM tells its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum HostEvent {
    /// Never sent.
    Unspecified = 0,
    /// A block can be built.
    BuildBlock = 1,
    /// The state of another node is here, whole.
    StateSyncFinished = 2,
}

/// The end of a long poll.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct EventFound {
    /// What the VM tells.
    #[prost(enumeration = "HostEvent", tag = "1")]
    pub message: i32,
}

/// The version of this program.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PluginVersion {
    /// As `0.1.0`.
    #[prost(string, tag = "1")]
    pub version: String,
}
