//! The work that the core asks for and that takes long: it is done on another thread, or after a virtual delay, one
//! piece after the other in the order in which it was asked for.

use state::{ChainStore, Decision, Durability, StateError};
use vm::Rules;

use super::effect::Stop;
use super::input::{Event, Execute, Outrun};
use crate::application::{Building, Execution, ExecutionError};

/// A piece of work.
#[derive(Debug)]
pub enum Work {
    /// Execute a block.
    Execute(Execution),
    /// Build a block.
    Build(Building),
    /// Write a final block.
    Commit {
        /// The block and what it changed.
        decision: Decision,
        /// True if the write must be durable before it is answered.
        sync: bool,
    },
}

impl Work {
    /// Does it and gives the answer for the core. An error is the store's: the node must stop.
    pub fn perform(
        self,
        rules: &Rules,
        store: &(impl ChainStore + Sized),
    ) -> Result<Event, StateError> {
        Ok(match self {
            Self::Execute(execution) if execution.branch.base_height() < store.oldest() => {
                Event::Outrun(Outrun::Execution(execution.block))
            }
            Self::Build(building) if building.branch.base_height() < store.oldest() => {
                let Building {
                    view,
                    parent,
                    timestamp,
                    ..
                } = building;
                Event::Outrun(Outrun::Building {
                    view,
                    parent: parent.id,
                    timestamp,
                })
            }
            Self::Execute(execution) => {
                let block = execution.block.id();
                let result = match execution.run(rules, store) {
                    Ok(executed) => Execute::Valid(Box::new(executed)),
                    Err(ExecutionError::Invalid(invalid)) => Execute::Invalid(invalid),
                    Err(ExecutionError::Fault(fault)) => Execute::Failed(fault.into()),
                };
                Event::Executed { block, result }
            }
            Self::Build(building) => {
                let built = building.run(rules, store);
                Event::Built(built.map(Box::new).map_err(Stop::State))
            }
            Self::Commit { decision, sync } => {
                let durability = if sync {
                    Durability::Synced
                } else {
                    Durability::Buffered
                };
                store.commit(&decision, durability)?;
                Event::Committed {
                    height: decision.diff.height,
                    synced: sync,
                }
            }
        })
    }
}
