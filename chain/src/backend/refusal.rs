//! What is told to whoever sent a transaction that the mempool does not take: why, what to do, and whether the same bytes
//! may come again, or which nonce another one needs.

use rpc_server::ApiError;
use vm::{ChargeError, MempoolError};

/// When a transaction that there is no room for now may be sent again, in milliseconds: some blocks later.
const RETRY_AFTER_BLOCK_MS: u64 = 250;
/// When one that could not be verified in time may be sent again, in milliseconds.
const RETRY_WHEN_BUSY_MS: u64 = 100;
/// The answer to whoever sent a transaction that the mempool does not take.
pub(super) fn refused(error: &MempoolError) -> ApiError {
    let hint = match error {
        MempoolError::Known(_) => "it was sent before; ask for its status",
        MempoolError::Charge(ChargeError::FeeTooLow { .. }) => {
            "offer at least the fee that is asked"
        }
        MempoolError::Charge(_) => "check nonce, expiry, fee and balance of the sending account",
        MempoolError::NonceTooFar { .. } => {
            "wait until earlier transactions of this account are included"
        }
        MempoolError::ReplacementFee { .. } => "offer a higher fee, or use the next nonce",
        MempoolError::CannotPay { .. } => {
            "bring money to the account, or wait until its transactions are included"
        }
        MempoolError::NotAwaited(_) => {
            "a step is taken while its job awaits it; ask for the job to see what it awaits"
        }
        MempoolError::StepWaits(_) => "wait until it is included",
        MempoolError::NoPartner(_) => "steps are taken from partners with a bond",
        MempoolError::Full { .. } => "try again later, or offer a higher fee",
        MempoolError::Busy => "try again later",
        MempoolError::TrialPanicked(_) | MempoolError::Abort(_) => "the node's log says more",
    };
    let refused = ApiError::refused("transaction_refused", error.to_string(), hint)
        .retryable(error.is_retryable());
    match error {
        MempoolError::Charge(ChargeError::Nonce { expected: next, .. })
        | MempoolError::ReplacementFee { next, .. } => refused.expected(*next),
        MempoolError::NonceTooFar { next, .. } => {
            refused.expected(*next).after(RETRY_AFTER_BLOCK_MS)
        }
        MempoolError::Full { .. }
        | MempoolError::CannotPay { .. }
        | MempoolError::NotAwaited(_) => refused.after(RETRY_AFTER_BLOCK_MS),
        MempoolError::Busy => refused.after(RETRY_WHEN_BUSY_MS),
        _ => refused,
    }
}

#[cfg(test)]
mod tests {
    use types::hash::TransactionId;
    use types::number::{Amount, Nonce};

    use super::*;

    #[test]
    fn whose_nonce_is_used_or_waits_is_told_the_free_one() {
        let (found, next) = (Nonce(2), Nonce(7));
        let used = ChargeError::Nonce {
            found,
            expected: next,
        };
        let waits = MempoolError::ReplacementFee {
            before: TransactionId::default(),
            found: Amount(1),
            needed: Amount(2),
            next,
        };
        for error in [used.into(), waits] {
            let body = refused(&error).body;
            assert_eq!((body.expected_nonce, body.retryable), (Some(next), false));
        }
        let far = MempoolError::NonceTooFar { found, next };
        assert!(
            refused(&far).body.retryable,
            "the same bytes may come again"
        );
        let full = refused(&MempoolError::Full { above: Amount(1) }).body;
        assert_eq!(full.expected_nonce, None, "another one has no more room");
        assert!(full.retryable && full.retry_after_ms.is_some());
    }
}
