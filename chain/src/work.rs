//! What a piece of [`Work`] does, on whatever thread: building, executing and writing a block, verifying signatures. It
//! reads one snapshot of the store and changes nothing that the chain holds.

use std::sync::Arc;

use state::{Branch, ChainStore, DecidedState, Durability, compute_diff};
use types::block::{Block, Header};
use types::key::KeyCache;
use types::whole::WholeBlock;
use vm::{Abort, Rules};

use crate::arrival;
use crate::block::{Building, Built, Done, Executed, Execution, Outrun, Work};
use crate::error::{ExecutionError, Fatal, Invalid, WorkKind};
use crate::parent::Parent;

impl Building {
    /// Builds the block: only transactions that are valid on top of the parent.
    pub fn run(&self, rules: &Rules, decided: &dyn DecidedState) -> Result<Built, Fatal> {
        let (request, parent) = (self.request, &self.parent);
        let view = self.branch.clone().over(decided)?;
        let rules = rules.in_force(&view)?;
        let rules = rules.as_ref();
        let built = vm::build(
            rules,
            &view,
            &parent.header,
            request.proposer,
            request.timestamp,
            &self.system,
            &self.candidates,
        )?;
        let (body, refused, executed) = (built.body, built.refused, Box::new(built.executed));
        let height = parent.header.height.next();
        let header = Header {
            protocol_version: rules.protocol_version(height)?,
            chain_id: rules.chain_id,
            height,
            parent: parent.id,
            timestamp: request.timestamp,
            proposer: request.proposer,
            transaction_root: body.root(),
            base_fee: rules.params.min_fee,
            next_committee: rules.next_committee(height),
            parent_state_root: parent.state_root,
            parent_receipt_root: parent.receipt_root,
            parent_gas_used: parent.gas,
        };
        let block = WholeBlock::new(Block { header, body });
        Ok(Built {
            ticket: request.ticket,
            block: block.ok_or(Fatal::BuiltTooLarge { height })?,
            refused,
            executed,
        })
    }
}

impl Execution {
    /// Executes the block. The header's commitments to its parent are compared with the parent's execution here.
    pub fn run(
        self,
        rules: &Rules,
        decided: &dyn DecidedState,
    ) -> Result<Executed, ExecutionError> {
        let (block, parent) = (self.block, self.parent);
        parent.check_child(&block.header)?;
        let view = self.branch.over(decided)?;
        let executed = match self.known {
            Some(known) => *known,
            None => match vm::execute_known(rules, &view, &parent.header, &block, &self.verified) {
                Ok(executed) => executed,
                Err(vm::BlockError::Abort(Abort::Corrupt(corruption))) => {
                    return Err(Invalid::Corrupt(corruption).into());
                }
                Err(vm::BlockError::Abort(abort)) => return Err(abort.into()),
                Err(error) => return Err(Invalid::Rule(error).into()),
            },
        };
        let diff = compute_diff(&view, block.id(), executed.writes)?;
        let shown = Parent {
            id: block.id(),
            header: block.header.clone(),
            state_root: diff.root(),
            receipt_root: executed.receipt_root,
            gas: executed.gas,
        };
        Ok(Executed {
            block,
            diff: Arc::new(diff),
            receipts: executed.receipts,
            shown,
            urgent: executed.urgent,
        })
    }
}

impl Work {
    /// What it is, for whoever reports that it failed.
    #[must_use]
    pub fn kind(&self) -> WorkKind {
        match self {
            Self::Execute(execution) => WorkKind::Execution(execution.block.id()),
            Self::Build(building) => WorkKind::Building(building.parent.id),
            Self::Commit { decision, .. } => WorkKind::Commit(decision.diff.block),
            Self::Verify(_) => WorkKind::Verification,
        }
    }

    /// Does it and gives the answer. An error is no verdict on a block: the host must stop.
    pub fn perform(self, rules: &Rules, store: &impl ChainStore) -> Result<Done, Fatal> {
        if let Self::Verify(arrivals) = self {
            let mut all = vec![arrivals];
            arrival::verify(rules, &mut KeyCache::new(1), &mut all);
            return Ok(Done::Verified(all));
        }
        // One for all that the work reads: blocks may be committed meanwhile.
        let decided = store.snapshot()?;
        let decided = decided.as_ref();
        let is_kept = |branch: &Branch| branch.base_height() >= decided.oldest();
        Ok(match self {
            Self::Execute(execution) if !is_kept(&execution.branch) => {
                Done::Outrun(Outrun::Execution(execution.block))
            }
            Self::Build(building) if !is_kept(&building.branch) => {
                Done::Outrun(Outrun::Building(building.request))
            }
            Self::Execute(execution) => {
                let block = execution.block.id();
                let result = match execution.run(rules, decided) {
                    Ok(executed) => Ok(Box::new(executed)),
                    Err(ExecutionError::Invalid(invalid)) => Err(invalid),
                    Err(ExecutionError::Fatal(fatal)) => return Err(fatal),
                };
                Done::Executed { block, result }
            }
            Self::Build(building) => Done::Built(Box::new(building.run(rules, decided)?)),
            Self::Verify(_) => unreachable!("verified above"),
            Self::Commit { decision, sync } => {
                let durability = if sync {
                    Durability::Synced
                } else {
                    Durability::Buffered
                };
                store.commit(&decision, durability)?;
                Done::Committed {
                    decision,
                    synced: sync,
                }
            }
        })
    }
}
