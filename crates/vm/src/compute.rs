//! Jobs.

use types::hash::Address;
use types::number::ValidatorIndex;
use types::transaction::{StoredStatement, Transaction};

use crate::{ActionError, Context, Fault};

/// The rule of jobs that an action broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// No such job.
    #[error("no such job")]
    UnknownJob,
}

impl JobError {
    /// The stable short name that a receipt carries.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownJob => "unknown_job",
        }
    }
}

/// Performs a job action of `sender`, whose fee is charged already. Runs in a scope that is reverted on failure.
pub fn apply(_context: &mut Context<'_>, _transaction: &Transaction, _sender: Address) -> Result<(), ActionError> {
    Err(ActionError::Job(JobError::UnknownJob))
}

/// Notes a validator's stored statement, whose signature is checked already. A failure makes the block invalid.
pub fn stored(
    _context: &mut Context<'_>,
    _statement: &StoredStatement,
    _validator: ValidatorIndex,
) -> Result<(), ActionError> {
    Err(ActionError::Job(JobError::UnknownJob))
}

/// Moves all live jobs on by what is due: deadlines, draws, exits. Total.
pub fn end_block(_context: &mut Context<'_>) -> Result<(), Fault> {
    Ok(())
}
