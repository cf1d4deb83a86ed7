//! The customer does not want its job any more: whoever has worked is paid, the rest is refunded, places and locks are free.
//!
//! It can until the primary reveals. From then on somebody may be shown to be wrong, and what that costs is not the
//! customer's to waive: a primary that also owns the customer would cancel whenever it is about to be caught.

use types::hash::{Address, JobId};
use types::job::{Assigned, Duties, FailureReason, Primary, Stage};
use types::number::Amount;
use types::params::RUN_FACTOR;

use super::escrow::{pay_bound, pay_part, pay_primary};
use super::exit::fail;
use super::fixed::ratio_up;
use super::price::execute_window_ms;
use super::record::Job;
use super::{JobError, live};
use crate::{ActionError, Context};

/// Ends a job that its customer cancels.
// Rule C69.
pub(crate) fn cancel(
    context: &mut Context<'_>,
    sender: &Address,
    id: &JobId,
) -> Result<(), ActionError> {
    let record = live::job(&context.overlay, id)?.ok_or(JobError::UnknownJob)?;
    if record.customer != *sender {
        return Err(JobError::NotCustomer.into());
    }
    let (mut job, stage) = record.split();
    match &stage {
        Stage::Pending(_) => {}
        Stage::Assigned(Assigned { primary, duties }) => {
            if let Some(duties) = duties {
                // Rule C82: states that are held can be read.
                let part = match job.states {
                    Some(states) if states.held => primary.price,
                    _ => earned(context, &job, primary, duties),
                };
                pay_part(context, &mut job, primary, part)?;
            }
        }
        Stage::Announcing(_) | Stage::Appointing(_) | Stage::Verifying(_) => {
            pay_parties(context, &mut job, &stage)?;
        }
        Stage::Revealing(revealing) if revealing.opening.is_none() => {
            pay_parties(context, &mut job, &stage)?;
        }
        Stage::Revealing(_)
        | Stage::Disputed(_)
        | Stage::Storing(_)
        | Stage::Settled
        | Stage::Challenged(_)
        | Stage::Failed(_) => {
            let stage = stage.name();
            return Err(JobError::TooLateToCancel { stage }.into());
        }
    }
    Ok(fail(context, job, &stage, FailureReason::Cancelled)?)
}

/// The primary has committed and has its price; who is bound to check has its fee, also where it has not committed yet.
fn pay_parties(context: &mut Context<'_>, job: &mut Job, stage: &Stage) -> Result<(), ActionError> {
    if let Some(parties) = stage.parties() {
        pay_primary(context, job, &parties.primary)?;
        pay_bound(context, job, &parties.verifiers)?;
    }
    Ok(())
}

/// What a primary has earned that runs since it acknowledged: its price, in the proportion of the time that it had to what
/// the slowest partner of the class would take.
fn earned(context: &Context<'_>, job: &Job, primary: &Primary, duties: &Duties) -> Amount {
    let window_ms = execute_window_ms(
        &context.rules.params.compute,
        &job.terms,
        job.terms.tasks.count(),
    );
    let left_ms = duties.until.0.saturating_sub(context.chain_time.0);
    let had_ms = u128::from(window_ms.saturating_sub(left_ms)).saturating_mul(RUN_FACTOR);
    let all_ms = u128::from(window_ms.max(1));
    Amount(ratio_up(primary.price.0, had_ms.min(all_ms), all_ms))
}
