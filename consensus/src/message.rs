//! What validators say to each other. Every message is bounded before it is allocated.
//!
//! Messages come over connections that are bound to a validator's key, so only what must convince third parties is
//! signed: proposals, votes and certificates.

use borsh::{BorshDeserialize, BorshSerialize};
use types::block::{Block, Header};
use types::codec::{Bounded, CodecError, decode, encode};
use types::hash::BlockId;
use types::limits::{
    MAX_BLOCK_BYTES, MAX_CERTIFICATE_BYTES, MAX_CONSENSUS_MESSAGE_BYTES, MAX_HEADER_PATH,
};
use types::number::{Height, ValidatorIndex, View};
use types::vote::{Certificate, Proposal, Statement, Vote};

use crate::evidence::Evidence;

#[cfg(test)]
mod tests;

/// Most certificates in one answer.
pub const MAX_CERTIFICATES: usize = 64;
/// Most blocks in one answer; their bytes are bounded too, see [`Range::pack`].
pub const MAX_RANGE_BLOCKS: usize = 64;
/// Most votes in one vote recovery answer: the latest of each kind.
pub const MAX_RECOVERED_VOTES: usize = 3;

const _: () = {
    assert!(
        MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES < MAX_CONSENSUS_MESSAGE_BYTES,
        "an answer fits a message"
    );
    assert!(
        MAX_BLOCK_BYTES + MAX_HEADER_PATH * 512 + MAX_CERTIFICATE_BYTES + 64
            < MAX_CONSENSUS_MESSAGE_BYTES,
        "a range fits a message"
    );
};

/// A message of the consensus channel.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// A leader's block with its votes and the certificates that it builds on.
    Proposal(Box<Proposal>),
    /// A vote, by the validator whose connection it comes from.
    Vote(Vote),
    /// A quorum's votes; anybody may relay them.
    Certificate(Certificate),
    /// A question to one validator; see [`Request`].
    Request(Request),
    /// A block that was asked for by its id.
    Block(Box<Block>),
    /// Final blocks that were asked for by height, with the proof that they are final.
    Range(Box<Range>),
    /// Certificates that were asked for by view.
    Certificates(Bounded<Certificate, MAX_CERTIFICATES>),
    /// The latest votes that the sender holds of the validator that asked.
    VoteRecovery {
        /// Repeated from the request, so that an answer to an earlier start is not taken for one to this.
        session: u64,
        /// At most one of each kind.
        votes: Bounded<Vote, MAX_RECOVERED_VOTES>,
        /// The certificate that ended the view before the sender's; none in view 1.
        entry: Option<Certificate>,
    },
    /// Two votes of whoever it is sent to that exclude each other: a second process may sign with the key.
    Evidence(Box<Evidence>),
}

/// What a validator may ask of another. Answers are bounded; no answer means "I do not have it".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Request {
    /// One block by its id.
    Block(BlockId),
    /// Final blocks from this height on.
    Range(Height),
    /// Certificates of these views, both ends included; a view that is final is answered by the finalization.
    Certificates {
        /// First view asked for.
        from: View,
        /// Last view asked for, at least the first.
        to: View,
    },
    /// The asking validator's own latest votes, asked before its first vote after a start.
    VoteRecovery {
        /// Tells this start from earlier ones.
        session: u64,
    },
}

/// What must be on disk before a message leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// Nothing: it shows no signature of its sender.
    Nothing,
    /// The sender's own proposal: that the view is reserved, see [`crate::log::Record::Reserved`], and these votes of the
    /// sender, which stand in the certificates that it brings. In a view that is not reserved it is a vote.
    Proposal {
        /// The view of the proposal.
        view: View,
        /// What the sender's votes in it say.
        carries: Vec<Statement>,
    },
    /// A vote of the sender: everything that it wrote until then.
    Vote,
}

/// Final blocks in ascending order and why they are final: the certificate finalises the last of `headers`, or the
/// last of `blocks` where there are none.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Range {
    /// Each the parent of the next.
    pub blocks: Bounded<Block, MAX_RANGE_BLOCKS>,
    /// The headers above the last block, up to the one that is directly final.
    pub headers: Bounded<Header, MAX_HEADER_PATH>,
    /// Finalization of the last header or block.
    pub certificate: Certificate,
}

