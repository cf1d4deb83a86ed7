//! Duties that last are renewed: a primary that runs a job, and verifiers that check it, say at intervals that they still
//! do. Who has missed two has left, as one has whose time is over: so a machine that dies costs a minute, and not the time
//! that the slowest machine would need.
//!
//! A renewal is free, and possible once in half an interval. It carries its number, so that nobody can send an old one again
//! for somebody who died. Nothing is asked in the moment: a job whose duty ends at the earliest is looked at then, and again
//! later if it was renewed meanwhile.

use types::hash::Address;
use types::job::{Assigned, Duties, Renewals, Stage, Verifying};
use types::number::ChainTime;

use super::JobError;
use super::record::{Job, save};
use crate::{ActionError, Context};

/// Intervals without a renewal that end a duty.
const MISSED: u64 = 2;

/// The duties of some parties that begin in this block and last for so many milliseconds at most.
// Rule C70.
pub(super) fn begin(
    context: &Context<'_>,
    parties: impl Iterator<Item = Address>,
    window_ms: u64,
) -> Duties {
    let first = Renewals {
        number: 0,
        at: context.chain_time,
        height: context.height,
    };
    Duties {
        until: context.chain_time.saturating_add(window_ms),
        renewals: parties.map(|party| (party, first)).collect(),
    }
}

/// Chain time at which a duty ends that is not renewed.
fn end(context: &Context<'_>, renewals: &Renewals) -> ChainTime {
    let interval_ms = context.rules.params.compute.renewal_interval_ms;
    renewals
        .at
        .saturating_add(interval_ms.saturating_mul(MISSED))
}

/// The time until one of the duties can end, in milliseconds.
pub(super) fn next_end_ms(context: &Context<'_>, duties: &Duties) -> u64 {
    let ends = duties.renewals.values();
    let ends = ends.map(|renewals| end(context, renewals));
    let next = ends.fold(duties.until, ChainTime::min);
    next.0.saturating_sub(context.chain_time.0)
}

/// True if a party's duty is over in the end hook of a block that looks at it: its time is, or it missed two renewals.
// Rules C22, C70.
pub(super) fn is_over(context: &Context<'_>, duties: &Duties, party: &Address) -> bool {
    let now = context.chain_time;
    let renewals = duties.renewals.get(party).copied().unwrap_or_default();
    let left = end(context, &renewals) <= now && context.may_close(renewals.height);
    duties.until <= now || left
}

/// Renews a duty of the sender's.
// Rule C70.
fn renew(
    context: &Context<'_>,
    sender: &Address,
    duties: &mut Duties,
    number: u32,
) -> Result<(), JobError> {
    let (now, height) = (context.chain_time, context.height);
    let interval_ms = context.rules.params.compute.renewal_interval_ms;
    let renewals = duties.renewals.get_mut(sender);
    let renewals = renewals.ok_or(JobError::AlreadyCommitted)?;
    let next = renewals.number;
    if number != next {
        return Err(JobError::WrongRenewal {
            given: number,
            next,
        });
    }
    let again = renewals.at.saturating_add(interval_ms.div_ceil(2));
    if again > now {
        let again_ms = again.0 - now.0;
        return Err(JobError::RenewedTooSoon { again_ms });
    }
    *renewals = Renewals {
        number: number.saturating_add(1),
        at: now,
        height,
    };
    Ok(())
}

/// The primary that took a job still runs it.
pub(crate) fn renew_as_primary(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut assigned: Assigned,
    number: u32,
) -> Result<(), ActionError> {
    if assigned.primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    let duties = assigned.duties.as_mut().ok_or(JobError::NotAcknowledged)?;
    renew(context, sender, duties, number)?;
    Ok(save(context, &job.with_stage(Stage::Assigned(assigned)))?)
}

/// A bound verifier still runs its tasks.
pub(crate) fn renew_as_verifier(
    context: &mut Context<'_>,
    sender: &Address,
    job: Job,
    mut verifying: Verifying,
    number: u32,
) -> Result<(), ActionError> {
    let mut verifiers = verifying.parties.verifiers.iter();
    if !verifiers.any(|verifier| verifier.partner == *sender) {
        return Err(JobError::NotVerifier.into());
    }
    renew(context, sender, &mut verifying.duties, number)?;
    Ok(save(context, &job.with_stage(Stage::Verifying(verifying)))?)
}
