//! What an operator must know at once although the node goes on: a fault of this program that harmed nobody else,
//! because it was contained. The host writes each to its log and shows the latest in its status.

use types::hash::{BlockId, TransactionId};

use crate::error::Invalid;

/// A fault that was contained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// A block could not be executed to its end.
    #[error(
        "block {block} counts as invalid here and is not executed again, since {cause}: report it"
    )]
    Execution {
        /// The block whose view is nullified by this validator.
        block: BlockId,
        /// What stopped its execution.
        cause: Invalid,
    },
    /// A block could not be built; an empty one was proposed in its place.
    #[error(
        "building on block {parent} panicked: {message}; {} waiting transactions were dropped, the first {}: report it",
        .dropped.len(),
        first(.dropped)
    )]
    Building {
        /// The block below.
        parent: BlockId,
        /// What the code that panicked said, for people.
        message: String,
        /// Transactions of accounts that wait no more.
        dropped: Vec<TransactionId>,
    },
    /// A transaction could not be tried before it was taken in, or again after a block; it was dropped.
    #[error("trying transaction {0} panicked; it was dropped: report it")]
    Trial(TransactionId),
}

fn first(dropped: &[TransactionId]) -> String {
    dropped
        .first()
        .map_or_else(|| "none".to_owned(), ToString::to_string)
}
