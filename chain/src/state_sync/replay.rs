//! The last step of a sync: the block whose header was trusted is executed on the state that came.

use std::collections::BTreeSet;

use state::{DecidedState, Decision, StateError};
use store::Store;
use types::signed_block::SignedBlock;
use vm::Rules;

use crate::block::{Blocks, Done, Work};
use crate::contain;
use crate::error::{Fatal, Invalid};
use crate::event::Event;

/// Why the block cannot be the store's last one.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The block breaks a rule, or its header says something else of the state that came.
    #[error("the block does not follow from the state that came: {0}")]
    Invalid(#[from] Invalid),
    /// The store cannot be read or written, or a commit panicked.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// The store cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Executes a block on a store that ends in its parent, and commits it durably. A store that ends in it is left alone.
pub fn replay(store: &Store, rules: &Rules, block: &SignedBlock) -> Result<(), ReplayError> {
    if store.tip().block == block.block().id() {
        return Ok(());
    }
    let mut blocks = Blocks::restore(store)?;
    let work = blocks.execute(block.block().clone(), BTreeSet::new())?;
    let executed = match contain::perform(work, rules, store) {
        Event::Done(Done::Executed { result, .. }) => result?,
        Event::Failed(fatal) => return Err(fatal.into()),
        other => unreachable!("an execution is answered by {other:?}"),
    };
    let decision = Decision {
        block: executed.block.block().clone(),
        diff: executed.diff,
        receipts: executed.receipts,
        finality: None,
        proposer: block.proposer(),
    };
    let decision = decision.into();
    match contain::perform(
        Work::Commit {
            decision,
            sync: true,
        },
        rules,
        store,
    ) {
        Event::Failed(fatal) => Err(fatal.into()),
        _ => Ok(()),
    }
}
