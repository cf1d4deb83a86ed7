//! The frames that validators exchange, by channel. Each is bounded before it is allocated and has one encoding.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::{Bounded, CodecError, decode, encode};
use types::hash::BlobId;
use types::limits::MAX_FRAME_BYTES;
use types::transaction::{SignedTransaction, SystemTransaction};

/// Most transactions in one frame.
pub const MAX_POOL_ITEMS: usize = 32;
/// Most blobs in one offer.
pub const MAX_OFFERED_BLOBS: usize = 256;

/// What a frame is about; one p2p channel each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// [`consensus::Message`].
    Consensus,
    /// [`PoolMessage`].
    Pool,
    /// [`BlobMessage`].
    Blobs,
}

/// Bytes on a channel; shared, since most frames go to many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What they are about.
    pub channel: Channel,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

impl Frame {
    /// A frame of consensus.
    #[must_use]
    pub fn consensus(message: &consensus::Message) -> Self {
        Self {
            channel: Channel::Consensus,
            bytes: message.to_bytes().into(),
        }
    }

    /// A frame of the pools.
    #[must_use]
    pub fn pool(message: &PoolMessage) -> Self {
        Self {
            channel: Channel::Pool,
            bytes: encode(message).into(),
        }
    }

    /// A frame about blobs.
    #[must_use]
    pub fn blobs(message: &BlobMessage) -> Self {
        Self {
            channel: Channel::Blobs,
            bytes: encode(message).into(),
        }
    }
}

/// Transactions on their way through the committee.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum PoolMessage {
    /// Of accounts.
    Transactions(Bounded<SignedTransaction, MAX_POOL_ITEMS>),
    /// Of validators.
    System(Bounded<SystemTransaction, MAX_POOL_ITEMS>),
}

impl PoolMessage {
    /// Reads a frame.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_FRAME_BYTES)
    }
}

/// What validators say about blobs; the bytes themselves are asked for and answered apart from this.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum BlobMessage {
    /// "I have these now." Unproven, and only a hint whom to ask.
    Have(Bounded<BlobId, MAX_OFFERED_BLOBS>),
}

impl BlobMessage {
    /// Reads a frame.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_FRAME_BYTES)
    }
}

/// Asks a validator for one chunk of a blob; answered by the chunk in its encoding, or by nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkRequest {
    /// Of which blob.
    pub blob: BlobId,
    /// Which chunk.
    pub chunk: u32,
}
