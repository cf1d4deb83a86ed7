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
    use prost::Message as _;
    use types::codec::Bounded;
    use types::testing::fuzz::{AnswerMark, fuzz};

    use super::*;
    use crate::wire::warp::{SignatureRequest, SignatureResponse};

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

    #[test]
    fn fuzz_messages_of_the_subnet() {
        let block = types::hash::BlockId::default();
        let statement = types::vote::Statement {
            epoch: types::number::Epoch(1),
            view: types::number::View(3),
            subject: types::vote::Subject::Finalize { block },
        };
        let (key, chain) = (
            types::testing::numbered::key(1),
            types::hash::ChainId::default(),
        );
        let vote = Vote::sign(statement, types::number::ValidatorIndex(0), &key, chain);
        let all = [
            SubnetMessage::WantFinality(Height(7)),
            SubnetMessage::Vote(vote),
            SubnetMessage::Finality(Certificate::from_votes(statement, &[vote])),
            SubnetMessage::Blobs(BlobMessage::Have(Bounded::default())),
        ];
        let seeds = all.iter().map(SubnetMessage::to_bytes).collect();
        fuzz("subnet message", seeds, |input| {
            let answer = SubnetMessage::from_bytes(input);
            if let Ok(message) = &answer {
                assert_eq!(message.to_bytes(), input, "a second encoding");
            }
            AnswerMark::of(&answer)
        });
    }

    #[test]
    fn fuzz_signature_requests() {
        let request = SignatureRequest {
            message: vec![7; 80],
            justification: vec![1],
        };
        fuzz(
            "signature request",
            vec![request.encode_to_vec()],
            |input| {
                let answer = SignatureRequest::decode(input);
                let claim = answer
                    .map_err(|error| error.to_string())
                    .and_then(|request| {
                        warp::StateClaim::from_bytes(&request.message)
                            .map_err(|error| error.to_string())
                    });
                AnswerMark::of(&claim)
            },
        );
        let response = SignatureResponse {
            signature: vec![9; 96],
        };
        fuzz(
            "signature response",
            vec![response.encode_to_vec()],
            |input| AnswerMark::of(&SignatureResponse::decode(input)),
        );
    }
}
