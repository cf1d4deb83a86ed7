//! A partner that sortition drew binds itself to verify.
//!
//! Sortition sees the snapshot of the epoch of the commitment's block, so every key was registered before the commitment,
//! and the beacon that it runs over came after it: nobody can look for a key, or a salt, that is drawn or spares somebody.

use types::account::LockReason;
use types::hash::Address;
use types::job::{Announcing, Stage, Verifier};
use types::key::VrfProof;
use types::sortition::Sortition;

use super::price::max_verifiers;
use super::record::{Job, save};
use super::{JobError, live};
use crate::{ActionError, Context};

/// Binds the sender as a verifier, if its proof shows that sortition drew it.
// Rules C34, C36, C37.
pub(crate) fn announce(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut announcing: Announcing,
    proof: &VrfProof,
) -> Result<(), ActionError> {
    let is_sender = |verifier: &Verifier| verifier.partner == *sender;
    if announcing.parties.verifiers.iter().any(is_sender) {
        return Err(JobError::AlreadyVerifier.into());
    }
    let max = max_verifiers(&job.policy);
    if announcing.parties.verifiers.len() >= max {
        return Err(JobError::TooManyVerifiers(max).into());
    }
    let page = live::page(context, announcing.epoch, sender)?;
    let sortition = Sortition::new(context.rules.chain_id, &job, &announcing, &page);
    let tasks = sortition
        .and_then(|sortition| sortition.check(sender, proof))
        .map_err(JobError::from)?;
    let bond = job.policy.verifier_bond;
    context.lock_bond(sender, LockReason::Verifier(job.id), bond)?;
    announcing.parties.verifiers.push(Verifier {
        partner: *sender,
        appointed: false,
        tasks,
        bond,
        commitment: None,
        opening: None,
    });
    Ok(save(
        context,
        &job.with_stage(Stage::Announcing(announcing)),
    )?)
}
