//! A validator says that it holds a job's inputs or results. A quorum of stake is all that any rule ever asks about
//! data; with it the job moves on at once.

use types::hash::ValidatorId;
use types::job::Stage;
use types::transaction::{Holding, StoredStatement};

use super::JobError;
use super::exit::settle;
use super::job::{await_primary, load, save, wrong_stage};
use crate::{ActionError, Context, Fault};

/// Notes a validator's stored statement, whose signature is checked already. A failure makes the block invalid.
pub fn stored(
    context: &mut Context<'_>,
    statement: &StoredStatement,
    validator: ValidatorId,
) -> Result<(), ActionError> {
    if context.rules.committee.validator(&validator).is_none() {
        return Err(Fault::Broken("a stored statement of nobody was let through").into());
    }
    let mut record = load(context, &statement.job, statement.attempt)?;
    let ((
        Stage::Pending {
            stored: holders,
            draw: None,
            ..
        },
        Holding::Inputs,
    )
    | (
        Stage::Storing {
            stored: holders, ..
        },
        Holding::Results,
    )) = (&mut record.stage, statement.holding)
    else {
        return Err(wrong_stage(&record));
    };
    if !holders.insert(validator) {
        return Err(JobError::AlreadyStored.into());
    }
    let committee = &context.rules.committee;
    if committee.stake_of_ids(holders) < committee.thresholds().quorum {
        save(context, &record);
        return Ok(());
    }
    if statement.holding == Holding::Results {
        return Ok(settle(context, record)?);
    }
    let holders = holders.clone();
    Ok(await_primary(context, record, holders)?)
}
