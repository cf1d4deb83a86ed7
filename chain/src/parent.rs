//! An executed block as its children's headers must show it: their headers commit to the state, the receipts and the
//! gas of their parent.

use state::{ChainStore, StateError, StoreDamage, StoredRecord};
use types::block::{Body, Header};
use types::codec::encode;
use types::hash::{BlockId, Hash32};
use types::number::Gas;
use types::transaction::TransactionReceipt;
use vm::gas;

use crate::error::Invalid;

// The parent's results are what a header shows; a greater lag needs those of blocks below it.
const _: () = assert!(
    types::limits::STATE_ROOT_LAG == 1,
    "a header shows its parent's results"
);

/// An executed block as its children's headers must show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Id of the executed block.
    pub id: BlockId,
    /// Header of the executed block.
    pub header: Header,
    /// The state root after it.
    pub state_root: Hash32,
    /// The root of its receipts.
    pub receipt_root: Hash32,
    /// The gas it used.
    pub gas: Gas,
}

impl Parent {
    /// The store's last block.
    pub fn restore(store: &impl ChainStore) -> Result<Self, StateError> {
        let tip = store.tip();
        let height = tip.height;
        let missing = |record| StoreDamage::MissingAt { record, height };
        let block = store
            .block_at(height)?
            .ok_or_else(|| missing(StoredRecord::Block))?;
        let receipts = store
            .receipts_at(height)?
            .ok_or_else(|| missing(StoredRecord::Receipts))?;
        Ok(Self {
            id: tip.block,
            state_root: tip.root,
            receipt_root: TransactionReceipt::root(&receipts),
            gas: body_gas(&block.body),
            header: block.header,
        })
    }

    /// Compares what a child's header says of its parent with what the parent's execution gave.
    pub fn check_child(&self, header: &Header) -> Result<(), Invalid> {
        if header.parent_state_root != self.state_root {
            return Err(Invalid::StateRoot {
                said: header.parent_state_root,
                found: self.state_root,
            });
        }
        if header.parent_receipt_root != self.receipt_root {
            return Err(Invalid::ReceiptRoot {
                said: header.parent_receipt_root,
                found: self.receipt_root,
            });
        }
        if header.parent_gas_used != self.gas {
            return Err(Invalid::GasUsed {
                said: header.parent_gas_used,
                found: self.gas,
            });
        }
        Ok(())
    }
}

/// The gas that a valid block used: it follows from its body alone.
fn body_gas(body: &Body) -> Gas {
    let system = body.system.iter().map(gas::of_system);
    let transactions = body.transactions.iter();
    let transactions =
        transactions.map(|tx| gas::of_transaction(encode(tx).len(), &tx.transaction().action));
    system
        .chain(transactions)
        .fold(Gas::ZERO, |sum, more| sum.saturating_add(more.0))
}
