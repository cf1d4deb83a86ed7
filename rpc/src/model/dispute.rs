//! Disputes in the shapes of the interface.

use serde::{Deserialize, Serialize};
use types::hash::{Hash32, ValidatorId};
use types::job::{BallotPhase, Disputed};
use types::number::TaskIndex;

/// A dispute: referees run one task again and vote on what they found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeView {
    /// The task at which a verifier differs from the primary.
    pub task: TaskIndex,
    /// Number of the ballot in the attempt, counted from 0.
    pub ballot: u16,
    /// What it waits for: `queued`, `voting`, `opening` or `decided`.
    pub phase: DisputePhaseView,
    /// Referees that have committed to a vote and not opened it.
    pub committed: Vec<ValidatorId>,
    /// Referees whose votes are open or made the verdict.
    pub opened: Vec<ValidatorId>,
    /// The leaf on which a quorum agrees; absent before.
    pub verdict: Option<Hash32>,
}

/// What a dispute waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputePhaseView {
    /// Its turn: as many disputes run as may.
    Queued,
    /// The referees' commitments.
    Voting,
    /// Openings of the commitments.
    Opening,
    /// Openings of verifiers; there is a verdict.
    Decided,
}

impl From<&Disputed> for DisputeView {
    fn from(disputed: &Disputed) -> Self {
        let ballot = &disputed.ballot;
        let mut view = Self {
            task: ballot.task,
            ballot: ballot.number,
            phase: DisputePhaseView::Queued,
            committed: Vec::new(),
            opened: Vec::new(),
            verdict: None,
        };
        match &ballot.phase {
            BallotPhase::Queued => {}
            BallotPhase::Voting { committed } => {
                view.phase = DisputePhaseView::Voting;
                view.committed = committed.keys().copied().collect();
            }
            BallotPhase::Opening { committed, opened } => {
                view.phase = DisputePhaseView::Opening;
                view.committed = committed.keys().copied().collect();
                view.opened = opened.keys().copied().collect();
            }
            BallotPhase::Decided { leaf, referees } => {
                view.phase = DisputePhaseView::Decided;
                view.opened = referees.iter().copied().collect();
                view.verdict = Some(*leaf);
            }
        }
        view
    }
}
