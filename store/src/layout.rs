//! The layout of the database: column families, keys and stored records. A change of anything here is a change of
//! [`FORMAT`].
//!
//! | family | key | value |
//! |---|---|---|
//! | `meta` | `format`, `chain`, `head` | `u32`, chain id, [`Head`] |
//! | `flat` | state key | value |
//! | `old` | hash of a state key, height | the value that the block at that height replaced |
//! | `undo` | height | [`Undo`] |
//! | `nodes` | node key of the tree | node |
//! | `blocks` | height | block |
//! | `heights` | block id | height |
//! | `receipts` | height | receipts of the block |
//! | `certificates` | height | finalization of the block at that height |
//! | `proposers` | height | proposer's signature of the block at that height, where blocks travel with one |
//! | `transactions` | transaction id | height, position in the block |
//!
//! Heights in keys are eight big-endian bytes, so that they sort; values are borsh.

use borsh::{BorshDeserialize, BorshSerialize};
use state::tree::NodeKey;
use state::{KeptHeights, Tip};
use types::number::Height;
use types::state_key::StateKey;

/// The version of this layout.
pub const FORMAT: u32 = 3;

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

/// Every column family of the database.
pub const FAMILIES: [&str; 11] = [
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
];

/// Key of the format in `meta`.
pub const KEY_FORMAT: &[u8] = b"format";
/// Key of the chain's id in `meta`.
pub const KEY_CHAIN: &[u8] = b"chain";
/// Key of the head in `meta`.
pub const KEY_HEAD: &[u8] = b"head";

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

/// The key in `old` of the value that a height replaced under a state key.
#[must_use]
pub fn old_key(key: &StateKey, height: Height) -> Vec<u8> {
    [&key.hash().0[..], &height_key(height)].concat()
}
