//! Blocks: a header that names its parent and commits to its body, and to the state after its *parent*.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::{Bounded, encode};
use crate::hash::{BlockId, ChainId, Domain, Hash32, ValidatorId};
use crate::limits::{
    MAX_BLOCK_TRANSACTIONS, MAX_BODY_BYTES, MAX_SYSTEM_BYTES, MAX_SYSTEM_TRANSACTIONS,
};
use crate::merkle::merkle_root;
use crate::number::{Amount, Gas, Height, ProtocolVersion, Timestamp};
use crate::transaction::{SignedTransaction, SystemTransaction};

/// A block's header; its hash is the block's id.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// The rules that the block follows.
    pub protocol_version: ProtocolVersion,
    /// Id of the chain, the hash of its genesis.
    pub chain_id: ChainId,
    /// One above the parent's.
    pub height: Height,
    /// Id of the parent block; that of genesis for height 1.
    pub parent: BlockId,
    /// Milliseconds, above the parent's.
    pub timestamp: Timestamp,
    /// The validator that proposed the block; a member of the committee of the block's epoch.
    pub proposer: ValidatorId,
    /// Commits to the body, see [`Body::root`].
    pub transaction_root: Hash32,
    /// The least fee of a transaction in this block.
    pub base_fee: Amount,
    /// Hash of the next epoch's committee on a boundary block, else zero.
    pub next_committee: Hash32,
    /// State root after the parent.
    pub parent_state_root: Hash32,
    /// Receipt root of the parent.
    pub parent_receipt_root: Hash32,
    /// Gas that the parent used.
    pub parent_gas_used: Gas,
}

impl Header {
    /// Id of the block: the hash of its header.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId(Hash32::of(Domain::BLOCK, self))
    }
}

/// A block's content: system transactions, then those of accounts, each in the order of execution.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Body {
    /// What validators say, once per subject, free.
    pub system: Bounded<SystemTransaction, MAX_SYSTEM_TRANSACTIONS>,
    /// What users ask for, in order.
    pub transactions: Bounded<SignedTransaction, MAX_BLOCK_TRANSACTIONS>,
}

impl Body {
    /// The root over all signed bytes: system transactions, then transactions, then how many of the first kind.
    #[must_use]
    pub fn root(&self) -> Hash32 {
        let mut items: Vec<_> = self
            .system
            .iter()
            .map(|tx| Hash32::of(Domain::SYSTEM, tx))
            .collect();
        let system = u64::try_from(items.len()).expect("a length fits 64 bits");
        items.extend(
            self.transactions
                .iter()
                .map(|tx| Hash32::of(Domain::TRANSACTION, tx)),
        );
        items.push(Hash32::of(Domain::SYSTEM, &system));
        merkle_root(&items)
    }

    /// True if the transactions fit the body's byte limit, and the system transactions theirs.
    #[must_use]
    pub fn fits(&self) -> bool {
        encode(&self.transactions).len() <= MAX_BODY_BYTES
            && encode(&self.system).len() <= MAX_SYSTEM_BYTES
    }
}

/// A header and its body. That they fit each other is checked by [`Block::is_whole`].
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// Header, whose hash names the block and which commits to the body.
    pub header: Header,
    /// Body that the header's body root commits to.
    pub body: Body,
}

impl Block {
    /// Id of the block: the hash of its header.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// True if the body is the one the header commits to, within its byte limit.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.body.root() == self.header.transaction_root && self.body.fits()
    }
}
