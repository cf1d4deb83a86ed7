//! Challenges of settled jobs: while the primary's bond is locked for its audit window, any partner may say that the result is
//! wrong, and stakes a bond on it. Referees decide as in any dispute, and the receipt is revoked if they find the same.
//!
//! ```text
//!           a commitment                  both leaves of a task                a verdict
//!  Settled --------------> Challenged -------------------------> Disputed --------------------> Settled
//!     ^                         |  nothing in time: its bond is burned  |  it is not the primary's, or there is none
//!     +-------------------------+                                       +-------------------> Failed (`revoked`)
//! ```
//!
//! The challenger commits first, so that nobody can take what it found and claim it as its own. The primary need not answer, nor
//! be there at all: the root that it committed to and its salt are in the receipt, and all leaves follow from the list of outcomes,
//! which validators hold. So whoever challenges shows the primary's leaf itself.

use types::account::LockReason;
use types::attestation::{CommitmentContext, Contradiction, commitment as commitment_to};
use types::codec::Bounded;
use types::hash::{Address, Hash32, JobId};
use types::job::{
    Challenged, JobReceipt, Parties, Primary, PrimaryOpening, Revocation, Settlement, Stage,
    Verifier, VerifierOpening,
};
use types::limits::{MAX_CHALLENGED_JOBS, MAX_CHALLENGES, MAX_LIVE_JOBS};
use types::state_key::StateKey;

use super::ballot::{Dispute, dispute};
use super::record::{Job, enter, revive};
use super::reveal::shown;
use super::{JobError, live};
use crate::{Abort, ActionError, Context, Corruption};

fn receipt(context: &Context<'_>, job: &JobId) -> Result<JobReceipt, Abort> {
    let found = context.overlay.get(&StateKey::Receipt(*job))?;
    found.ok_or_else(|| Corruption::NoReceipt(*job).into())
}

/// The settlement of a job whose receipt may be challenged now.
// Rule C73.
fn challengeable(context: &Context<'_>, job: &Job, stage: &Stage) -> Result<Settlement, JobError> {
    let settlement = job.settlement.filter(|_| *stage == Stage::Settled);
    let settlement = settlement.ok_or(JobError::WrongStage {
        stage: stage.name(),
    })?;
    if settlement.until <= context.chain_time {
        return Err(JobError::AuditOver {
            until: settlement.until,
        });
    }
    if settlement.challenges >= MAX_CHALLENGES {
        return Err(JobError::TooManyChallenges(MAX_CHALLENGES));
    }
    let most = MAX_LIVE_JOBS + MAX_CHALLENGED_JOBS;
    if usize::try_from(context.chain.live_jobs).unwrap_or(usize::MAX) >= most {
        return Err(JobError::NoRoomToChallenge(most));
    }
    Ok(settlement)
}

/// Takes a partner's word that the result of a settled job is wrong: it locks a bond, and shows what it found in the window that
/// begins now.
// Rules C73, C74.
pub(crate) fn challenge(
    context: &mut Context<'_>,
    sender: &Address,
    id: &JobId,
    commitment: Hash32,
) -> Result<(), ActionError> {
    let record = live::job(&context.overlay, id)?.ok_or(JobError::UnknownJob)?;
    let (mut job, stage) = record.split();
    let settlement = challengeable(context, &job, &stage)?;
    let receipt = receipt(context, id)?;
    if receipt.primary == *sender {
        return Err(JobError::OwnResult.into());
    }
    let (bond, held) = (job.policy.verifier_bond, job.policy.bond);
    context.lock_bond(sender, LockReason::Challenger(*id), bond)?;
    let (from, to) = (
        LockReason::Audit(settlement.until),
        LockReason::Contested(*id),
    );
    context.move_lock(&receipt.primary, from, to, held)?;
    job.settlement = Some(Settlement {
        challenges: settlement.challenges.saturating_add(1),
        ..settlement
    });
    let revocation = Revocation::Challenged {
        challenger: *sender,
        height: context.height,
    };
    context.overlay.put(StateKey::Revocation(*id), &revocation);
    revive(context, &mut job)?;
    let author = CommitmentContext {
        chain: context.rules.chain_id,
        job: *id,
        attempt: job.attempt,
        partner: receipt.primary,
    };
    let parties = Parties {
        primary: Primary {
            partner: receipt.primary,
            price: receipt.price,
            bond: held,
        },
        commitment: commitment_to(&author, &receipt.result_root, &receipt.salt),
        verifiers: vec![Verifier {
            partner: *sender,
            appointed: false,
            tasks: Vec::new(),
            bond,
            commitment: Some(commitment),
            opening: None,
        }],
        no_results: Vec::new(),
    };
    let window_ms = context.rules.params.compute.reveal_window_ms;
    let stage = Stage::Challenged(Challenged { parties });
    Ok(enter(context, job, stage, Some(window_ms))?)
}

/// Takes what the challenger found at one task beside what the primary claimed there: referees run it, from this block on.
// Rules C73, C75.
pub(crate) fn contradict(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    challenged: Challenged,
    contradiction: &Contradiction,
) -> Result<(), ActionError> {
    let mut parties = challenged.parties;
    let mut verifiers = parties.verifiers.iter_mut();
    let author = verifiers
        .find(|verifier| verifier.partner == *sender)
        .ok_or(JobError::NotChallenger)?;
    let divergence = &contradiction.divergence;
    let (root, salt) = (&divergence.root, &divergence.salt);
    let place = (&job.id, job.attempt);
    if author.commitment != Some(shown(context, place, sender, root, salt)) {
        return Err(JobError::WrongCommitment.into());
    }
    let receipt = receipt(context, &job.id)?;
    let (root, salt) = (receipt.result_root, receipt.salt);
    if !contradiction.is_consistent(&job.terms.tasks, &root, &salt) {
        return Err(JobError::Inconsistent.into());
    }
    let (task, leaf) = (divergence.task, divergence.leaf);
    if leaf == contradiction.leaf {
        return Err(JobError::NoDivergence(task).into());
    }
    author.tasks = vec![task];
    author.opening = Some(VerifierOpening::Differed { task, leaf });
    let leaves = Bounded::new(vec![(task, contradiction.leaf)]);
    let begun = Dispute {
        parties,
        opening: PrimaryOpening {
            root,
            salt,
            leaves: leaves.map_err(|_| JobError::Inconsistent)?,
            outcomes: receipt.outcomes,
        },
        unverified: false,
        openings_until: context.chain_time,
    };
    Ok(dispute(context, job, begun, task)?)
}
