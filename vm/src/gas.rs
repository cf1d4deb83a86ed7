//! The gas of a transaction: its bytes, plus what its action costs to check and perform. The limit per block keeps
//! execution within the time that consensus waits for it.
//!
//! The unit is about 10 nanoseconds of one core: a transfer in a block of many took 37 microseconds, a beacon output
//! 610. All of it is part of the protocol.

use types::limits::{MAX_SYSTEM_TRANSACTION_BYTES, MAX_TRANSACTION_BYTES};
use types::number::Gas;
use types::transaction::{Action, SystemTransaction};

/// Every transaction: its signature, and reading and writing its sender's account.
pub const TRANSACTION: u64 = 4_096;
/// A transfer: one more account.
pub const TRANSFER: u64 = 1_024;
/// A registration: the profile, and whether its VRF key is one.
pub const REGISTER_PARTNER: u64 = 16_384;
/// A bond: the index of partners, when it takes a place in it.
pub const BOND: u64 = 16_384;
/// An unbonding: the index, and the queue.
pub const UNBOND: u64 = 8_192;
/// A job: its policy, found by search over the bond formulas.
pub const SUBMIT_JOB: u64 = 262_144;
/// Actions that move a job on and check no proof.
pub const JOB_STEP: u64 = 8_192;
/// An announcement: a VRF proof, and the partners that count.
pub const ANNOUNCE: u64 = 131_072;
/// An opening: Merkle paths.
pub const REVEAL: u64 = 32_768;
/// A stored statement: a signature and a job's record.
pub const STORED: u64 = 16_384;
/// A beacon output: a VRF proof, and the order of contributors.
pub const BEACON: u64 = 65_536;

/// The dearest action.
const MAX_ACTION: u64 = SUBMIT_JOB;
/// The dearest action of a party to a job.
const MAX_PARTY_ACTION: u64 = ANNOUNCE;

const _: () = {
    assert!(MAX_PARTY_ACTION >= REVEAL && MAX_PARTY_ACTION >= JOB_STEP);
    assert!(
        MAX_ACTION >= REGISTER_PARTNER
            && MAX_ACTION >= BOND
            && MAX_ACTION >= ANNOUNCE
            && MAX_ACTION >= REVEAL
    );
};

/// The gas of a transaction of so many encoded bytes.
#[must_use]
pub fn of_transaction(bytes: usize, action: &Action) -> Gas {
    let cost = match action {
        Action::Transfer { .. } => TRANSFER,
        Action::RegisterPartner { .. } => REGISTER_PARTNER,
        Action::Bond { .. } => BOND,
        Action::Unbond { .. } => UNBOND,
        Action::SubmitJob { .. } => SUBMIT_JOB,
        Action::Acknowledge { .. }
        | Action::Decline { .. }
        | Action::Commit { .. }
        | Action::Claim { .. } => JOB_STEP,
        Action::Announce { .. } => ANNOUNCE,
        Action::Reveal { .. } => REVEAL,
    };
    Gas(count(bytes))
        .saturating_add(TRANSACTION)
        .saturating_add(cost)
}

/// The gas of a system transaction; its bytes count as the most that they may be.
#[must_use]
pub fn of_system(transaction: &SystemTransaction) -> Gas {
    let cost = match transaction {
        SystemTransaction::Stored { .. } => STORED,
        SystemTransaction::Beacon { .. } => BEACON,
    };
    Gas(count(MAX_SYSTEM_TRANSACTION_BYTES)).saturating_add(cost)
}

/// The least limit of a block: the dearest transaction must fit into the three quarters that are nobody's reserve,
/// beside a beacon output, and the dearest action of a party to a job into the reserve.
#[must_use]
pub fn min_block_gas_limit() -> Gas {
    let largest = count(MAX_TRANSACTION_BYTES) + TRANSACTION;
    let ordinary = largest + MAX_ACTION + BEACON + count(MAX_SYSTEM_TRANSACTION_BYTES);
    Gas((ordinary.div_ceil(3) * 4).max((largest + MAX_PARTY_ACTION) * 4))
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
