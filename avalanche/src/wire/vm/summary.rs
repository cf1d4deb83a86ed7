//! State sync: summaries of the state at a height, from which a node starts without executing all blocks.

use super::WireError;

/// Whether the VM can sync its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct SyncEnabled {
    /// True if it wants to.
    #[prost(bool, tag = "1")]
    pub enabled: bool,
    /// Why it cannot, or nothing.
    #[prost(enumeration = "WireError", tag = "2")]
    pub err: i32,
}

/// A summary of ours: the one of a sync that goes on, or the newest.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Summary {
    /// Id of the summary.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Height of its state.
    #[prost(uint64, tag = "2")]
    pub height: u64,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub bytes: Vec<u8>,
    /// Not found, or nothing.
    #[prost(enumeration = "WireError", tag = "4")]
    pub err: i32,
}

/// Asks what bytes are, if they are a summary.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ParseSummary {
    /// Bytes that a peer sent.
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
}

/// What a summary says of itself.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ParsedSummary {
    /// Id of the summary.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Height of its state.
    #[prost(uint64, tag = "2")]
    pub height: u64,
    /// Why it is none, or nothing.
    #[prost(enumeration = "WireError", tag = "3")]
    pub err: i32,
}

/// Asks for the summary of a height.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct GetSummary {
    /// The height.
    #[prost(uint64, tag = "1")]
    pub height: u64,
}

/// The summary of a height.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct SummaryAtHeight {
    /// Id of the summary.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub bytes: Vec<u8>,
    /// Not found, or nothing.
    #[prost(enumeration = "WireError", tag = "3")]
    pub err: i32,
}

/// The host wants the state of this summary.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AcceptSummary {
    /// The summary's bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
}

/// What the VM does about a summary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct SummaryAccepted {
    /// 1: nothing. 2: syncs before anything else. 3: syncs while blocks go on.
    #[prost(int32, tag = "1")]
    pub mode: i32,
    /// Why it cannot, or nothing.
    #[prost(enumeration = "WireError", tag = "2")]
    pub err: i32,
}