impl Range {
    /// True if one more block still fits an answer that holds `count` blocks of `bytes` encoded bytes together. The
    /// first always does.
    #[must_use]
    pub fn has_room(count: usize, bytes: usize, next: &Block) -> bool {
        count == 0 || (count < MAX_RANGE_BLOCKS && bytes + encode(next).len() <= MAX_BLOCK_BYTES)
    }

    /// Takes as many of `blocks` (ascending, from the height asked for) as fit, and ends them at the last that has a
    /// finalization of its own, if there is one: whoever follows then has it, too, and can end its answers there.
    /// `finality` is asked for a height: the headers from the one above it to the first that is directly final, and
    /// the finalization.
    pub fn pack<E>(
        blocks: impl IntoIterator<Item = Result<Block, E>>,
        mut finality: impl FnMut(Height) -> Result<Option<(Vec<Header>, Certificate)>, E>,
    ) -> Result<Option<Self>, E> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for block in blocks {
            let block = block?;
            if !Self::has_room(taken.len(), bytes, &block) {
                break;
            }
            bytes += encode(&block).len();
            taken.push(block);
        }
        let (Some(first), Some(last)) = (taken.first(), taken.last()) else {
            return Ok(None);
        };
        let (first, last) = (first.header.height, last.header.height);
        let mut proof = finality(last)?;
        if proof
            .as_ref()
            .is_none_or(|(headers, _)| !headers.is_empty())
            && let Some((end, certificate)) = last_proven(first, last, &mut finality)?
        {
            taken.retain(|block| block.header.height <= end);
            proof = Some((Vec::new(), certificate));
        }
        let Some((headers, certificate)) = proof else {
            return Ok(None);
        };
        let (Ok(blocks), Ok(headers)) = (Bounded::new(taken), Bounded::new(headers)) else {
            return Ok(None);
        };
        Ok(Some(Self {
            blocks,
            headers,
            certificate,
        }))
    }
}

/// The last height from `first` to below `last` whose block is directly final, and its finalization.
fn last_proven<E>(
    first: Height,
    last: Height,
    finality: &mut impl FnMut(Height) -> Result<Option<(Vec<Header>, Certificate)>, E>,
) -> Result<Option<(Height, Certificate)>, E> {
    let (mut from, mut found) = (first, None);
    while from < last {
        let Some((headers, certificate)) = finality(from)? else {
            break;
        };
        let end = headers
            .last()
            .map_or(from, |header| header.height)
            .max(from);
        if end >= last {
            break;
        }
        found = Some((end, certificate));
        from = end.next();
    }
    Ok(found)
}

impl Message {
    /// What it says of `sender`, where that is the one who sends it. Requests, bodies and certificates of others promise
    /// nothing.
    #[must_use]
    pub fn promise(&self, sender: ValidatorIndex) -> Promise {
        let shows = |certificate: &Certificate| certificate.signers.contains(sender);
        let is_signed = match self {
            Self::Proposal(proposal) => {
                let ours = proposal.certificates().filter(|brought| shows(brought));
                return Promise::Proposal {
                    view: proposal.view,
                    carries: ours.map(|brought| brought.statement).collect(),
                };
            }
            Self::Vote(vote) => vote.signer == sender,
            Self::Certificate(certificate) => shows(certificate),
            Self::Range(range) => shows(&range.certificate),
            Self::Certificates(certificates) => certificates.iter().any(shows),
            Self::VoteRecovery { votes, entry, .. } => {
                votes.iter().any(|vote| vote.signer == sender) || entry.as_ref().is_some_and(shows)
            }
            Self::Evidence(evidence) => evidence.signer() == sender,
            Self::Request(_) | Self::Block(_) => false,
        };
        if is_signed {
            Promise::Vote
        } else {
            Promise::Nothing
        }
    }

    /// The bytes of a frame.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Length of the frame, in bytes.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        borsh::object_length(self).unwrap_or(usize::MAX)
    }

    /// Reads a frame; refuses anything that is too long or not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_CONSENSUS_MESSAGE_BYTES)
    }
}
