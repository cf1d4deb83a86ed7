//! Contradictions in what is stored, one variant per rule, with the values that break it.
//!
//! Readers check what they read back: a record that decodes may still be the record of another height.

use types::codec::CodecError;
use types::hash::{BlockId, Hash32};
use types::number::Height;
use types::state_key::StateKey;

use crate::kept::KeptHeights;
use crate::node_key::NodeKey;

/// A contradiction in the state tree, or between the tree and the flat values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeCorruption {
    /// A node's length is not that of the children in its masks.
    #[error("node {node} is {found} bytes long, its masks say {expected}")]
    NodeLength {
        /// Name of the node.
        node: NodeKey,
        /// Length of its bytes.
        found: usize,
        /// The length that its masks say, or that of the masks if it is shorter.
        expected: usize,
    },
    /// Both a key and a node stand in one place of a node.
    #[error("node {node} has two children in one place, mask {places:#06x}")]
    TwoInOnePlace {
        /// Name of the node.
        node: NodeKey,
        /// Those places, one bit each.
        places: u16,
    },
    /// A node that its parent refers to is not stored.
    #[error("node {0} is missing")]
    MissingNode(NodeKey),
    /// The flat value under a key is not the value in the tree.
    #[error("the flat value of {key} is not the value in the tree")]
    FlatValue {
        /// The key that was read.
        key: StateKey,
    },
    /// A node does not hash to what its parent refers to.
    #[error("node {node} hashes to {found}, its parent refers to {expected}")]
    OtherNode {
        /// Name of the node.
        node: NodeKey,
        /// The hash in its parent.
        expected: Hash32,
        /// The hash of its content.
        found: Hash32,
    },
    /// A child of a node belongs elsewhere: its key has another path, or its version is newer than the node's.
    #[error("what stands in place {place} of node {node} does not belong there")]
    Misplaced {
        /// Name of the node.
        node: NodeKey,
        /// The place, from 0 to 15.
        place: u8,
    },
    /// A node that is not the root has fewer than two keys below it.
    #[error("node {0} has fewer than two keys below it")]
    Lonely(NodeKey),
    /// A key stands in the tree, and no value is stored under it.
    #[error("key {0} stands in the tree and has no value")]
    NoValue(Hash32),
    /// The tree of a height does not lead to the root on record.
    #[error("the path to key {key} does not lead to root {root}")]
    PathLeadsElsewhere {
        /// Hash of the key.
        key: Hash32,
        /// The root on record.
        root: Hash32,
    },
}

/// A contradiction between the records of a store of decided blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreDamage {
    /// A record's bytes do not decode.
    #[error("the {record} does not decode: {error}")]
    Undecodable {
        /// The kind of record.
        record: StoredRecord,
        /// Rule of the encoding that the bytes break.
        error: CodecError,
    },
    /// A record is missing that every store has.
    #[error("the {0} is missing")]
    Missing(StoredRecord),
    /// A record of a height is missing that must be there.
    #[error("the {record} of height {height} is missing")]
    MissingAt {
        /// The kind of record.
        record: StoredRecord,
        /// The height whose record it is.
        height: Height,
    },
    /// The value that a height replaced under a key is missing.
    #[error("the value that height {height} replaced under {key} is missing")]
    MissingOldValue {
        /// The height that replaced the value.
        height: Height,
        /// The key whose value it is.
        key: StateKey,
    },
    /// A key of the database does not have the form of its family.
    #[error("a key of the {record}s is {length} bytes long and not of their form")]
    BadKey {
        /// The kind of record under the key.
        record: StoredRecord,
        /// Length of the key, in bytes.
        length: usize,
    },
    /// A record names another height than the one that it is stored under.
    #[error("the {record} of height {height} says it is of height {found}")]
    OtherHeight {
        /// The kind of record.
        record: StoredRecord,
        /// The height that it is stored under.
        height: Height,
        /// The height that it names.
        found: Height,
    },
    /// The block at a height is not the one that its child, the head, an index or a certificate names.
    #[error("the block of height {height} is {found} where {expected} belongs")]
    OtherBlock {
        /// The height that the block is stored under.
        height: Height,
        /// The id that another record names.
        expected: BlockId,
        /// The id of the stored block.
        found: BlockId,
    },
    /// A block's body does not hash to the root in its header.
    #[error("the body of block {block} of height {height} is not the one that its header names")]
    OtherBody {
        /// The height that the block is stored under.
        height: Height,
        /// Id of the block in the record.
        block: BlockId,
    },
    /// A certificate does not finalize the block of the height that it is stored under.
    #[error("the certificate of height {0} does not finalize the block of that height")]
    OtherCertificate(Height),
    /// The lowest kept heights contradict each other or the tip.
    #[error(
        "the head keeps state from height {}, blocks from {} and transactions from {} on, while the tip is of height {tip}",
        kept.state, kept.blocks, kept.transactions
    )]
    KeptHeights {
        /// The lowest kept heights.
        kept: KeptHeights,
        /// Height of the tip.
        tip: Height,
    },
}

/// The kinds of records in a store of decided blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoredRecord {
    /// Version of the layout.
    #[error("format marker")]
    Format,
    /// Id of the chain.
    #[error("chain id")]
    Chain,
    /// Tip and lowest kept height.
    #[error("head")]
    Head,
    /// What a state that arrives leads to, or a part of it that is still wanted.
    #[error("record of a state that arrives")]
    Staged,
    /// A value of the state after the tip.
    #[error("state value")]
    Value,
    /// A value that a kept height replaced.
    #[error("old value")]
    OldValue,
    /// The record by which a height is undone and pruned.
    #[error("undo record")]
    Undo,
    /// A decided block with header and body.
    #[error("block")]
    Block,
    /// The height of a block, by its id.
    #[error("block's height")]
    BlockHeight,
    /// The receipts of a block's transactions.
    #[error("list of receipts")]
    Receipts,
    /// The finalization of a block.
    #[error("certificate")]
    Certificate,
    /// The proposer's signature of a block.
    #[error("proposer's signature")]
    Proposer,
    /// Height and position of a transaction, by its id.
    #[error("transaction's position")]
    TransactionPosition,
    /// A job in the index by customer.
    #[error("customer's job")]
    CustomerJob,
}
