//! The gas of a transaction, and the least fee that it must offer: part of the protocol, and what a client computes before it
//! signs.
//!
//! Gas is the transaction's bytes, its signature and what its action costs; the limit per block keeps execution within the time
//! that consensus waits for it. The unit is about 10 nanoseconds of one core: a transfer in a block of many took 37
//! microseconds. The fee follows gas and bytes: gas is the work of every validator, bytes are what every validator keeps.

use crate::codec::encode;
use crate::number::{Amount, Gas};
use crate::transaction::{Action, ENVELOPE_BYTES, JobStep, Transaction};

/// Every transaction: its signature, and reading and writing its sender's account.
pub const TRANSACTION: u64 = 4_096;
/// Gas of a transfer: one more account.
pub const TRANSFER: u64 = 1_024;
/// Gas of a registration: the profile, and whether its VRF key is valid.
pub const REGISTER_PARTNER: u64 = 16_384;
/// Gas of a bond: the page and the index of partners, when the partner enters them.
pub const BOND: u64 = 16_384;
/// Gas of an unbonding: the page, the index and the queue.
pub const UNBOND: u64 = 8_192;
/// Gas of a job: its policy, found by search over the bond formulas.
pub const SUBMIT_JOB: u64 = 262_144;
/// Gas of a cancelled job: its parties are paid, their locks freed, its record ended.
pub const CANCEL_JOB: u64 = 65_536;
/// Gas of a challenge: locks of two partners, and a job that is live again.
pub const CHALLENGE_JOB: u64 = 32_768;
/// Gas of a party's step that checks no proof.
pub const JOB_STEP: u64 = 8_192;
/// Gas of an announcement: a VRF proof, and a page of the partners of its epoch.
pub const ANNOUNCE: u64 = 131_072;
/// Gas of an opening: Merkle paths.
pub const REVEAL: u64 = 32_768;

/// Gas of the dearest action.
pub const MAX_ACTION: u64 = SUBMIT_JOB;
/// Gas of the dearest step of a party to a job.
pub const MAX_JOB_STEP: u64 = ANNOUNCE;

/// Gas that the minimum fee pays for, in a transaction without bytes.
pub const GAS_OF_MIN_FEE: u64 = 32_768;
/// Bytes that the minimum fee pays for, in a transaction without gas.
pub const BYTES_OF_MIN_FEE: u64 = 1_024;

const _: () = {
    assert!(MAX_JOB_STEP >= REVEAL && MAX_JOB_STEP >= JOB_STEP);
    assert!(MAX_ACTION >= MAX_JOB_STEP && MAX_ACTION >= REGISTER_PARTNER && MAX_ACTION >= BOND);
    assert!(MAX_ACTION >= TRANSFER && MAX_ACTION >= UNBOND && MAX_ACTION >= CHALLENGE_JOB);
    assert!(MAX_ACTION >= CANCEL_JOB);
    assert!(GAS_OF_MIN_FEE.is_multiple_of(BYTES_OF_MIN_FEE));
};

/// Gas of what an action does, beside its transaction's bytes and signature.
#[must_use]
pub fn of_action(action: &Action) -> u64 {
    match action {
        Action::Transfer { .. } => TRANSFER,
        Action::RegisterPartner { .. } => REGISTER_PARTNER,
        Action::Bond { .. } => BOND,
        Action::Unbond { .. } => UNBOND,
        Action::SubmitJob { .. } => SUBMIT_JOB,
        Action::CancelJob { .. } => CANCEL_JOB,
        Action::ChallengeJob { .. } => CHALLENGE_JOB,
        Action::Job(action) => match action.step {
            JobStep::Acknowledge
            | JobStep::Decline { .. }
            | JobStep::HandOn { .. }
            | JobStep::Commit { .. }
            | JobStep::Renew { .. }
            | JobStep::NoResult
            | JobStep::Vote { .. }
            | JobStep::OpenVote { .. } => JOB_STEP,
            JobStep::Announce { .. } => ANNOUNCE,
            JobStep::Reveal { .. }
            | JobStep::Agree { .. }
            | JobStep::Differ { .. }
            | JobStep::Contradict { .. } => REVEAL,
        },
    }
}

/// The gas of a transaction that takes `bytes` encoded, its envelope included.
#[must_use]
pub fn of_transaction(bytes: usize, action: &Action) -> Gas {
    Gas(count(bytes))
        .saturating_add(TRANSACTION)
        .saturating_add(of_action(action))
}

/// The least fee of a transaction that takes `bytes` encoded, its envelope included: `min_fee` for each [`GAS_OF_MIN_FEE`] of its
/// gas and for each [`BYTES_OF_MIN_FEE`] of its bytes, by parts of them, rounded up, and at least `min_fee`. None for a step of a
/// job.
// Rule C76.
#[must_use]
pub fn least_fee(min_fee: Amount, bytes: usize, action: &Action) -> Amount {
    if action.is_step() {
        return Amount::ZERO;
    }
    let of_bytes = count(bytes).saturating_mul(GAS_OF_MIN_FEE / BYTES_OF_MIN_FEE);
    let weight = of_transaction(bytes, action).saturating_add(of_bytes).0;
    let (weight, unit) = (u128::from(weight), u128::from(GAS_OF_MIN_FEE));
    Amount(min_fee.0.saturating_mul(weight).div_ceil(unit)).max(min_fee)
}

/// A transaction with the least fee that it may have, or with its own if that is more. `min_fee` is the network's.
#[must_use]
pub fn with_least_fee(mut transaction: Transaction, min_fee: Amount) -> Transaction {
    // A fee takes the same bytes whatever it is.
    let bytes = ENVELOPE_BYTES + encode(&transaction).len();
    let least = least_fee(min_fee, bytes, &transaction.action);
    transaction.fee = transaction.fee.max(least);
    transaction
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Address, JobId};

    const MIN: Amount = Amount(32_768);

    #[test]
    fn the_least_fee_is_by_gas_and_bytes_and_never_below_the_minimum() {
        let transfer = Action::Transfer {
            to: Address::default(),
            amount: Amount(1),
        };
        assert_eq!(least_fee(MIN, 200, &transfer), MIN);
        // 5,120 gas and 32 + 1 for each byte are the minimum at 837 bytes.
        assert_eq!(least_fee(MIN, 837, &transfer), MIN);
        assert_eq!(least_fee(MIN, 838, &transfer), Amount(5_120 + 838 * 33));
        let cancel = Action::CancelJob {
            job: JobId::default(),
        };
        let by_gas = 4_096 + 65_536;
        assert_eq!(least_fee(MIN, 200, &cancel), Amount(by_gas + 200 * 33));
        // Parts of a unit are rounded up.
        assert_eq!(least_fee(Amount(1), 200, &cancel), Amount(3));
        assert_eq!(
            least_fee(Amount(u128::MAX), 200, &cancel),
            Amount(u128::MAX)
        );
        let step = JobStep::Acknowledge.of(JobId::default(), crate::number::Attempt(0));
        assert_eq!(least_fee(MIN, 200, &step), Amount::ZERO);
    }
}
