//! From what a transaction asks for to the shape in which it is shown.

use types::attestation::RefereeFinding;
use types::transaction::{Action, JobAction, JobStep};

use super::ActionView;
use crate::model::{JobSpecView, ProfileView};

impl From<&Action> for ActionView {
    fn from(action: &Action) -> Self {
        match action {
            Action::Transfer { to, amount } => Self::Transfer {
                to: *to,
                amount: *amount,
            },
            Action::RegisterPartner { profile } => Self::RegisterPartner {
                profile: ProfileView::from(profile),
            },
            Action::Bond { amount } => Self::Bond { amount: *amount },
            Action::Unbond { amount } => Self::Unbond { amount: *amount },
            Action::SubmitJob { spec } => Self::SubmitJob {
                spec: Box::new(JobSpecView::from(spec.as_ref())),
            },
            Action::CancelJob { job } => Self::CancelJob { job: *job },
            Action::ChallengeJob { job, commitment } => Self::ChallengeJob {
                job: *job,
                commitment: *commitment,
            },
            Action::Job(action) => Self::from(action),
        }
    }
}

impl From<&JobAction> for ActionView {
    fn from(action: &JobAction) -> Self {
        let (job, attempt) = (action.job, action.attempt);
        match &action.step {
            &JobStep::OpenVote {
                ballot,
                found: RefereeFinding { leaf, witness },
                salt,
            } => Self::OpenVote {
                job,
                attempt,
                ballot,
                leaf,
                witness,
                salt,
            },
            JobStep::Acknowledge => Self::Acknowledge { job, attempt },
            JobStep::Decline { unrunnable } => Self::Decline {
                job,
                attempt,
                unrunnable: *unrunnable,
            },
            &JobStep::HandOn { states } => Self::HandOn {
                job,
                attempt,
                states,
            },
            &JobStep::Commit { commitment } => Self::Commit {
                job,
                attempt,
                commitment,
            },
            &JobStep::Renew { number } => Self::Renew {
                job,
                attempt,
                number,
            },
            JobStep::NoResult => Self::NoResult { job, attempt },
            JobStep::Announce { .. } => Self::Announce { job, attempt },
            JobStep::Reveal { opening } => Self::Reveal {
                job,
                attempt,
                result_root: opening.root,
                salt: opening.salt,
                tasks: opening.leaves.iter().map(|(task, _)| *task).collect(),
                outcomes: opening.outcomes,
            },
            &JobStep::Agree { salt } => Self::Agree { job, attempt, salt },
            &JobStep::Vote { ballot, commitment } => Self::Vote {
                job,
                attempt,
                ballot,
                commitment,
            },
            JobStep::Contradict { contradiction } => Self::Contradict {
                job,
                attempt,
                task: contradiction.divergence.task,
                leaf: contradiction.divergence.leaf,
                settled_leaf: contradiction.leaf,
            },
            JobStep::Differ { divergence } => Self::Differ {
                job,
                attempt,
                result_root: divergence.root,
                salt: divergence.salt,
                task: divergence.task,
                leaf: divergence.leaf,
            },
        }
    }
}
