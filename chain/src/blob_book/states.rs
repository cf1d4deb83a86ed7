//! The states of a chain as the book of blobs knows them: the primary names a list, and the list names the rest once it is found to be
//! within the job's limits.

use types::attestation::Outcomes;
use types::codec::encode;
use types::hash::BlobId;
use types::job::{TaskState, TaskStates, Workload, state_bytes};
use types::number::TaskIndex;

/// What is known of the states that the primary handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KnownStates {
    /// Nothing was handed on: the primary has not come so far, or tasks are independent.
    Unknown,
    /// The primary named the list; it is not here or not read yet.
    Named { list: BlobId, asked: bool },
    /// The list is read, and within the limits.
    Listed { list: BlobId, states: TaskStates },
    /// The list is none of this job: never vouched for.
    Flawed { list: BlobId },
}

impl KnownStates {
    /// What is known once a list is named.
    pub(super) fn named(list: Option<BlobId>) -> Self {
        list.map_or(Self::Unknown, |list| Self::Named { list, asked: false })
    }

    /// The list that the primary named.
    pub(super) fn list(&self) -> Option<BlobId> {
        match self {
            Self::Unknown => None,
            Self::Named { list, .. } | Self::Listed { list, .. } | Self::Flawed { list } => {
                Some(*list)
            }
        }
    }

    /// Every blob of them that is known, the list first.
    pub(super) fn blobs(&self) -> Vec<BlobId> {
        match self {
            Self::Unknown | Self::Flawed { .. } => Vec::new(),
            Self::Named { list, .. } => vec![*list],
            Self::Listed { list, states } => std::iter::once(*list).chain(states.files()).collect(),
        }
    }

    /// All of them, once the list is read and found right.
    pub(super) fn listed(&self) -> Option<Vec<BlobId>> {
        matches!(self, Self::Listed { .. }).then(|| self.blobs())
    }

    /// What a task begins with, once the list says so.
    pub(super) fn before(&self, task: TaskIndex) -> Option<TaskState> {
        match self {
            Self::Listed { states, .. } => states.before(task),
            _ => None,
        }
    }

    /// Takes the content of the list; nothing if it does not decode.
    // Rule C80.
    pub(super) fn read(&mut self, workload: &Workload, states: Option<&TaskStates>) {
        let Self::Named { list, .. } = *self else {
            return;
        };
        *self = match states.filter(|states| is_within(workload, states)) {
            Some(states) => Self::Listed {
                list,
                states: states.clone(),
            },
            None => Self::Flawed { list },
        };
    }

    /// True if the outcomes name the states that were handed on, so that no link is broken.
    // Rule C80.
    pub(super) fn are_of(&self, workload: &Workload, outcomes: &Outcomes) -> bool {
        if !workload.state.is_chain() {
            return true;
        }
        let named = encode(&outcomes.states(&workload.state));
        self.list() == Some(BlobId::of(&named))
    }
}

/// True if there is one state for each task but the last, each of as many files as the job hands on, and within the limit of what
/// a task writes.
// Rule C80.
fn is_within(workload: &Workload, states: &TaskStates) -> bool {
    let count = u32::try_from(states.0.len()).ok();
    let is_state = |state: &TaskState| {
        state.len() == workload.state.0.len()
            && state.iter().flatten().all(BlobId::is_allowed)
            && state_bytes(state) <= workload.limits.output_bytes
    };
    workload.state.is_chain()
        && count.and_then(|count| count.checked_add(1)) == Some(workload.tasks.count())
        && states.0.iter().all(is_state)
}
