//! Messages that validators exchange about waiting transactions and blobs, whatever network carries them. Each is bounded
//! before it is allocated and has one encoding.

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::{Bounded, CodecError, decode};
use types::hash::BlobId;
use types::limits::MAX_FRAME_BYTES;
use types::transaction::{SignedTransaction, SystemMessage};

/// Most transactions in one message.
pub const MAX_POOL_ITEMS: usize = 512;
/// Most blobs in one offer.
pub const MAX_OFFERED_BLOBS: usize = 256;

/// Transactions on their way through the committee.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum PoolMessage {
    /// Signed transactions of accounts.
    Transactions(Bounded<SignedTransaction, MAX_POOL_ITEMS>),
    /// What validators say: beacon outputs and stored statements.
    System(Bounded<SystemMessage, MAX_POOL_ITEMS>),
}

impl PoolMessage {
    /// Decodes a message within the limits of its channel. Errors: bytes too long, not canonical, or followed by
    /// more.
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
    /// Decodes a message within the limits of its channel. Errors: bytes too long, not canonical, or followed by
    /// more.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_FRAME_BYTES)
    }
}

/// A message of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gossip {
    /// Waiting transactions, from who took them to each validator; the receiver passes them on to nobody.
    Pool(PoolMessage),
    /// Which blobs the sender holds or wants.
    Blobs(BlobMessage),
}

/// Asks a validator for one chunk of a blob; answered by the chunk in its encoding, or by nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkRequest {
    /// Blob of which a chunk is asked for.
    pub blob: BlobId,
    /// The chunk's number, from 0.
    pub chunk: u32,
}
