//! The frames that validators exchange, by channel. Each is bounded before it is allocated and has one encoding.

use bytes::Bytes;
use chain::gossip::Gossip;
use types::codec::encode;

/// What a frame is about; one p2p channel each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameChannel {
    /// Carries [`consensus::Message`].
    Consensus,
    /// Carries [`chain::PoolMessage`].
    Pool,
    /// Carries [`chain::BlobMessage`].
    Blobs,
}

/// Bytes on a channel; shared, since most frames go to many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What they are about.
    pub channel: FrameChannel,
    /// Encoded message, shared by all its receivers.
    pub bytes: Bytes,
}

impl Frame {
    /// A frame of consensus.
    #[must_use]
    pub fn consensus(message: &consensus::Message) -> Self {
        Self {
            channel: FrameChannel::Consensus,
            bytes: message.to_bytes().into(),
        }
    }

    /// A frame of the chain.
    #[must_use]
    pub fn gossip(message: &Gossip) -> Self {
        let (channel, bytes) = match message {
            Gossip::Pool(message) => (FrameChannel::Pool, encode(message)),
            Gossip::Blobs(message) => (FrameChannel::Blobs, encode(message)),
        };
        Self {
            channel,
            bytes: bytes.into(),
        }
    }
}
