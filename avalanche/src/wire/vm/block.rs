//! Blocks: building, parsing, finding, verifying, deciding.

use prost_types::Timestamp;

use super::WireError;

/// Asks for a block on the preferred one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct BuildBlock {
    /// Height of the P-chain by which the block will be proposed, if there is one.
    #[prost(uint64, optional, tag = "1")]
    pub p_chain_height: Option<u64>,
}

/// A block that was built.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BuiltBlock {
    /// Id of the block.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Id of its parent.
    #[prost(bytes = "vec", tag = "2")]
    pub parent_id: Vec<u8>,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub bytes: Vec<u8>,
    /// Its height.
    #[prost(uint64, tag = "4")]
    pub height: u64,
    /// Its time.
    #[prost(message, optional, tag = "5")]
    pub timestamp: Option<Timestamp>,
    /// True if verifying it wants a height of the P-chain.
    #[prost(bool, tag = "6")]
    pub verify_with_context: bool,
}

/// Asks what bytes are, if they are a block.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ParseBlock {
    /// Bytes that a peer sent.
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
}

/// What a block says of itself.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ParsedBlock {
    /// Id of the block.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Id of its parent.
    #[prost(bytes = "vec", tag = "2")]
    pub parent_id: Vec<u8>,
    /// Its height.
    #[prost(uint64, tag = "4")]
    pub height: u64,
    /// Its time.
    #[prost(message, optional, tag = "5")]
    pub timestamp: Option<Timestamp>,
    /// True if verifying it wants a height of the P-chain.
    #[prost(bool, tag = "6")]
    pub verify_with_context: bool,
}

/// Asks for a block.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct GetBlock {
    /// Id of the block.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
}

/// A block that was asked for by its id.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FoundBlock {
    /// Id of its parent.
    #[prost(bytes = "vec", tag = "1")]
    pub parent_id: Vec<u8>,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub bytes: Vec<u8>,
    /// Its height.
    #[prost(uint64, tag = "4")]
    pub height: u64,
    /// Its time.
    #[prost(message, optional, tag = "5")]
    pub timestamp: Option<Timestamp>,
    /// Not found, or nothing.
    #[prost(enumeration = "WireError", tag = "6")]
    pub err: i32,
    /// True if verifying it wants a height of the P-chain.
    #[prost(bool, tag = "7")]
    pub verify_with_context: bool,
}

/// New blocks are built on this one from now on.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Preference {
    /// Id of the preferred block.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
}

/// Asks whether a block follows the rules; its parent was verified or accepted before.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Verify {
    /// The block's bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
    /// Height of the P-chain by which it was proposed, if it wants one.
    #[prost(uint64, optional, tag = "2")]
    pub p_chain_height: Option<u64>,
}

/// The block follows the rules.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct VerifiedBlock {
    /// Its time.
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
}

/// The block is accepted for good.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Accept {
    /// Id of the block.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
}

/// The block is rejected for good.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Reject {
    /// Id of the block.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
}

/// Asks for a block and those below it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AncestorsWanted {
    /// Id of the highest one.
    #[prost(bytes = "vec", tag = "1")]
    pub blk_id: Vec<u8>,
    /// Most blocks.
    #[prost(int32, tag = "2")]
    pub max_blocks_num: i32,
    /// Most bytes of all, with four for the length of each.
    #[prost(int32, tag = "3")]
    pub max_blocks_size: i32,
    /// Most time, in nanoseconds.
    #[prost(int64, tag = "4")]
    pub max_blocks_retrieval_ns: i64,
}

/// The blocks, from the one that was asked for down.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AncestorsFound {
    /// Bytes of each; nothing if the first is not here.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub blks_bytes: Vec<Vec<u8>>,
}

/// Several [`ParseBlock`] at once.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BatchParse {
    /// Bytes of each.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub request: Vec<Vec<u8>>,
}

/// The answers, in the order of the questions.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BatchParsed {
    /// One for each question.
    #[prost(message, repeated, tag = "1")]
    pub response: Vec<ParsedBlock>,
}

/// Asks which block was accepted at a height.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct IdAtHeight {
    /// The height.
    #[prost(uint64, tag = "1")]
    pub height: u64,
}

/// Id of the block at a height.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct IdFound {
    /// Id of the block.
    #[prost(bytes = "vec", tag = "1")]
    pub blk_id: Vec<u8>,
    /// Not found, or nothing.
    #[prost(enumeration = "WireError", tag = "2")]
    pub err: i32,
}
