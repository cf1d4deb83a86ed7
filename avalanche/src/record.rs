//! The host's record of the last accepted block, beside the host's own in one database, so that a power cut never leaves
//! our store ahead of the host.
//!
//! Blocks and state lie in a store of our own; the host keeps the outer chain in its database. Neither is synced at each
//! block, so a power cut may take the end of either, and a host whose outer chain is below the inner one does not start.
//! The host writes the outer block before it asks us to accept; we write the height that we accept into the same
//! database after that, through `rpcdb`, and commit then. One database loses its end only: what is left of our record is
//! at or below what is left of the outer chain. At the start our store is taken back to the record: only a power cut
//! leaves it above, since nothing is committed, and so shown to anybody, before its record is written. If the store is
//! below, the record is taken back to it, as the host takes the outer chain back, and the host fetches the blocks again.

use borsh::{BorshDeserialize, BorshSerialize};
use state::{ChainStore, StateError};
use store::Store;
use tonic::Status;
use types::codec::{CodecError, decode, encode};
use types::hash::BlockId;
use types::number::Height;

use crate::grpc::HostConnection;
use crate::wire::db::{GET, GetValue, NO_ERROR, NOT_FOUND, PUT, PutValue, ValueFound, ValuePut};

/// Heights that can be taken back: those of a minute and more at the highest pace that was measured, while a system
/// writes to disk what is older than half a minute.
pub const UNDO_HEIGHTS: u64 = 4_096;

/// Key of the record.
const KEY: &[u8] = b"gridproof accepted";
/// Largest encoded record, in bytes.
const MAX_RECORD_BYTES: usize = 64;

/// The last block that the host is known to have on its own record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AcceptedRecord {
    /// Height of the block.
    pub height: Height,
    /// Id of the block.
    pub block: BlockId,
}

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HostRecordError {
    /// The host's database does not answer.
    #[error("the host's database: {0}")]
    Call(Box<Status>),
    /// The host's database is closed.
    #[error("the host's database is closed (code {0})")]
    Closed(i32),
    /// The record does not decode.
    #[error("the record of the last accepted block: {0}")]
    Codec(#[from] CodecError),
    /// Our store has another block at the height of the record.
    #[error(
        "the host has accepted block {accepted} at height {height}, our store holds {found}: it belongs to another chain; remove it, and the node fetches the blocks again"
    )]
    OtherBlock {
        /// Height of the record.
        height: Height,
        /// Block of the record.
        accepted: BlockId,
        /// Block in our store.
        found: BlockId,
    },
    /// Our store is too far ahead of the record.
    #[error(
        "our store is at height {store}, the host at {record}, and only {UNDO_HEIGHTS} heights can be taken back; remove the store, and the node fetches the blocks again"
    )]
    TooFarAhead {
        /// Height of our store.
        store: Height,
        /// Height of the record.
        record: Height,
    },
    /// Our store cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<Status> for HostRecordError {
    fn from(status: Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// The record in the host's database.
#[derive(Debug, Clone)]
pub struct HostRecord(HostConnection);

impl HostRecord {
    /// The record behind a connection to the database.
    pub fn new(database: HostConnection) -> Self {
        Self(database)
    }

    /// Reads the record; none before the first accepted block.
    pub async fn read(&self) -> Result<Option<AcceptedRecord>, HostRecordError> {
        let question = GetValue { key: KEY.to_vec() };
        let found: ValueFound = self.0.call(GET, question).await?;
        match found.err {
            NO_ERROR => Ok(Some(decode(&found.value, MAX_RECORD_BYTES)?)),
            NOT_FOUND => Ok(None),
            code => Err(HostRecordError::Closed(code)),
        }
    }

    /// Writes the record.
    pub async fn write(&self, record: AcceptedRecord) -> Result<(), HostRecordError> {
        let question = PutValue {
            key: KEY.to_vec(),
            value: encode(&record),
        };
        let put: ValuePut = self.0.call(PUT, question).await?;
        if put.err == NO_ERROR {
            Ok(())
        } else {
            Err(HostRecordError::Closed(put.err))
        }
    }
}

/// Takes the store back to the record: to genesis if there is none.
pub fn take_back(store: &Store, record: Option<AcceptedRecord>) -> Result<(), HostRecordError> {
    let target = record.map_or(Height::ZERO, |record| record.height);
    let tip = state::DecidedState::tip(store).height;
    if tip > target {
        tracing::warn!(store = %tip, host = %target, "the store is ahead of the host and is taken back");
    }
    while state::DecidedState::tip(store).height > target {
        match store.undo() {
            Ok(_) => {}
            Err(StateError::NothingToUndo(at)) => {
                let (store, record) = (at, target);
                return Err(HostRecordError::TooFarAhead { store, record });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let tip = state::DecidedState::tip(store);
    match record {
        Some(AcceptedRecord { height, block }) if tip.height == height && tip.block != block => {
            let (accepted, found) = (block, tip.block);
            Err(HostRecordError::OtherBlock {
                height,
                accepted,
                found,
            })
        }
        _ => Ok(()),
    }
}
