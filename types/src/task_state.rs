//! What tasks of a chain hand to each other: some of the outputs of one are inputs of the next.
//!
//! The tasks of an array are independent. A chain names outputs as its *state*: task i + 1 finds the files that task i wrote there
//! below [`STATE_FOLDER`], each under its output's name. The first task finds none.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::Bounded;
use crate::hash::BlobId;
use crate::limits::{MAX_STATE_OUTPUTS, MAX_TASKS};
use crate::number::{Amount, TaskIndex};

/// The folder in which a task of a chain finds the state before it; no input of a chain lies at or below it.
pub const STATE_FOLDER: &str = "/in/state";

/// The outputs that each task hands to the next, by their positions in the workload's list, ascending; none where tasks do not
/// depend on each other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, BorshSerialize, BorshDeserialize)]
pub struct StateOutputs(pub Bounded<u8, MAX_STATE_OUTPUTS>);

impl StateOutputs {
    /// True if each task but the first begins with what the one before it left.
    #[must_use]
    pub fn is_chain(&self) -> bool {
        !self.0.is_empty()
    }

    /// The positions of the outputs, in order.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().map(|position| usize::from(*position))
    }
}

/// Why a spec is no chain, though it names a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFlaw {
    /// There is nobody to hand a state to.
    #[error("a chain has at least 2 tasks, this one has {0}")]
    TooShort(u32),
    /// Some tasks of an array are named.
    #[error("a chain runs all its tasks: none of them can be named")]
    NamedTasks,
    /// A position is no output's, or not above the one before it.
    #[error("the state names outputs by their positions, ascending: {0} is out of place")]
    BadState(u8),
    /// An input lies where tasks find the state.
    #[error("the input {0:?} lies where tasks of a chain find their state, in {STATE_FOLDER}")]
    FolderTaken(String),
    /// One wrong task is said to cost less than all.
    #[error(
        "one wrong task of a chain makes all that follow wrong: the loss from it is the value at risk, {value} SQUARE, not {task}"
    )]
    BadTaskValue {
        /// V1: loss of the customer from one wrong task, in base units.
        task: Amount,
        /// V: value at risk of the whole job, in base units.
        value: Amount,
    },
}

/// What a task left for the next one: one file for each of [`StateOutputs`], in that order, `None` where it wrote none. Empty
/// before the first task of a chain, and always where tasks are independent.
pub type TaskState = Bounded<Option<BlobId>, MAX_STATE_OUTPUTS>;

/// The states after all tasks of a chain but the last, in order: the blob that a primary names before it commits.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TaskStates(pub Bounded<TaskState, MAX_TASKS>);

impl TaskStates {
    /// What a task begins with; nothing where the list ends before it.
    #[must_use]
    pub fn before(&self, task: TaskIndex) -> Option<TaskState> {
        match task.0.checked_sub(1) {
            None => Some(TaskState::default()),
            Some(before) => self.after(TaskIndex(before)).cloned(),
        }
    }

    /// Every file that one of them names; one that several name comes as often.
    pub fn files(&self) -> impl Iterator<Item = BlobId> + '_ {
        self.0
            .iter()
            .flat_map(|state| state.iter())
            .flatten()
            .copied()
    }

    /// What a task left; nothing after the last one, and where the list ends before that.
    #[must_use]
    pub fn after(&self, task: TaskIndex) -> Option<&TaskState> {
        self.0.get(usize::try_from(task.0).ok()?)
    }
}

/// The bytes of a state's files together, held at the largest value.
#[must_use]
pub fn state_bytes(state: &TaskState) -> u64 {
    let lengths = state.iter().flatten().map(|blob| blob.length);
    lengths.fold(0, u64::saturating_add)
}
