//! What a live job waits for, one step finer than its stage.

use serde::{Deserialize, Serialize};
use types::job::{BallotPhase, JobRecord, SortitionBeacon, Stage};

/// What a live job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobAwaits {
    /// A quorum of validators that holds module and inputs.
    Inputs,
    /// The step of the beacon that draws a primary.
    Draw,
    /// A place, free bond or room: a draw found no primary, and the job is in the queue.
    Place,
    /// The primary's word that it takes the job.
    Acknowledgement,
    /// The primary's result: it runs the tasks.
    Commitment,
    /// A quorum of validators that holds the states of a chain, which its primary handed on.
    States,
    /// The step of the beacon that says who may verify.
    Sortition,
    /// Verifiers that announce themselves.
    Announcements,
    /// The step of the beacon that appoints the verifiers that are missing.
    Appointment,
    /// The verifiers' results: they run their tasks.
    VerifierCommitments,
    /// The primary's opening.
    Opening,
    /// The verifiers' openings.
    VerifierOpenings,
    /// Its turn for referees: as many disputes run as may.
    Referees,
    /// The referees' votes: they run one task.
    Votes,
    /// The openings of the referees' votes.
    VoteOpenings,
    /// A quorum of validators that holds the results.
    Results,
    /// What a challenger of the settled result found.
    Contradiction,
}

impl JobAwaits {
    /// What a job waits for; nothing if it ended.
    #[must_use]
    pub fn of(record: &JobRecord) -> Option<Self> {
        Some(match &record.stage {
            Stage::Pending(_) if record.queued.is_some() => Self::Place,
            Stage::Pending(pending) if pending.draw.is_some() => Self::Draw,
            Stage::Pending(_) => Self::Inputs,
            Stage::Assigned(assigned) if assigned.duties.is_none() => Self::Acknowledgement,
            Stage::Assigned(_) if record.states.is_some_and(|states| !states.held) => Self::States,
            Stage::Assigned(_) => Self::Commitment,
            Stage::Announcing(announcing) => match announcing.beacon {
                SortitionBeacon::Awaited { .. } => Self::Sortition,
                SortitionBeacon::Known { .. } => Self::Announcements,
            },
            Stage::Appointing(_) => Self::Appointment,
            Stage::Verifying(_) => Self::VerifierCommitments,
            Stage::Revealing(revealing) if revealing.opening.is_none() => Self::Opening,
            Stage::Revealing(_) => Self::VerifierOpenings,
            Stage::Disputed(disputed) => match disputed.ballot.phase {
                BallotPhase::Queued => Self::Referees,
                BallotPhase::Voting { .. } => Self::Votes,
                BallotPhase::Opening { .. } => Self::VoteOpenings,
                BallotPhase::Decided { .. } => Self::VerifierOpenings,
            },
            Stage::Storing(_) => Self::Results,
            Stage::Challenged(_) => Self::Contradiction,
            Stage::Settled | Stage::Failed(_) => return None,
        })
    }
}
