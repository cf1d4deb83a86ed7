//! What a node serves so that a reader need not trust it: proofs of state under a finality certificate, and handovers
//! from one committee to the next.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::block::Header;
use crate::codec::Bounded;
use crate::committee::Committee;
use crate::hash::Hash32;
use crate::limits::{MAX_HEADER_PATH, MAX_PROOF_SIBLINGS};
use crate::vote::Certificate;

/// A path in the state tree to a leaf, or to the place where a key would be.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StateProof {
    /// The leaf at the end of the path: (key hash, value hash). Nothing if the path ends at an empty place; another
    /// key than the one asked for proves its absence.
    pub leaf: Option<(Hash32, Hash32)>,
    /// Hashes of the nodes beside the path, from the leaf up to the root.
    pub siblings: Bounded<Hash32, MAX_PROOF_SIBLINGS>,
}

/// A header's ancestry to a certificate: `headers[0]` is the header proven, each next one its child, and the
/// certificate finalises the last.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FinalityProof {
    /// From the header proven to the one finalised.
    pub headers: Bounded<Header, MAX_HEADER_PATH>,
    /// A finalization of the last header.
    pub certificate: Certificate,
}

/// A value (or its absence) under the state root that `finality`'s first header carries: the state after that
/// header's parent.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ValueProof {
    /// The value's bytes; nothing proves absence.
    pub value: Option<Vec<u8>>,
    /// The path to it.
    pub proof: StateProof,
    /// Why the root is final.
    pub finality: FinalityProof,
}

/// That a job's receipt stands: it is in state, and no revocation of it is. The three are of states in this order, or of the same.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReceiptProof {
    /// The chain's record, for its chain time.
    pub time: ValueProof,
    /// The absence of a revocation.
    pub revocation: ValueProof,
    /// The receipt. It is in the last state, so that it was not forgotten before: a revocation is forgotten with it.
    pub receipt: ValueProof,
}

/// Why another committee is in office from an epoch on: the last block before that epoch announces it, and the committee
/// in office until then finalized that block itself.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Handover {
    /// The header of the last block of the old term; it holds the new committee's hash.
    pub header: Header,
    /// A finalization of that very header by the old committee.
    pub certificate: Certificate,
    /// The committee that takes office with the next epoch.
    pub committee: Committee,
}
