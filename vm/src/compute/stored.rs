//! A quorum of validators says that it holds a job's inputs or results: that is all that any rule ever asks about data,
//! and the job moves on at once.

use types::job::{Pending, Stage};
use types::number::Fuel;
use types::stored::{Holding, StoredStatement};

use super::JobError;
use super::exit::settle;
use super::hand_on::states_held;
use super::pending::await_primary;
use super::record::load;
use crate::{ActionError, Context};

/// Moves the job on of whose data a quorum holds what the statement says; their signatures are checked already. A failure
/// makes the block invalid.
// Rule C61.
pub fn stored(context: &mut Context<'_>, statement: &StoredStatement) -> Result<(), ActionError> {
    let (subject, found) = (&statement.subject, statement.bytes);
    let (job, stage) = load(context, &subject.job, subject.attempt)?.split();
    let limit = match subject.holding {
        Holding::Inputs | Holding::States => Fuel(0),
        Holding::Results => job.terms.total_fuel(),
    };
    if statement.fuel > limit {
        let found = statement.fuel;
        return Err(JobError::WrongFuel { found, limit }.into());
    }
    match (stage, subject.holding) {
        (Stage::Pending(Pending { draw: None }), Holding::Inputs) if job.queued.is_none() => {
            let expected = job.terms.input_bytes;
            if found != expected {
                return Err(JobError::WrongBytes { found, expected }.into());
            }
            Ok(await_primary(context, job)?)
        }
        (Stage::Assigned(assigned), Holding::States) => {
            states_held(context, job, assigned, statement)
        }
        (Stage::Storing(storing), Holding::Results) => {
            Ok(settle(context, job, storing, statement)?)
        }
        (stage, _) => Err(JobError::WrongStage {
            stage: stage.name(),
        }
        .into()),
    }
}
