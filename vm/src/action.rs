//! Every action, in one place: what it costs, and what performs it.
//!
//! A new action, or a new step of a party to a job, has a file of its own for what it does, and one line in each match
//! here. Everything else follows: its gas, its room in blocks and in the mempool, who is paid back for it, and in which
//! stage it is allowed.

use types::hash::Address;
use types::job::{JobRecord, Stage};
use types::number::Amount;
use types::transaction::{Action, JobAction, JobStep, Transaction};

use crate::compute::{self, JobError};
use crate::{ActionError, Context};

/// Gas of a transfer: one more account.
pub const TRANSFER: u64 = 1_024;
/// Gas of a registration: the profile, and whether its VRF key is valid.
pub const REGISTER_PARTNER: u64 = 16_384;
/// Gas of a bond: the index of partners, when the partner enters it.
pub const BOND: u64 = 16_384;
/// Gas of an unbonding: the index, and the queue.
pub const UNBOND: u64 = 8_192;
/// Gas of a job: its policy, found by search over the bond formulas.
pub const SUBMIT_JOB: u64 = 262_144;
/// Gas of a cancelled job: its parties are paid, their locks freed, its record ended.
pub const CANCEL_JOB: u64 = 65_536;
/// Gas of a challenge: locks of two partners, and a job that is live again.
pub const CHALLENGE_JOB: u64 = 32_768;
/// Gas of a party's step that checks no proof.
pub const JOB_STEP: u64 = 8_192;
/// Gas of an announcement: a VRF proof, and the snapshot of partners.
pub const ANNOUNCE: u64 = 131_072;
/// Gas of an opening: Merkle paths.
pub const REVEAL: u64 = 32_768;

/// Gas of the dearest action.
pub(crate) const MAX_GAS: u64 = SUBMIT_JOB;
/// Gas of the dearest step of a party to a job.
pub(crate) const MAX_JOB_STEP_GAS: u64 = ANNOUNCE;

const _: () = {
    assert!(MAX_JOB_STEP_GAS >= REVEAL && MAX_JOB_STEP_GAS >= JOB_STEP);
    assert!(MAX_GAS >= MAX_JOB_STEP_GAS && MAX_GAS >= REGISTER_PARTNER && MAX_GAS >= BOND);
    assert!(MAX_GAS >= TRANSFER && MAX_GAS >= UNBOND && MAX_GAS >= CHALLENGE_JOB);
};

/// Gas of what an action does, beside its transaction's bytes and signature.
#[must_use]
pub fn gas(action: &Action) -> u64 {
    match action {
        Action::Transfer { .. } => TRANSFER,
        Action::RegisterPartner { .. } => REGISTER_PARTNER,
        Action::Bond { .. } => BOND,
        Action::Unbond { .. } => UNBOND,
        Action::SubmitJob { .. } => SUBMIT_JOB,
        Action::CancelJob { .. } => CANCEL_JOB,
        Action::ChallengeJob { .. } => CHALLENGE_JOB,
        Action::Job(action) => match action.step {
            JobStep::Acknowledge
            | JobStep::Decline { .. }
            | JobStep::Commit { .. }
            | JobStep::Renew { .. }
            | JobStep::NoResult
            | JobStep::Vote { .. }
            | JobStep::OpenVote { .. } => JOB_STEP,
            JobStep::Announce { .. } => ANNOUNCE,
            JobStep::Reveal { .. }
            | JobStep::Agree { .. }
            | JobStep::Differ { .. }
            | JobStep::Contradict { .. } => REVEAL,
        },
    }
}

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
    let record = compute::load(context, &action.job, action.attempt)?;
    let (mut job, stage) = record.split();
    let burned = if is_paid_for(&action.step) && !stage.is_final() {
        compute::burn_fee(context, &mut job)?
    } else {
        Amount::ZERO
    };
    perform_step(context, sender, job, stage, &action.step)?;
    Ok(burned)
}

fn perform_step(
    context: &mut Context<'_>,
    sender: &Address,
    job: JobRecord<()>,
    stage: Stage,
    step: &JobStep,
) -> Result<(), ActionError> {
    match (stage, step) {
        (Stage::Assigned(assigned), JobStep::Acknowledge) => {
            compute::acknowledge(context, sender, job, assigned)
        }
        (Stage::Assigned(assigned), JobStep::Decline { unrunnable }) => {
            compute::decline(context, sender, job, assigned, *unrunnable)
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
            compute::agree(context, sender, job, revealing, salt)
        }
        (Stage::Revealing(revealing), JobStep::Differ { divergence }) => {
            compute::differ(context, sender, job, revealing, divergence)
        }
        (Stage::Disputed(disputed), JobStep::Agree { salt }) => {
            compute::agree_in_dispute(context, sender, job, disputed, salt)
        }
        (Stage::Disputed(disputed), JobStep::Differ { divergence }) => {
            compute::differ_in_dispute(context, sender, job, disputed, divergence)
        }
        (Stage::Disputed(disputed), JobStep::Vote { ballot, commitment }) => {
            compute::vote(context, sender, job, disputed, (*ballot, *commitment))
        }
        (Stage::Disputed(disputed), JobStep::OpenVote { ballot, leaf, salt }) => {
            compute::open_vote(context, sender, job, disputed, (*ballot, *leaf, *salt))
        }
        (Stage::Challenged(challenged), JobStep::Contradict { contradiction }) => {
            compute::contradict(context, sender, job, challenged, contradiction)
        }
        (stage, _) => Err(JobError::WrongStage {
            stage: stage.name(),
        }
        .into()),
    }
}
