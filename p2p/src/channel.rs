//! The channels between two validators, their protocol names and their frame limits.

use libp2p::StreamProtocol;
use types::hash::ChainId;
use types::limits::{MAX_CONSENSUS_MESSAGE_BYTES, MAX_FRAME_BYTES};

use crate::record::MAX_RECORD_BYTES;

/// What a frame is about. Each channel of a peer has its own stream and its own queue, so that none waits for
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Votes, proposals, certificates, and blocks asked for.
    Consensus,
    /// Transactions and what validators say for free, from who took it to all others.
    Transactions,
    /// Who has which blobs; the blobs themselves travel as answers to requests.
    Blobs,
}

/// Largest frame of the transactions channel, in bytes: a few transactions together.
const MAX_TRANSACTIONS_FRAME_BYTES: usize = 256 << 10;
/// Largest frame, request or answer about blobs, in bytes: a chunk with its proof.
const MAX_BLOBS_FRAME_BYTES: usize = 300 << 10;

const _: () = {
    assert!(
        MAX_TRANSACTIONS_FRAME_BYTES >= types::limits::MAX_TRANSACTION_BYTES + 1_024,
        "a transaction fits"
    );
    assert!(
        MAX_CONSENSUS_MESSAGE_BYTES <= MAX_FRAME_BYTES,
        "no channel passes the limit of all"
    );
};

impl Channel {
    /// Every channel, in the order of their numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Consensus, Self::Transactions, Self::Blobs];

    /// Largest frame, in bytes.
    #[must_use]
    pub const fn max_frame_bytes(self) -> usize {
        match self {
            Self::Consensus => MAX_CONSENSUS_MESSAGE_BYTES,
            Self::Transactions => MAX_TRANSACTIONS_FRAME_BYTES,
            Self::Blobs => MAX_BLOBS_FRAME_BYTES,
        }
    }

    /// Most frames that wait for a peer.
    pub(crate) const fn max_waiting_frames(self) -> usize {
        match self {
            Self::Consensus | Self::Blobs => 256,
            Self::Transactions => 1_024,
        }
    }

    /// Most bytes that wait for a peer.
    pub(crate) const fn max_waiting_bytes(self) -> usize {
        match self {
            Self::Consensus => 4 * MAX_FRAME_BYTES,
            Self::Transactions | Self::Blobs => MAX_FRAME_BYTES,
        }
    }
}

/// A protocol that is spoken on a stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// Frames of a channel, one long stream in each direction.
    Frames(Channel),
    /// Peer records, one long stream in each direction; the only one that an unknown peer may open.
    Records,
    /// A request and its answer, one stream each.
    Request,
}

impl Protocol {
    pub(crate) const ALL: [Self; 5] = [
        Self::Frames(Channel::Consensus),
        Self::Frames(Channel::Transactions),
        Self::Frames(Channel::Blobs),
        Self::Records,
        Self::Request,
    ];

    /// The name, which holds the chain's, so that nodes of different chains have nothing to say to each other.
    pub(crate) fn name(self, chain: ChainId) -> StreamProtocol {
        let what = match self {
            Self::Frames(Channel::Consensus) => "consensus",
            Self::Frames(Channel::Transactions) => "transactions",
            Self::Frames(Channel::Blobs) => "blobs",
            Self::Records => "records",
            Self::Request => "request",
        };
        let name = format!("/gridproof/{chain}/{what}/1");
        StreamProtocol::try_from_owned(name).expect("the name starts with a slash")
    }

    pub(crate) const fn max_frame_bytes(self) -> usize {
        match self {
            Self::Frames(channel) => channel.max_frame_bytes(),
            Self::Records => MAX_RECORD_BYTES,
            Self::Request => MAX_BLOBS_FRAME_BYTES,
        }
    }
}
