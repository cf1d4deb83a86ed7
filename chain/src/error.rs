//! Why a block is invalid, and why a chain cannot go on.

use state::StateError;
use types::hash::{BlockId, Hash32};
use types::number::{Gas, Height};
use vm::{Abort, Corruption};

/// The rule that a block broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// One of the state machine's.
    #[error(transparent)]
    Rule(#[from] vm::BlockError),
    /// The header shows another state root after the parent.
    #[error("the header says that the state root after its parent is {said}, it is {found}")]
    StateRoot {
        /// The root in the header.
        said: Hash32,
        /// The root that execution gave.
        found: Hash32,
    },
    /// The header shows another root of the parent's receipts.
    #[error("the header says that its parent's receipt root is {said}, it is {found}")]
    ReceiptRoot {
        /// The root in the header.
        said: Hash32,
        /// The root that execution gave.
        found: Hash32,
    },
    /// The header shows other gas used by the parent.
    #[error("the header says that its parent used gas of {said}, it used {found}")]
    GasUsed {
        /// The gas in the header.
        said: Gas,
        /// The gas that execution used.
        found: Gas,
    },
    /// The block descends from one that can never be decided any more.
    #[error("block {0} does not descend from the decided blocks")]
    DeadBranch(BlockId),
    /// Execution panicked.
    #[error("execution of block {block} panicked: {message}")]
    Panicked {
        /// The block that was executed; it is put into quarantine.
        block: BlockId,
        /// What the code that panicked said, for people.
        message: String,
    },
    /// Execution met a state that contradicts itself. The block may have brought it about, so this is no reason to stop.
    #[error("execution met a contradiction: {0}")]
    Corrupt(Corruption),
}

impl Invalid {
    /// True if the fault is this program's and may happen again: the block must not be executed a second time.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Panicked { .. } | Self::Corrupt(_))
    }
}

/// Why an execution gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// The block breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// No verdict on the block: the host must stop.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

impl From<StateError> for ExecutionError {
    fn from(error: StateError) -> Self {
        Self::Fatal(error.into())
    }
}

impl From<Abort> for ExecutionError {
    fn from(fault: Abort) -> Self {
        Self::Fatal(fault.into())
    }
}

/// What the worker was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    /// Executing the block of this id.
    Execution(BlockId),
    /// Building on this block.
    Building(BlockId),
    /// Writing the decided block of this id into the store.
    Commit(BlockId),
    /// Verifying signatures of transactions that came.
    Verification,
}

impl std::fmt::Display for WorkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Execution(block) => write!(f, "execution of block {block}"),
            Self::Building(parent) => write!(f, "building of a block on {parent}"),
            Self::Commit(block) => write!(f, "commit of block {block}"),
            Self::Verification => f.write_str("verification of signatures"),
        }
    }
}

/// Why a chain cannot go on: going on could only do harm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// State cannot be read, or contradicts itself.
    #[error(transparent)]
    State(#[from] Abort),
    /// A block is decided that was not executed here, or was committed before.
    #[error("block {0} is decided, but no result of its execution is here")]
    NotExecuted(BlockId),
    /// The store committed another block than the lowest that waits.
    #[error("the store committed block {found} out of turn: {}", expected_block(.expected.as_ref()))]
    OutOfTurn {
        /// The block that was committed.
        found: BlockId,
        /// The lowest decided block that waits; none if no block waits.
        expected: Option<BlockId>,
    },
    /// A block was built above the byte limit of a body.
    #[error("the block that was built for height {height} is above the byte limit of a body")]
    BuiltTooLarge {
        /// Height of the block that was built.
        height: Height,
    },
    /// A block is final that failed in execution here.
    #[error(
        "block {0} is final, but failed in execution here, see the alarm before this: this build cannot follow the chain"
    )]
    FinalQuarantined(BlockId),
    /// A commit panicked: what is on disk is not known.
    #[error("the {work} panicked: {message}; the node stops, since what it wrote is not known")]
    Panicked {
        /// What it was doing.
        work: WorkKind,
        /// Message of the panic, for the operator; nothing is decided by it.
        message: String,
    },
}

fn expected_block(expected: Option<&BlockId>) -> String {
    expected.map_or_else(
        || "none waited".to_owned(),
        |block| format!("block {block} was next"),
    )
}

impl From<StateError> for Fatal {
    fn from(error: StateError) -> Self {
        Self::State(error.into())
    }
}
