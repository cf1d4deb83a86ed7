//! What the VMs of a subnet's nodes tell each other, by the host's app messages. Each message is bounded before it is
//! decoded and has one encoding; whatever else comes is dropped.
//!
//! A first byte stands before each: low numbers are those of the handlers of Avalanche's own kit (2 asks for a warp
//! signature), ours is [`PREFIX`].

use borsh::{BorshDeserialize, BorshSerialize};
use chain::Gossip;
use chain::gossip::{BlobMessage, PoolMessage};
use types::codec::{CodecError, decode, encode};
use types::number::Height;
use types::vote::{Certificate, Vote};

/// The first byte of every message of ours.
pub const PREFIX: u8 = b'G';
/// The first byte of a request for a Warp signature (ACP-118).
pub const SIGNATURE_PREFIX: u8 = 2;
/// The first byte of a request by a node that syncs its state.
pub const SYNC_PREFIX: u8 = b'S';
/// Largest message, in bytes; the host carries at most 2 MiB.
pub const MAX_SUBNET_MESSAGE_BYTES: usize = 1 << 20;

/// A message from node to node.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SubnetMessage {
    /// Waiting transactions.
    Pool(PoolMessage),
    /// Which blobs the sender holds.
    Blobs(BlobMessage),
    /// A validator's word that the host has accepted a block: see [`crate::finality`].
    Vote(Vote),
    /// The certificate of a block.
    Finality(Certificate),
    /// The sender has accepted the block of this height and knows no certificate of it or a later one.
    WantFinality(Height),
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is another handler's.
    #[error("the message begins with another byte than {PREFIX}")]
    Prefix,
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl SubnetMessage {
    /// Decodes what a node sent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let content = bytes.strip_prefix(&[PREFIX]).ok_or(MessageError::Prefix)?;
        Ok(decode(content, MAX_SUBNET_MESSAGE_BYTES)?)
    }

    /// The bytes to be sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![PREFIX];
        bytes.extend(encode(self));
        bytes
    }
}

impl From<Gossip> for SubnetMessage {
    fn from(message: Gossip) -> Self {
        match message {
            Gossip::Pool(message) => Self::Pool(message),
            Gossip::Blobs(message) => Self::Blobs(message),
        }
    }
}

/// A request to a node: the handler's first byte, then what is asked.
#[must_use]
pub fn request_of(handler: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![handler];
    bytes.extend_from_slice(content);
    bytes
}

/// What a node asks of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// A chunk of a blob.
    Chunk(&'a [u8]),
    /// A part of a state, or a block beside it.
    State(&'a [u8]),
    /// A signature, by the body of the request.
    Signature(&'a [u8]),
}

/// What a request asks, if it is for a handler of ours.
#[must_use]
pub fn asked(bytes: &[u8]) -> Option<Asked<'_>> {
    let (handler, content) = bytes.split_first()?;
    match *handler {
        PREFIX => Some(Asked::Chunk(content)),
        SYNC_PREFIX => Some(Asked::State(content)),
        SIGNATURE_PREFIX => Some(Asked::Signature(content)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use types::codec::Bounded;

    use super::*;

    #[test]
    fn messages_come_back_and_garbage_is_refused() {
        let all = [
            SubnetMessage::WantFinality(Height(7)),
            SubnetMessage::Pool(PoolMessage::Transactions(Bounded::default())),
            SubnetMessage::Blobs(BlobMessage::Have(Bounded::default())),
        ];
        for message in all {
            let bytes = message.to_bytes();
            assert_eq!(SubnetMessage::from_bytes(&bytes).unwrap(), message);
            for length in 0..bytes.len() {
                assert!(SubnetMessage::from_bytes(&bytes[..length]).is_err());
            }
            let more = [&bytes[..], &[0]].concat();
            assert!(SubnetMessage::from_bytes(&more).is_err());
        }
        let long = vec![PREFIX; MAX_SUBNET_MESSAGE_BYTES + 2];
        assert!(SubnetMessage::from_bytes(&long).is_err());
        assert_eq!(
            SubnetMessage::from_bytes(&[2, 1]),
            Err(MessageError::Prefix)
        );
    }
}
