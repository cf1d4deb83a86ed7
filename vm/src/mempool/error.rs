//! Why the mempool does not take a transaction.

use types::hash::{Address, TransactionId};
use types::limits::NONCES_PER_SENDER;
use types::number::{Amount, Nonce};

use crate::charge::ChargeError;
use crate::{Abort, ActionError};

/// Why a transaction is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MempoolError {
    /// It is here already.
    #[error("transaction {0} is known")]
    Known(TransactionId),
    /// No block could hold it.
    #[error(transparent)]
    Charge(#[from] ChargeError),
    /// Its nonce lies too far ahead of the account's.
    #[error(
        "the nonce {found} is too far ahead: the account is at {next}, at most {NONCES_PER_SENDER} may wait"
    )]
    NonceTooFar {
        /// Nonce of the transaction.
        found: Nonce,
        /// Next nonce of the account.
        next: Nonce,
    },
    /// It would replace one with its nonce for too little more.
    #[error("the fee {found} SQUARE does not replace transaction {before}: at least {needed} does")]
    ReplacementFee {
        /// What would be replaced.
        before: TransactionId,
        /// Fee in the transaction, in base units.
        found: Amount,
        /// The least fee that replaces it.
        needed: Amount,
        /// Next nonce of the account that nothing waits with.
        next: Nonce,
    },
    /// The account cannot pay for all that waits.
    #[error(
        "the account holds {balance} SQUARE, the fees of its waiting transactions come to {fees}"
    )]
    CannotPay {
        /// What the account holds.
        balance: Amount,
        /// Sum of the fees of the sender's waiting transactions, in base units.
        fees: Amount,
    },
    /// A party's step that its job does not await now, or not from this sender.
    #[error("the job does not await this step: {0}")]
    NotAwaited(Box<ActionError>),
    /// The same party's step of the same kind waits already.
    #[error("transaction {0} takes this step already")]
    StepWaits(TransactionId),
    /// A party's step by somebody who is no partner with a sufficient bond, nor a party to the job.
    #[error("{0} is no active partner")]
    NoPartner(Address),
    /// No room for that fee.
    #[error("the mempool is full: try again later or with a fee above {above} SQUARE")]
    Full {
        /// The least fee among what waits.
        above: Amount,
    },
    /// Trying it panicked: a fault of this program, which the transaction must not spread.
    #[error("transaction {0} cannot be tried here")]
    TrialPanicked(TransactionId),
    /// More transactions wait to be verified than can be.
    #[error("more transactions came than can be verified: try again later")]
    Busy,
    /// State could not be read.
    #[error(transparent)]
    Abort(#[from] Abort),
}

impl MempoolError {
    /// The rule that it broke, in one word for counts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Known(_) => "known",
            Self::Charge(_) => "charge",
            Self::NonceTooFar { .. } => "nonce_too_far",
            Self::ReplacementFee { .. } => "replacement_fee",
            Self::CannotPay { .. } => "cannot_pay",
            Self::NotAwaited(_) => "not_awaited",
            Self::StepWaits(_) => "step_waits",
            Self::NoPartner(_) => "no_partner",
            Self::Full { .. } => "full",
            Self::TrialPanicked(_) => "trial_panicked",
            Self::Busy => "busy",
            Self::Abort(_) => "abort",
        }
    }

    /// True if the same transaction may be taken later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::NotAwaited(_)
                | Self::NonceTooFar { .. }
                | Self::CannotPay { .. }
                | Self::Busy
                | Self::Abort(_)
        )
    }
}
