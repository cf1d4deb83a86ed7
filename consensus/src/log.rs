//! The vote log: what makes a validator keep its word across crashes.
//!
//! An append-only sequence of records in segments. Each record carries its length, the epoch, a check of that header
//! and a checksum chained over the record before, so that a record that is lost, doubled, moved or changed breaks the
//! chain. Appending writes one group and syncs it; a failed write or sync is never retried, the log refuses from then
//! on. Each segment opens with a marker that binds the log to its chain and validator; a log without marker refuses to
//! open, because a validator that lost its log does not know what it signed.
//!
//! On opening, a record that is cut short at the very end is what a crash leaves: it is cut off. Everything else that
//! does not fit stops with a hint. The cut can only hit records whose sync never ended, so nothing rested on them.
//!
//! What was read of the last segment is then written anew and synced before it is given out. A process that was killed
//! between write and sync leaves records that only the cache holds, and after a failed sync the cache even looks clean:
//! whoever acted on them could lose them in the next power cut.
//!
//! Layout of a segment: records `length: u32 | epoch: u64 | check: 8 bytes | body: length bytes | checksum: 32 bytes`,
//! all little-endian; the first is a marker with the checksum of the segment before.

use borsh::{BorshDeserialize, BorshSerialize};
use types::block::Block;
use types::hash::ChainId;
use types::key::PublicKey;
use types::number::{Epoch, View};
use types::vote::{Certificate, Proposal, Subject, Vote};

mod file;
mod file_system;
mod format;
mod memory;
mod storage;
#[cfg(test)]
mod tests;

pub use file::FileStorage;
pub use file_system::{FileSystem, OsFiles};
pub use format::{MAX_RECORD_BYTES, RECORD_OVERHEAD_BYTES};
pub use memory::MemoryStorage;
pub use storage::{LogStorage, StorageError};

use format::{Marker, RecordBody, RecordChain, Scan};

/// Size from which on a new segment is begun, in bytes.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// What a validator writes down before it acts on it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Record {
    /// Our proposal, whole; it holds our notarize vote.
    Proposal(Box<Proposal>),
    /// A vote of ours, written before it is sent.
    Vote(Vote),
    /// A block's body, written in this view.
    Block {
        /// The view of the block.
        view: View,
        /// The block with its body.
        block: Box<Block>,
    },
    /// A certificate that something of ours rests on.
    Certificate(Certificate),
    /// The log had lost a vote: nothing is voted up to this view.
    Floor(View),
    /// First record of a log that takes the place of one that is lost: what was voted before is not known.
    Lost,
    /// Two conflicting blocks were final around this view: whoever saw that does not start again.
    Conflict(View),
    /// We lead this view, and our proposal may leave before it is written: whoever starts with this and without the
    /// proposal makes no other.
    Reserved(View),
}

impl Record {
    /// The view it belongs to: once that is final and stored, the record is no longer needed.
    #[must_use]
    pub fn view(&self) -> View {
        match self {
            Self::Proposal(proposal) => proposal.view,
            Self::Vote(vote) => vote.statement.view,
            Self::Block { view, .. }
            | Self::Floor(view)
            | Self::Conflict(view)
            | Self::Reserved(view) => *view,
            Self::Certificate(certificate) => certificate.statement.view,
            Self::Lost => View::ZERO,
        }
    }

    /// True if something that leaves, or that is done, rests on it. A finalization binds nobody: it is made again of votes
    /// that each lie in the log of who cast them, and who commits by it keeps it with the block.
    #[must_use]
    pub fn binds(&self) -> bool {
        match self {
            Self::Certificate(certificate) => {
                !matches!(certificate.statement.subject, Subject::Finalize { .. })
            }
            _ => true,
        }
    }
}

/// Whose log it is. Written into every segment, checked on every opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Identity {
    /// Chain for which the log was made.
    pub chain: ChainId,
    /// Validator whose votes the log holds.
    pub validator: PublicKey,
    /// The committee's term of office: records of an older one are never loaded.
    pub epoch: Epoch,
}

