//! Jobs: from a customer's escrow to a receipt in state. `job` tells a job's life; the other files each do one thing
//! of it: an action of a party, a formula, a table.

pub mod error;
pub mod estimate;
pub mod fixed;
pub mod job;
pub mod live;
pub mod market;
pub mod penalty;
pub mod policy;
pub mod price;
pub mod spec;

mod acknowledge;
mod announce;
mod claim;
mod commit;
mod decline;
mod draw;
mod exit;
mod open;
mod stored;
mod submit;

use types::hash::Address;
use types::transaction::{Action, Transaction};

pub use error::JobError;
pub use estimate::{Estimate, estimate};
pub use job::end_block;
pub use live::{Due, JobsDue};
pub use stored::stored;

use crate::{ActionError, Context, Fault};

/// Performs a job action of `sender`, whose fee is charged already. Runs in a scope that is reverted on failure.
///
/// What a party does for a live job is at the customer's expense: the least fee is paid back from the escrow. To decline
/// is not for the job.
pub fn apply(
    context: &mut Context<'_>,
    transaction: &Transaction,
    sender: Address,
) -> Result<(), ActionError> {
    let (job, attempt) = match &transaction.action {
        Action::SubmitJob { spec } => {
            return submit::submit(context, sender, transaction.job_id(), spec);
        }
        Action::Acknowledge { job, attempt }
        | Action::Decline { job, attempt, .. }
        | Action::Commit { job, attempt, .. }
        | Action::Announce { job, attempt, .. }
        | Action::Claim { job, attempt, .. }
        | Action::Reveal { job, attempt, .. } => (job, *attempt),
        Action::Transfer { .. }
        | Action::RegisterPartner { .. }
        | Action::Bond { .. }
        | Action::Unbond { .. } => {
            return Err(Fault::Broken("not an action of jobs").into());
        }
    };
    let mut record = job::load(context, job, attempt)?;
    if record.stage.is_final() {
        return Err(job::wrong_stage(&record));
    }
    if !matches!(transaction.action, Action::Decline { .. }) {
        exit::reimburse(context, &mut record, &sender, transaction.fee)?;
    }
    match &transaction.action {
        Action::Acknowledge { .. } => acknowledge::acknowledge(context, &sender, record),
        Action::Decline { unrunnable, .. } => {
            decline::decline(context, &sender, record, *unrunnable)
        }
        Action::Commit { commitment, .. } => commit::commit(context, &sender, record, *commitment),
        Action::Announce { proof, .. } => announce::announce(context, &sender, record, proof),
        Action::Claim { commitment, .. } => claim::claim(context, &sender, record, *commitment),
        Action::Reveal { opening, .. } => open::open(context, &sender, record, opening),
        Action::SubmitJob { .. }
        | Action::Transfer { .. }
        | Action::RegisterPartner { .. }
        | Action::Bond { .. }
        | Action::Unbond { .. } => Err(Fault::Broken("not an action of jobs").into()),
    }
}
