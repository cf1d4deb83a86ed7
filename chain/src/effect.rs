//! What the chain asks of its host, in the order in which it must be done.

use std::sync::Arc;

use state::Decision;
use types::codec::Bounded;
use types::hash::{BlobId, BlockId, TransactionId, ValidatorId};
use types::whole::WholeBlock;

use crate::alarm::Alarm;
use crate::arrival::Ticket;
use crate::blob_book::BlobRequest;
use crate::block::{BuildTicket, Work};
use crate::error::Fatal;
use crate::gossip::{BlobMessage, Gossip};
use crate::referee::RefereeTask;

/// Validators that a message goes to. Never ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// This validator alone, if it is connected.
    One(ValidatorId),
    /// Every validator that is connected.
    All {
        /// But not this one, which it came from.
        except: Option<ValidatorId>,
    },
}

/// Something for the host to do, or to hand on to whoever orders blocks.
#[derive(Debug)]
pub enum Effect {
    /// Perform this, after all work that was asked for before (the verification of signatures stands apart from it), and
    /// answer with [`crate::Event::Done`] or
    /// [`crate::Event::Failed`].
    Work(Box<Work>),
    /// For the ordering: the block that was asked for.
    Built {
        /// The host's name for the request.
        ticket: BuildTicket,
        /// The block with its body, ready to be proposed.
        block: WholeBlock,
    },
    /// For the ordering: a block that was to be executed follows the rules.
    Valid {
        /// Id of the block that was to be executed.
        block: BlockId,
        /// True if the next block should follow soon.
        urgent: bool,
    },
    /// For the ordering: a block that was to be executed breaks a rule, or can never be decided.
    Invalid {
        /// Id of the block that was to be executed.
        block: BlockId,
    },
    /// For the ordering: a decided block is in the store.
    Committed {
        /// The block with its proof of finality, if it has one of its own.
        decision: Arc<Decision>,
        /// True if it is durable, with all below it.
        synced: bool,
    },
    /// For the ordering: whether transactions wait for which the next block should come soon.
    Urgent(bool),
    /// Send a message over the connections that exist; nothing is sent again.
    Send {
        /// Validators that it goes to.
        to: Destination,
        /// Pool or blob message, within the limits of its channel.
        message: Gossip,
    },
    /// Answer a submission; each is answered once.
    Answer {
        /// Name under which the submission came in.
        ticket: Ticket,
        /// For each transaction in its place its id, or why it was not taken.
        results: Vec<Result<TransactionId, vm::MempoolError>>,
    },
    /// A validator passed on a transaction whose signature is not valid: no correct one does.
    Forged(ValidatorId),
    /// Remember on disk that this block failed in execution: the next run is started with it.
    Quarantine(BlockId),
    /// Tell the operator at once.
    Alarm(Alarm),
    /// Fetch, read or remove a blob; the answer is an event about that blob.
    Blob(BlobRequest),
    /// Run a task in dispute; answered by [`crate::Event::Refereed`].
    Referee(Box<RefereeTask>),
    /// Stop at once. Nothing after this may be performed.
    Stop(Fatal),
}

impl Effect {
    /// Tells the others that a blob is here now.
    pub(crate) fn offer(blob: BlobId) -> Option<Self> {
        let blobs = Bounded::new(vec![blob]).ok()?;
        Some(Self::Send {
            to: Destination::All { except: None },
            message: Gossip::Blobs(BlobMessage::Have(blobs)),
        })
    }

    /// The alarms of transactions that could not be tried.
    pub(crate) fn trial_alarms(panicked: Vec<TransactionId>) -> Vec<Self> {
        let all = panicked.into_iter().map(Alarm::Trial);
        all.map(Self::Alarm).collect()
    }
}
