//! A validator says that it holds a job's inputs or results. A quorum of stake is all that any rule ever asks about
//! data; with it the job moves on at once.

use types::hash::ValidatorId;
use types::job::{Pending, Stage, Storing};
use types::transaction::{Holding, StoredStatement};

use super::JobError;
use super::exit::settle;
use super::job::await_primary;
use super::record::{Job, load, save};
use crate::{Abort, ActionError, Context, Corruption};

/// Notes a validator's stored statement, whose signature is checked already. A failure makes the block invalid.
pub fn stored(
    context: &mut Context<'_>,
    statement: &StoredStatement,
    validator: ValidatorId,
) -> Result<(), ActionError> {
    if context.rules.committee.validator(&validator).is_none() {
        return Err(Corruption::StatementOfStranger(validator).into());
    }
    let record = load(context, &statement.job, statement.attempt)?;
    if record
        .awaited_statement()
        .is_some_and(|(awaited, stored)| awaited == *statement && stored.contains(&validator))
    {
        return Err(JobError::AlreadyStored.into());
    }
    let (job, stage) = record.split();
    match (stage, statement.holding) {
        (Stage::Pending(pending), Holding::Inputs) if pending.draw.is_none() => {
            Ok(inputs_stored(context, job, pending, validator)?)
        }
        (Stage::Storing(storing), Holding::Results) => {
            Ok(results_stored(context, job, storing, validator)?)
        }
        (stage, _) => Err(JobError::WrongStage {
            stage: stage.name(),
        }
        .into()),
    }
}

fn inputs_stored(
    context: &mut Context<'_>,
    job: Job,
    mut pending: Pending,
    validator: ValidatorId,
) -> Result<(), Abort> {
    pending.stored.insert(validator);
    if context.rules.is_quorum(&pending.stored) {
        return await_primary(context, job, pending.stored);
    }
    save(context, &job.with_stage(Stage::Pending(pending)))
}

fn results_stored(
    context: &mut Context<'_>,
    job: Job,
    mut storing: Storing,
    validator: ValidatorId,
) -> Result<(), Abort> {
    storing.stored.insert(validator);
    if context.rules.is_quorum(&storing.stored) {
        return settle(context, job, storing);
    }
    save(context, &job.with_stage(Stage::Storing(storing)))
}
