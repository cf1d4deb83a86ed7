//! What a node that syncs its state asks of others, and what they answer.

use borsh::{BorshDeserialize, BorshSerialize};
use state::ChainStore;
use state::StateError;
use state::subtree::MAX_SUBTREE_BYTES;
use state::tree::NodePath;
use store::Store;
use types::codec::{decode, encode};
use types::number::Height;
use types::signed_block::{MAX_SIGNED_BLOCK_BYTES, SignedBlock};

/// Largest encoded request, in bytes.
pub const MAX_SYNC_REQUEST_BYTES: usize = 64;
/// Largest answer, in bytes: the host carries messages of at most 2 MiB.
pub const MAX_SYNC_ANSWER_BYTES: usize = (2 << 20) - (64 << 10);

const _: () = assert!(
    MAX_SUBTREE_BYTES <= MAX_SYNC_ANSWER_BYTES && MAX_SIGNED_BLOCK_BYTES <= MAX_SYNC_ANSWER_BYTES,
    "every answer fits"
);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum SyncRequest {
    /// The block of a height, with its proposer's signature: a [`SignedBlock`].
    Block(Height),
    /// The receipts of the block of a height, as a sequence of bounded length.
    Receipts(Height),
    /// What lies below a path in the state after a height: a [`Subtree`](state::subtree::Subtree).
    Subtree {
        /// Height of the block after which the state is asked for.
        height: Height,
        /// The path.
        path: NodePath,
    },
}

/// Why a node does not answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The bytes are no request.
    #[error("no request")]
    Undecodable,
    /// It is not here, or no longer.
    #[error("it is not here")]
    NotHere,
    /// It is longer than an answer may be.
    #[error("an answer of {0} bytes")]
    TooLong(usize),
    /// The store cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The answer to the bytes of a request that anybody may have sent.
pub fn answer(store: &Store, request: &[u8]) -> Result<Vec<u8>, NoAnswer> {
    let request = decode(request, MAX_SYNC_REQUEST_BYTES).map_err(|_| NoAnswer::Undecodable)?;
    let bytes = match request {
        SyncRequest::Block(height) => {
            let block = store.block_at(height)?.ok_or(NoAnswer::NotHere)?;
            let signed = SignedBlock::stored(block, store.proposer_at(height)?);
            signed.ok_or(NoAnswer::NotHere)?.to_bytes()
        }
        SyncRequest::Receipts(height) => {
            encode(&store.receipts_at(height)?.ok_or(NoAnswer::NotHere)?)
        }
        SyncRequest::Subtree { height, path } => match store.subtree(height, &path) {
            Ok(piece) => encode(&piece.ok_or(NoAnswer::NotHere)?),
            Err(StateError::NotKept { .. }) => return Err(NoAnswer::NotHere),
            Err(error) => return Err(error.into()),
        },
    };
    if bytes.len() > MAX_SYNC_ANSWER_BYTES {
        return Err(NoAnswer::TooLong(bytes.len()));
    }
    Ok(bytes)
}
