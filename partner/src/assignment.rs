//! A partner's assignment in an attempt of a job, and what of it must outlive a crash.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use types::attestation::{CommitmentContext, MerkleLeaves, commitment, result_root_of};
use types::codec::Bounded;
use types::hash::{Address, BlobId, ChainId, Hash32, JobId};
use types::job::JobRecord;
use types::number::{Attempt, Height, TaskIndex};

/// The role of a partner in an assignment.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentRole {
    /// It runs all tasks and vouches for the result.
    Primary,
    /// It runs some or all tasks again.
    Verifier,
}

/// Names an assignment: a job, an attempt of it and the partner's role in it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Assignment {
    /// Job that is run or checked.
    pub job: JobId,
    /// Attempt of the job, counted from 0.
    pub attempt: Attempt,
    /// Role of the partner in that attempt.
    pub role: AssignmentRole,
}

impl Assignment {
    /// What a verifier of an attempt whose primary stayed silent did in it.
    #[must_use]
    pub fn of_earlier(record: &JobRecord) -> Self {
        Self {
            job: record.id,
            attempt: record.earlier.attempt,
            role: AssignmentRole::Verifier,
        }
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            AssignmentRole::Primary => "primary",
            AssignmentRole::Verifier => "verifier",
        };
        write!(f, "{}-{}-{role}", self.job, self.attempt)
    }
}

/// A commitment: everything that its opening will need. It is on disk before the commitment leaves the machine; without
/// it the commitment could never be opened and the bond would be lost.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OwnCommitment {
    /// The assignment whose result is committed.
    pub assignment: Assignment,
    /// The newest height that was known when it was committed.
    pub height: Height,
    /// Secret from which the blinding of each leaf comes (rule C3).
    pub salt: Hash32,
    /// The leaves of the tasks that were run, ascending.
    pub leaves: MerkleLeaves,
    /// Hash that is sent as the commitment (rule C4).
    pub commitment: Hash32,
    /// For a primary: the list of outcomes.
    pub outcomes: Option<BlobId>,
    /// For a primary: everything that the list names; kept on disk until the job is over.
    pub blobs: Bounded<BlobId, MAX_RESULT_BLOBS>,
    /// For the primary of a chain: the list of its states, then the files that it names, all of which it uploads before it commits.
    pub states: Bounded<BlobId, MAX_STATE_BLOBS>,
}

/// Most blobs that the results of one job name: stdout, stderr and every output of every task.
pub const MAX_RESULT_BLOBS: usize = types::limits::MAX_TASKS * (2 + types::limits::MAX_OUTPUTS);

/// Most blobs of a chain's states, and their list.
pub const MAX_STATE_BLOBS: usize = 1 + types::limits::MAX_TASKS * types::limits::MAX_STATE_OUTPUTS;

impl OwnCommitment {
    /// Commits the leaves of the tasks that were run.
    #[must_use]
    pub fn new(
        assignment: Assignment,
        height: Height,
        author: (ChainId, Address),
        salt: Hash32,
        leaves: MerkleLeaves,
    ) -> Self {
        let (chain, partner) = author;
        let context = CommitmentContext {
            chain,
            job: assignment.job,
            attempt: assignment.attempt,
            partner,
        };
        let commitment = commitment(&context, &result_root_of(&salt, &leaves), &salt);
        Self {
            assignment,
            height,
            salt,
            leaves,
            commitment,
            outcomes: None,
            blobs: Bounded::default(),
            states: Bounded::default(),
        }
    }

    /// The tasks that it covers.
    pub fn tasks(&self) -> impl Iterator<Item = TaskIndex> + '_ {
        self.leaves.iter().map(|(index, _)| *index)
    }
}
