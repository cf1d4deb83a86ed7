//! What a host tells the chain, apart from its orders about blocks.

use std::collections::BTreeSet;

use types::attestation::{Outcomes, RefereeFinding};
use types::hash::{BlobId, Hash32, JobId, ValidatorId};
use types::job::TaskStates;
use types::transaction::SignedTransaction;

use crate::arrival::Ticket;
use crate::block::Done;
use crate::error::Fatal;
use crate::gossip::Gossip;

/// Transactions that a client submitted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Name under which it is answered.
    pub ticket: Ticket,
    /// Signed transactions, whose signatures are not checked yet; each is answered in its place.
    pub transactions: Vec<SignedTransaction>,
}

/// Something that happened at the chain's rim.
#[derive(Debug)]
pub enum Event {
    /// A piece of work was done.
    Done(Done),
    /// A piece of work could not be done: no verdict on a block, the host must stop.
    Failed(Fatal),
    /// These validators are connected now; ourselves not among them.
    Peers(BTreeSet<ValidatorId>),
    /// A message of a validator, over a connection that is proven to be its own.
    Gossip {
        /// The validator that sent it.
        from: ValidatorId,
        /// Pool or blob message as it was decoded.
        message: Gossip,
    },
    /// Clients submitted transactions here.
    Submit(Vec<Submission>),
    /// A blob is complete on disk.
    BlobStored(BlobId),
    /// A blob has changed on disk and was removed.
    BlobLost(BlobId),
    /// A validator did not give a blob.
    BlobMissing {
        /// Blob that was to be fetched.
        blob: BlobId,
        /// Validator that was asked for it.
        from: ValidatorId,
    },
    /// A task in dispute was run.
    Refereed {
        /// The job in dispute.
        job: JobId,
        /// What drew the point of its witness, which names the ballot.
        draw: Hash32,
        /// What was found; none if there was no result.
        found: Option<RefereeFinding>,
    },
    /// A list of outcomes that was asked for.
    OutcomesRead {
        /// Id of the list that was to be read.
        blob: BlobId,
        /// Its content; none if it does not decode.
        outcomes: Option<Box<Outcomes>>,
    },
    /// A list of states that was asked for.
    StatesRead {
        /// Id of the list that was to be read.
        blob: BlobId,
        /// Its content; none if it does not decode.
        states: Option<Box<TaskStates>>,
    },
}
