//! Every action, in one place: what performs it.
//!
//! A new action, or a new step of a party to a job, has a file of its own for what it does, one line in each match
//! here, and its gas in [`types::gas`]. Everything else follows: its room in blocks and in the mempool, who is paid back for
//! it, and in which stage it is allowed.

use types::hash::Address;
use types::job::{JobRecord, Stage};
use types::number::Amount;
use types::transaction::{Action, JobAction, JobStep, Transaction};

use crate::compute::{self, JobError};
use crate::{ActionError, Context};

/// The step of a party to a live job, which has a reserve of its own in blocks and in the mempool.
#[must_use]
pub fn job_action(action: &Action) -> Option<&JobAction> {
    match action {
        Action::Job(action) => Some(action),
        Action::Transfer { .. }
        | Action::RegisterPartner { .. }
        | Action::Bond { .. }
        | Action::Unbond { .. }
        | Action::SubmitJob { .. }
        | Action::CancelJob { .. }
        | Action::ChallengeJob { .. } => None,
    }
}

/// True if the customer pays the step's fee. To decline, or to find no result, does not serve the job: these cost a
/// penalty. Renewals and votes of referees are free, and what opens a challenge: its job has no escrow any more.
// Rule C20.
fn is_paid_for(step: &JobStep) -> bool {
    match step {
        JobStep::Acknowledge
        | JobStep::Commit { .. }
        | JobStep::Announce { .. }
        | JobStep::Reveal { .. }
        | JobStep::Agree { .. }
        | JobStep::Differ { .. } => true,
        JobStep::Decline { .. }
        | JobStep::HandOn { .. }
        | JobStep::Renew { .. }
        | JobStep::NoResult
        | JobStep::Vote { .. }
        | JobStep::OpenVote { .. }
        | JobStep::Contradict { .. } => false,
    }
}

/// Performs the action of a transaction whose fee is charged already. Runs in a scope that is reverted on failure.
pub(crate) fn perform(
    context: &mut Context<'_>,
    transaction: &Transaction,
    sender: &Address,
) -> Result<(), ActionError> {
    match &transaction.action {
        Action::Transfer { to, amount } => context.transfer(sender, to, *amount),
        Action::RegisterPartner { profile } => context.register_partner(sender, profile),
        Action::Bond { amount } => context.bond(sender, *amount),
        Action::Unbond { amount } => context.unbond(sender, *amount),
        Action::SubmitJob { spec } => compute::submit(context, sender, transaction.job_id(), spec),
        Action::CancelJob { job } => compute::cancel(context, sender, job),
        Action::ChallengeJob { job, commitment } => {
            compute::challenge(context, sender, job, *commitment)
        }
        Action::Job(action) => step(context, sender, action).map(drop),
    }
}

/// Performs a party's step, if the job's stage allows it; gives the part of the escrow that was burned for it. Each step
/// succeeds once in an attempt for a party.
// Rules C20, C58.
pub(crate) fn step(
    context: &mut Context<'_>,
    sender: &Address,
    action: &JobAction,
) -> Result<Amount, ActionError> {
    let record = compute::load_for(context, action)?;
    let (mut job, stage) = record.split();
    let burned = if is_paid_for(&action.step) && !stage.is_final() {
        compute::burn_fee(context, &mut job)?
    } else {
        Amount::ZERO
    };
    perform_step(context, sender, job, stage, action)?;
    Ok(burned)
}

fn perform_step(
    context: &mut Context<'_>,
    sender: &Address,
    job: JobRecord<()>,
    stage: Stage,
    action: &JobAction,
) -> Result<(), ActionError> {
    let attempt = action.attempt;
    match (stage, &action.step) {
        (Stage::Assigned(assigned), JobStep::Acknowledge) => {
            compute::acknowledge(context, sender, job, assigned)
        }
        (Stage::Assigned(assigned), JobStep::Decline { unrunnable }) => {
            compute::decline(context, sender, job, assigned, *unrunnable)
        }
        (Stage::Assigned(assigned), JobStep::HandOn { states }) => {
            compute::hand_on(context, sender, job, assigned, *states)
        }
        (Stage::Assigned(assigned), JobStep::Commit { commitment }) => {
            compute::commit_as_primary(context, sender, job, assigned, *commitment)
        }
        (Stage::Verifying(verifying), JobStep::Commit { commitment }) => {
            compute::commit_as_verifier(context, sender, job, verifying, *commitment)
        }
        (Stage::Assigned(assigned), JobStep::Renew { number }) => {
            compute::renew_as_primary(context, sender, job, assigned, *number)
        }
        (Stage::Verifying(verifying), JobStep::Renew { number }) => {
            compute::renew_as_verifier(context, sender, job, verifying, *number)
        }
        (Stage::Verifying(verifying), JobStep::NoResult) => {
            compute::no_result(context, sender, job, verifying)
        }
        (Stage::Announcing(announcing), JobStep::Announce { proof }) => {
            compute::announce(context, sender, job, announcing, proof)
        }
        (Stage::Revealing(revealing), JobStep::Reveal { opening }) => {
            compute::reveal(context, sender, job, revealing, opening)
        }
        (Stage::Revealing(revealing), JobStep::Agree { salt }) => {
            compute::agree(context, sender, job, revealing, (attempt, salt))
        }
        (Stage::Revealing(revealing), JobStep::Differ { divergence }) => {
            compute::differ(context, sender, job, revealing, (attempt, divergence))
        }
        (Stage::Disputed(disputed), JobStep::Agree { salt }) => {
            compute::agree_in_dispute(context, sender, job, disputed, (attempt, salt))
        }
        (Stage::Disputed(disputed), JobStep::Differ { divergence }) => {
            compute::differ_in_dispute(context, sender, job, disputed, (attempt, divergence))
        }
        (Stage::Disputed(disputed), JobStep::Vote { ballot, commitment }) => {
            compute::vote(context, sender, job, disputed, (*ballot, *commitment))
        }
        (
            Stage::Disputed(disputed),
            JobStep::OpenVote {
                ballot,
                found,
                salt,
            },
        ) => compute::open_vote(context, sender, job, disputed, (*ballot, *found, *salt)),
        (Stage::Challenged(challenged), JobStep::Contradict { contradiction }) => {
            compute::contradict(context, sender, job, challenged, contradiction)
        }
        (stage, _) => Err(JobError::WrongStage {
            stage: stage.name(),
        }
        .into()),
    }
}