/// What is left to do for a validator whose log is not as it was written.
pub(crate) const LOST: &str = "put the log's directory back as the last run left it (an older copy lacks votes). If that \
    is gone, `gridproof node backup` and `gridproof node restore` make another directory of this one, whose validator votes only above \
    a view that the others confirm";

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No marker: never initialised, or lost.
    #[error(
        "the vote log has no marker for epoch {0}: it was never made, or it is lost with all that this validator signed. \
         A new validator makes it with `gridproof node init`; for one that has voted, {LOST}"
    )]
    NoMarker(Epoch),
    /// There already is a log.
    #[error(
        "a vote log exists already: it is never overwritten, because forgetting votes can cost the stake"
    )]
    Exists,
    /// The log was made for another chain.
    #[error(
        "the vote log is of chain {found}, this is {expected}: point the node at its own data directory"
    )]
    OtherChain {
        /// Chain in the log's marker.
        found: ChainId,
        /// Chain of this node.
        expected: ChainId,
    },
    /// The log was made by another validator.
    #[error(
        "the vote log is of validator key {found}, this is {expected}: point the node at its own data directory"
    )]
    OtherValidator {
        /// Validator key in the log's marker.
        found: PublicKey,
        /// Validator key of this node.
        expected: PublicKey,
    },
    /// The log holds a record of a term that is still to come.
    #[error(
        "the vote log holds a record of epoch {found}, this node is in the term of epoch {term}: point the node at its own data directory"
    )]
    LaterEpoch {
        /// First epoch of the record's term.
        found: Epoch,
        /// First epoch of the term in which the log is opened.
        term: Epoch,
    },
    /// Not what was written.
    #[error(
        "the vote log is damaged in segment {segment} at byte {offset}: {why}. Voting on could break the validator's \
         word: {LOST}"
    )]
    Damaged {
        /// Number of the segment.
        segment: u64,
        /// Where the record that does not fit begins.
        offset: u64,
        /// What does not fit.
        why: &'static str,
    },
    /// A segment in the middle is missing.
    #[error("segment {0} of the vote log is missing: {LOST}")]
    MissingSegment(u64),
    /// A record that is too long to be written.
    #[error("a record of {0} bytes is longer than any that the protocol makes")]
    TooLong(usize),
    /// An earlier write or sync failed; nothing is known about the disk from then on.
    #[error(
        "the vote log failed before and is not used again until a restart reads back what is on disk"
    )]
    Failed,
    /// The storage below failed.
    #[error("vote log: {0}")]
    Storage(#[from] StorageError),
}

#[derive(Debug, Clone, Copy)]
struct Sealed {
    number: u64,
    last_view: View,
}

/// The log of one validator.
#[derive(Debug)]
pub struct Log<S> {
    storage: S,
    identity: Identity,
    sealed: Vec<Sealed>,
    segment: u64,
    length: u64,
    last_view: View,
    chain: RecordChain,
    segment_bytes: u64,
    deferred: Vec<Record>,
    failed: bool,
}

impl<S: LogStorage> Log<S> {
    /// Makes a new log with its marker; refuses if there is one.
    pub fn init(storage: S, identity: Identity) -> Result<Self, LogError> {
        if !storage.segments()?.is_empty() {
            return Err(LogError::Exists);
        }
        let mut log = Self::empty(storage, identity, 0);
        log.begin_segment(0)?;
        Ok(log)
    }

    /// Makes a new log in place of one that is lost: its validator votes only above a view that the others confirm.
    pub fn init_lost(storage: S, identity: Identity) -> Result<Self, LogError> {
        let mut log = Self::init(storage, identity)?;
        log.append(&[Record::Lost])?;
        Ok(log)
    }

