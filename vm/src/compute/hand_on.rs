//! The primary of a chain hands its states on before it commits: a list that names what each task but the last left.
//!
//! Once a quorum of validators holds the list and all that it names, whoever checks a task, or decides about it, can begin there
//! without asking the primary for anything. Before that nobody is drawn, so that a primary which brings no states learns
//! nothing and has not committed.

use types::hash::{Address, BlobId};
use types::job::{Assigned, HandedOn, Stage};
use types::limits::MAX_STATES_BYTES;
use types::stored::StoredStatement;

use super::JobError;
use super::record::{Job, save};
use crate::{ActionError, Context};

/// Takes the name of the list.
// Rule C80.
pub(crate) fn hand_on(
    context: &mut Context<'_>,
    sender: &Address,
    mut job: Job,
    assigned: Assigned,
    list: BlobId,
) -> Result<(), ActionError> {
    if assigned.primary.partner != *sender {
        return Err(JobError::NotPrimary.into());
    }
    if assigned.duties.is_none() {
        return Err(JobError::NotAcknowledged.into());
    }
    if !job.terms.state.is_chain() {
        return Err(JobError::NoState.into());
    }
    if job.states.is_some() {
        return Err(JobError::AlreadyHandedOn.into());
    }
    let limit = MAX_STATES_BYTES;
    if !(1..=limit).contains(&usize::try_from(list.length).unwrap_or(usize::MAX)) {
        return Err(JobError::BadStates { limit }.into());
    }
    job.states = Some(HandedOn { list, held: false });
    Ok(save(context, &job.with_stage(Stage::Assigned(assigned)))?)
}

/// A quorum holds the states: the commitment is awaited next.
// Rule C80.
pub(super) fn states_held(
    context: &mut Context<'_>,
    mut job: Job,
    assigned: Assigned,
    statement: &StoredStatement,
) -> Result<(), ActionError> {
    let Some(states) = job.states.filter(|states| !states.held) else {
        let stage = Stage::Assigned(assigned).name();
        return Err(JobError::WrongStage { stage }.into());
    };
    let (found, least) = (statement.bytes, states.list.length);
    if found < least {
        let expected = least;
        return Err(JobError::WrongBytes { found, expected }.into());
    }
    job.states = Some(HandedOn {
        held: true,
        ..states
    });
    Ok(save(context, &job.with_stage(Stage::Assigned(assigned)))?)
}
