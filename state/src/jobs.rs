//! Jobs by customer: which jobs a decided block holds, for the index of a store.

use types::block::Block;
use types::hash::{Address, JobId};
use types::transaction::{Action, SignedTransaction, TransactionReceipt};

/// A job that a transaction submits, and the customer who pays for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubmittedJob {
    /// Account that pays.
    pub customer: Address,
    /// Name of the job.
    pub job: JobId,
}

impl SubmittedJob {
    /// The job that a transaction submits, if it submits one.
    #[must_use]
    pub fn of(signed: &SignedTransaction) -> Option<Self> {
        let transaction = signed.transaction();
        matches!(transaction.action, Action::SubmitJob { .. }).then(|| Self {
            customer: transaction.sender.address(),
            job: transaction.job_id(),
        })
    }
}

/// The jobs that a block took in, in the order of its transactions; `receipts` are those of the block.
pub fn submitted_jobs(
    block: &Block,
    receipts: &[TransactionReceipt],
) -> impl Iterator<Item = SubmittedJob> {
    let transactions = block.body.transactions.iter().zip(receipts);
    let succeeded = transactions.filter(|(_, receipt)| receipt.failure.is_none());
    succeeded.filter_map(|(signed, _)| SubmittedJob::of(signed))
}

#[cfg(test)]
mod tests;