    /// Opens a log, cuts a torn last record off and gives the epoch's records in the order they were written. All of
    /// them are on disk when it returns, whatever the run before could sync.
    pub fn open(storage: S, identity: Identity) -> Result<(Self, Vec<Record>), LogError> {
        let segments = storage.segments()?;
        let Some(first) = segments.first().copied() else {
            return Err(LogError::NoMarker(identity.epoch));
        };
        if let Some((number, _)) = (first..)
            .zip(&segments)
            .find(|(expected, found)| expected != *found)
        {
            return Err(LogError::MissingSegment(number));
        }
        let mut log = Self::empty(storage, identity, first);
        let (mut records, mut marked, mut tail) = (Vec::new(), false, Vec::new());
        for (position, number) in segments.iter().copied().enumerate() {
            let last = position + 1 == segments.len();
            tail = log.storage.read(number)?;
            let chain = (position > 0).then_some(log.chain);
            let scan = Scan::read(&tail, number, chain, &identity, last)?;
            if position > 0 {
                log.sealed.push(Sealed {
                    number: log.segment,
                    last_view: log.last_view,
                });
            }
            marked |= scan.marked;
            (log.segment, log.last_view, log.chain) = (number, scan.last_view, scan.chain);
            tail.truncate(scan.length);
            records.extend(scan.records);
        }
        if !marked {
            return Err(LogError::NoMarker(identity.epoch));
        }
        log.settle(tail)?;
        Ok((log, records))
    }

    /// Keeps records in memory until the next group, which begins with them. For what does not bind, see
    /// [`Record::binds`]: a crash until then loses them. An append of nothing writes them alone.
    pub fn defer(&mut self, records: Vec<Record>) {
        self.deferred.extend(records);
    }

    /// Writes records as one group and syncs them. When it returns, they survive a crash; if it fails, nothing may be
    /// done that rests on them, and the log refuses from then on.
    pub fn append(&mut self, records: &[Record]) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Failed);
        }
        self.failed = true;
        if self.length >= self.segment_bytes {
            self.sealed.push(Sealed {
                number: self.segment,
                last_view: self.last_view,
            });
            self.begin_segment(self.segment + 1)?;
        }
        let mut bytes = Vec::new();
        let deferred = std::mem::take(&mut self.deferred);
        for record in deferred.iter().chain(records) {
            self.chain.push(
                &mut bytes,
                self.identity.epoch,
                &RecordBody::Record(record.clone()),
            )?;
            self.last_view = self.last_view.max(record.view());
        }
        self.storage.append(self.segment, &bytes)?;
        self.storage.sync(self.segment)?;
        self.length += length_of(&bytes);
        self.failed = false;
        Ok(())
    }

    /// Removes the segments that hold nothing above `view`. Call it once the store has synced the block that is final
    /// in `view`, with all its ancestors.
    pub fn release(&mut self, view: View) -> Result<(), LogError> {
        while let Some(oldest) = self
            .sealed
            .first()
            .copied()
            .filter(|segment| segment.last_view <= view)
        {
            self.storage.remove(oldest.number)?;
            self.sealed.remove(0);
        }
        Ok(())
    }

    /// Begins new segments from another size on; for tests.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The storage below, for tests and inspection.
    #[must_use]
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The storage, for tests that damage it.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Gives the storage back.
    #[must_use]
    pub fn into_storage(self) -> S {
        self.storage
    }

    fn empty(storage: S, identity: Identity, segment: u64) -> Self {
        Self {
            storage,
            identity,
            sealed: Vec::new(),
            segment,
            length: 0,
            last_view: View::ZERO,
            chain: RecordChain::default(),
            segment_bytes: SEGMENT_BYTES,
            deferred: Vec::new(),
            failed: false,
        }
    }

    /// Writes the whole records of the last segment anew, without what a crash left of the one after them. A crash
    /// while a segment was begun leaves not even its marker whole; nothing followed it.
    fn settle(&mut self, mut whole: Vec<u8>) -> Result<(), LogError> {
        if whole.is_empty() {
            whole = self.marker(self.segment)?;
        }
        self.storage.rewrite(self.segment, &whole)?;
        self.length = length_of(&whole);
        Ok(())
    }

    fn begin_segment(&mut self, number: u64) -> Result<(), LogError> {
        let bytes = self.marker(number)?;
        self.storage.create(number)?;
        self.storage.append(number, &bytes)?;
        self.storage.sync(number)?;
        (self.segment, self.length, self.last_view) = (number, length_of(&bytes), View::ZERO);
        Ok(())
    }

    fn marker(&mut self, number: u64) -> Result<Vec<u8>, LogError> {
        let marker = Marker {
            identity: self.identity,
            segment: number,
            before: self.chain,
        };
        let mut bytes = Vec::new();
        self.chain
            .push(&mut bytes, self.identity.epoch, &RecordBody::Marker(marker))?;
        Ok(bytes)
    }
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length fits 64 bits")
}
