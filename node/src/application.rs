//! The one place where consensus meets the state machine: what a proposed block's header says, how a block is judged,
//! and what of its execution is kept until it is decided.
//!
//! Everything here is pure. The values are owned, so that a [`Building`] or an [`Execution`] can run on another thread
//! over a snapshot of the store, or after a virtual delay in a simulator.

#![deny(clippy::as_conversions, clippy::float_arithmetic)]

use std::sync::Arc;

use state::{Branch, ChainStore, DecidedState, Diff, StateError, compute_diff};
use types::block::{Block, Body, Header};
use types::codec::encode;
use types::hash::{BlockId, Hash32, TransactionId, ValidatorId};
use types::limits::MAX_HEADER_PATH;
use types::number::{Gas, Height, Timestamp, View};
use types::transaction::{SystemTransaction, TransactionReceipt};
use types::whole::WholeBlock;
use vm::{Fault, Rules, Verified, gas};

/// An executed block as its children's headers must show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub id: BlockId,
    /// Its header.
    pub header: Header,
    /// The state root after it.
    pub state_root: Hash32,
    /// The root of its receipts.
    pub receipt_root: Hash32,
    /// The gas it used.
    pub gas: Gas,
}

/// A block to be built.
#[derive(Debug)]
pub struct Building {
    /// For which view.
    pub view: View,
    /// On top of what.
    pub parent: Parent,
    /// The undecided blocks up to the parent.
    pub branch: Branch,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Who proposes it.
    pub proposer: ValidatorId,
    /// What validators have to say.
    pub system: Vec<SystemTransaction>,
    /// What accounts ask for, in the order in which it is tried.
    pub candidates: Vec<Verified>,
}

/// A block that was built.
#[derive(Debug)]
pub struct Built {
    /// For which view.
    pub view: View,
    /// The block.
    pub block: WholeBlock,
    /// What it was built from but is not worth another try.
    pub refused: Vec<TransactionId>,
}

/// A block to be executed.
#[derive(Debug)]
pub struct Execution {
    /// The block.
    pub block: WholeBlock,
    /// On top of what.
    pub parent: Parent,
    /// The undecided blocks up to the parent.
    pub branch: Branch,
}

/// What is kept of an executed block until it is decided.
#[derive(Debug, Clone)]
pub struct Executed {
    /// The block.
    pub block: WholeBlock,
    /// What it changes.
    pub diff: Arc<Diff>,
    /// How its transactions ended.
    pub receipts: Vec<TransactionReceipt>,
    /// The root of the receipts.
    pub receipt_root: Hash32,
    /// The gas it used.
    pub gas: Gas,
    /// True if the next block should follow soon.
    pub urgent: bool,
}

impl Executed {
    /// The block as its children must show it.
    #[must_use]
    pub fn as_parent(&self) -> Parent {
        Parent {
            id: self.block.id(),
            header: self.block.header.clone(),
            state_root: self.diff.root(),
            receipt_root: self.receipt_root,
            gas: self.gas,
        }
    }
}

/// Which rule a block broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// One of the state machine's.
    #[error(transparent)]
    Rule(#[from] vm::BlockError),
    /// The state root after the parent.
    #[error("the header says that the state root after its parent is {said}, it is {found}")]
    StateRoot {
        /// What the header says.
        said: Hash32,
        /// What execution gave.
        found: Hash32,
    },
    /// The parent's receipts.
    #[error("the header says that its parent's receipt root is {said}, it is {found}")]
    ReceiptRoot {
        /// What the header says.
        said: Hash32,
        /// What execution gave.
        found: Hash32,
    },
    /// The parent's gas.
    #[error("the header says that its parent used gas of {said}, it used {found}")]
    GasUsed {
        /// What the header says.
        said: Gas,
        /// What execution gave.
        found: Gas,
    },
    /// The block descends from one that can never be final any more.
    #[error("block {0} does not descend from the decided blocks")]
    DeadBranch(BlockId),
}

/// Why a block has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// It breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// State cannot be read or contradicts itself.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StateError> for ExecutionError {
    fn from(error: StateError) -> Self {
        Self::Fault(error.into())
    }
}

impl Execution {
    /// Runs the block. The header's claims about its parent are compared with what execution of the parent gave.
    pub fn run(
        self,
        rules: &Rules,
        decided: &dyn DecidedState,
    ) -> Result<Executed, ExecutionError> {
        let Self {
            block,
            parent,
            branch,
        } = self;
        check_parent(&block.header, &parent)?;
        let view = branch.over(decided);
        let executed = match vm::execute(rules, &view, &parent.header, &block) {
            Ok(executed) => executed,
            Err(vm::BlockError::Fault(fault)) => return Err(fault.into()),
            Err(error) => return Err(Invalid::Rule(error).into()),
        };
        let diff = compute_diff(&view, block.id(), executed.writes)?;
        let (receipts, receipt_root) = (executed.receipts, executed.receipt_root);
        let (gas, urgent) = (executed.gas, executed.urgent);
        Ok(Executed {
            block,
            diff: Arc::new(diff),
            receipts,
            receipt_root,
            gas,
            urgent,
        })
    }
}

