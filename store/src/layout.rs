//! The layout of the database: column families, keys and stored records. A change of anything here is a change of
//! [`FORMAT`].
//!
//! | family | key | value |
//! |---|---|---|
//! | `meta` | `format`, `chain`, `head`, `staged` | `u32`, chain id, [`Head`], header |
//! | `flat` | hash of a state key | state key, value |
//! | `old` | hash of a state key, height | state key, the value that the block at that height replaced |
//! | `undo` | height | [`Undo`] |
//! | `nodes` | node key of the tree | node |
//! | `blocks` | height | block |
//! | `heights` | block id | height |
//! | `receipts` | height | receipts of the block |
//! | `certificates` | height | finalization of the block at that height |
//! | `proposers` | height | proposer's signature of the block at that height, where blocks travel with one |
//! | `transactions` | transaction id | height, position in the block |
//! | `jobs` | customer, height, job id | nothing |
//! | `wanted` | nibbles of a path, one a byte | hash of what stands there; only in a state that arrives |
//!
//! A state's keys stand by their hash, as in the tree, so that what lies below a path stands together. Heights in keys are eight big-endian bytes, so that they sort; values are borsh.

use borsh::{BorshDeserialize, BorshSerialize};
use state::tree::NodeKey;
use state::{KeptHeights, Tip};
use types::hash::{Address, Hash32, JobId};
use types::number::Height;
use types::state_key::StateKey;

/// The version of this layout.
pub const FORMAT: u32 = 5;

/// Format, chain and head.
pub const META: &str = "meta";
/// The state after the tip.
pub const FLAT: &str = "flat";
/// Values that kept heights replaced.
pub const OLD: &str = "old";
/// Undo records of kept heights.
pub const UNDO: &str = "undo";
/// The nodes of the tree.
pub const NODES: &str = "nodes";
/// Decided blocks, by height.
pub const BLOCKS: &str = "blocks";
/// Heights by block id.
pub const HEIGHTS: &str = "heights";
/// Receipts of each decided block's transactions, by height.
pub const RECEIPTS: &str = "receipts";
/// Finalizations of the decided blocks that have one of their own, by height.
pub const CERTIFICATES: &str = "certificates";
/// Proposers' signatures of the decided blocks that came with one, by height.
pub const PROPOSERS: &str = "proposers";
/// Heights and positions of transactions.
pub const TRANSACTIONS: &str = "transactions";
/// Jobs that blocks took in, by customer.
pub const JOBS: &str = "jobs";

/// What of a state that arrives is not here yet.
pub const WANTED: &str = "wanted";

/// Every column family of the database.
pub const FAMILIES: [&str; 13] = [
    META,
    FLAT,
    OLD,
    UNDO,
    NODES,
    BLOCKS,
    HEIGHTS,
    RECEIPTS,
    CERTIFICATES,
    PROPOSERS,
    TRANSACTIONS,
    JOBS,
    WANTED,
];

/// Key of the format in `meta`.
pub const KEY_FORMAT: &[u8] = b"format";
/// Key of the chain's id in `meta`.
pub const KEY_CHAIN: &[u8] = b"chain";
/// Key of the head in `meta`.
pub const KEY_HEAD: &[u8] = b"head";

/// Key of the header that a state arrives for, in `meta`.
pub const KEY_STAGED: &[u8] = b"staged";

/// The end of the stored chain, and the range of its state that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Head {
    /// The newest decided block.
    pub tip: Tip,
    /// The lowest kept heights; undo records begin above that of the state.
    pub kept: KeptHeights,
}

/// The record by which a block is undone, and by which the nodes that it made stale are dropped.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Undo {
    /// The tip below the block.
    pub previous: Tip,
    /// The keys that the block changed, ascending; their old values are in `old`.
    pub keys: Vec<StateKey>,
    /// Tree nodes that the block made.
    pub new: Vec<NodeKey>,
    /// Tree nodes that the block made stale.
    pub stale: Vec<NodeKey>,
}

/// A height as a key.
#[must_use]
pub fn height_key(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

/// The height that a key stands for; `None` if it is not eight bytes long.
#[must_use]
pub fn height_of_key(key: &[u8]) -> Option<Height> {
    Some(Height(u64::from_be_bytes(key.try_into().ok()?)))
}

/// A value of the state, in the form of `flat`: with its key.
pub type FlatRow = (StateKey, Vec<u8>);
/// What a block replaced, in the form of `old`: the key, and its value if it had one.
pub type OldRow = (StateKey, Option<Vec<u8>>);

/// The key in `old` of the value that a height replaced under the state key of this hash.
#[must_use]
pub fn old_key(key: &Hash32, height: Height) -> Vec<u8> {
    [&key.0[..], &height_key(height)].concat()
}

/// The key in `jobs` of a job that the block at a height took in.
#[must_use]
pub fn job_key(customer: &Address, height: Height, job: &JobId) -> Vec<u8> {
    [&customer.0[..], &height_key(height), &job.0.0].concat()
}

/// Height and job that a key in `jobs` of a customer stands for; `None` if it is of another customer or another length.
#[must_use]
pub fn job_of_key(customer: &Address, key: &[u8]) -> Option<(Height, JobId)> {
    let (height, job) = key.strip_prefix(&customer.0)?.split_at_checked(8)?;
    let job: [u8; 32] = job.try_into().ok()?;
    Some((height_of_key(height)?, job.into()))
}
