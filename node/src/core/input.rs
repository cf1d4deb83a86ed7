//! What goes into a node's core.

use std::collections::BTreeSet;

use types::attestation::Outcomes;
use types::hash::{BlobId, BlockId, ValidatorId};
use types::number::{Height, Timestamp, View};
use types::transaction::SignedTransaction;
use types::whole::WholeBlock;

use super::effect::Stop;
use super::wire::Frame;
use crate::application::{Built, Executed, Invalid};

/// Names a submission until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// How an execution ended.
#[derive(Debug)]
pub enum Execute {
    /// The block is valid.
    Valid(Box<Executed>),
    /// The block breaks a rule.
    Invalid(Invalid),
    /// State failed or the code panicked: no verdict, the node must stop.
    Failed(Stop),
}

/// Work that could not be done because its state is no longer kept. No fault of anybody's.
#[derive(Debug)]
pub enum Outrun {
    /// This block was to be executed.
    Execution(WholeBlock),
    /// A block was to be built.
    Building {
        /// For which view.
        view: View,
        /// On top of what.
        parent: BlockId,
        /// Its timestamp.
        timestamp: Timestamp,
    },
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The time of the last [`super::Effect::SetTimer`] has come. Harmless at any other time.
    Timer,
    /// These validators are connected now; ourselves not among them.
    Peers(BTreeSet<ValidatorId>),
    /// A frame of a validator, by the record that binds its connection to it.
    Frame {
        /// Who sent it.
        from: ValidatorId,
        /// What.
        frame: Frame,
    },
    /// Somebody submits a transaction.
    Submit {
        /// To be answered under this name.
        ticket: Ticket,
        /// The transaction.
        transaction: Box<SignedTransaction>,
    },
    /// Answers [`super::Work::Execute`].
    Executed {
        /// Which block.
        block: BlockId,
        /// How it ended.
        result: Execute,
    },
    /// Answers [`super::Work::Build`].
    Built(Result<Box<Built>, Stop>),
    /// Answers [`super::Work::Execute`] or [`super::Work::Build`] that waited for so many commits that the state it was
    /// to be done on is no longer kept. It is to be asked for again, on what is decided now.
    Outrun(Outrun),
    /// Answers [`super::Work::Commit`]: the store is at this height.
    Committed {
        /// Which height.
        height: Height,
        /// True if it is durable.
        synced: bool,
    },
    /// A blob is complete on disk.
    BlobStored(BlobId),
    /// A blob has changed on disk and was removed.
    BlobLost(BlobId),
    /// A validator did not give a blob.
    BlobMissing {
        /// Which one.
        blob: BlobId,
        /// Who.
        from: ValidatorId,
    },
    /// A list of outcomes that was asked for; nothing if it does not decode.
    OutcomesRead {
        /// The list's name.
        blob: BlobId,
        /// Its content.
        outcomes: Option<Box<Outcomes>>,
    },
}