fn check_parent(header: &Header, parent: &Parent) -> Result<(), Invalid> {
    if header.parent_state_root != parent.state_root {
        return Err(Invalid::StateRoot {
            said: header.parent_state_root,
            found: parent.state_root,
        });
    }
    if header.parent_receipt_root != parent.receipt_root {
        return Err(Invalid::ReceiptRoot {
            said: header.parent_receipt_root,
            found: parent.receipt_root,
        });
    }
    if header.parent_gas_used != parent.gas {
        return Err(Invalid::GasUsed {
            said: header.parent_gas_used,
            found: parent.gas,
        });
    }
    Ok(())
}

impl Building {
    /// Builds the block: only what will be valid on top of the parent.
    pub fn run(self, rules: &Rules, decided: &dyn DecidedState) -> Result<Built, Fault> {
        let Self {
            view: round,
            parent,
            branch,
            timestamp,
            proposer,
            system,
            candidates,
        } = self;
        let view = branch.over(decided);
        let built = vm::build(
            rules,
            &view,
            &parent.header,
            proposer,
            timestamp,
            &system,
            &candidates,
        )?;
        let (body, refused) = (built.body, built.refused);
        let height = parent.header.height.next();
        let header = Header {
            protocol_version: rules.params.protocol_version,
            chain_id: rules.chain_id,
            height,
            parent: parent.id,
            timestamp,
            proposer,
            transaction_root: body.root(),
            base_fee: rules.params.min_fee,
            next_committee: rules.next_committee(height),
            parent_state_root: parent.state_root,
            parent_receipt_root: parent.receipt_root,
            parent_gas_used: parent.gas,
        };
        let block = WholeBlock::new(Block { header, body });
        let block = block.ok_or(Fault::Broken("a block was built above its byte limit"))?;
        Ok(Built {
            view: round,
            block,
            refused,
        })
    }
}

/// The store's last block as its children must show it.
pub fn restore_parent(store: &impl ChainStore) -> Result<Parent, StateError> {
    let tip = store.tip();
    let missing = || StateError::Corrupt {
        height: tip.height,
        reason: "the last block is missing".to_owned(),
    };
    let block = store.block_at(tip.height)?.ok_or_else(missing)?;
    let receipts = store.receipts_at(tip.height)?.ok_or_else(missing)?;
    let (receipt_root, gas) = (TransactionReceipt::root(&receipts), body_gas(&block.body));
    Ok(Parent {
        id: tip.block,
        header: block.header,
        state_root: tip.root,
        receipt_root,
        gas,
    })
}

/// The gas that a valid block used: it follows from its body alone.
fn body_gas(body: &Body) -> Gas {
    let system = body.system.iter().map(gas::of_system);
    let transactions = body.transactions.iter();
    let transactions =
        transactions.map(|tx| gas::of_transaction(encode(tx).len(), &tx.transaction.action));
    system
        .chain(transactions)
        .fold(Gas::ZERO, |sum, more| sum.saturating_add(more.0))
}

/// Answers what a validator asks about decided blocks, or nothing if they are not here.
pub fn serve(
    store: &impl ChainStore,
    request: consensus::Request,
) -> Result<Option<consensus::Message>, StateError> {
    match request {
        consensus::Request::Block(id) => {
            let block = store.block(&id)?;
            Ok(block.map(|block| consensus::Message::Block(Box::new(block))))
        }
        consensus::Request::Range(from) => {
            Ok(range(store, from)?.map(|range| consensus::Message::Range(Box::new(range))))
        }
        consensus::Request::Certificates { .. } | consensus::Request::VoteRecovery { .. } => {
            Ok(None)
        }
    }
}

/// Final blocks from a height on: as many as fit and are proven, see [`consensus::Range::pack`].
fn range(store: &impl ChainStore, from: Height) -> Result<Option<consensus::Range>, StateError> {
    let newest = store
        .newest_certificate()?
        .map_or(Height::ZERO, |(height, _)| height);
    let blocks = (from.0..=newest.0).map_while(|height| store.block_at(Height(height)).transpose());
    consensus::Range::pack(blocks, |height| finality(store, height))
}

/// The headers above `last` up to the next block with a finalization, and that finalization; nothing if those are more
/// headers than a path may have.
fn finality(
    store: &impl ChainStore,
    last: Height,
) -> Result<Option<(Vec<Header>, types::vote::Certificate)>, StateError> {
    let Some((finalised, certificate)) = store.certificate_from(last)? else {
        return Ok(None);
    };
    if !usize::try_from(finalised.0.saturating_sub(last.0))
        .is_ok_and(|headers| headers <= MAX_HEADER_PATH)
    {
        return Ok(None);
    }
    let mut headers = Vec::new();
    for height in last.0.saturating_add(1)..=finalised.0 {
        let Some(header) = store.header_at(Height(height))? else {
            return Ok(None);
        };
        headers.push(header);
    }
    Ok(Some((headers, certificate)))
}
