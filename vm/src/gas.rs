//! The gas of a transaction: its bytes, its signature, and what its action costs ([`crate::action::gas`]). The limit per
//! block keeps execution within the time that consensus waits for it.
//!
//! The unit is about 10 nanoseconds of one core: a transfer in a block of many took 37 microseconds, a beacon output
//! 610. All of it is part of the protocol.

use types::limits::{MAX_COMMITTEE, MAX_TRANSACTION_BYTES};
use types::number::Gas;
use types::stored::StoredCertificate;
use types::transaction::{Action, SystemTransaction};

use crate::action::{self, MAX_GAS, MAX_JOB_STEP_GAS};

/// Every transaction: its signature, and reading and writing its sender's account.
pub const TRANSACTION: u64 = 4_096;
/// A stored certificate: a job's record.
pub const STORED: u64 = 16_384;
/// Each signature of a certificate, which are verified together, with its bytes.
pub const CERTIFIED: u64 = 2_048;
/// A beacon output: a VRF proof, and the order of contributors.
pub const BEACON: u64 = 66_048;

/// The gas of a transaction that takes `bytes` encoded.
#[must_use]
pub fn of_transaction(bytes: usize, action: &Action) -> Gas {
    Gas(count(bytes))
        .saturating_add(TRANSACTION)
        .saturating_add(action::gas(action))
}

/// The gas of a system transaction.
#[must_use]
pub fn of_system(transaction: &SystemTransaction) -> Gas {
    match transaction {
        SystemTransaction::Stored(certificate) => of_certificate(certificate),
        SystemTransaction::Beacon { .. } => of_beacon_output(),
    }
}

/// The gas of a stored certificate.
#[must_use]
pub fn of_certificate(certificate: &StoredCertificate) -> Gas {
    of_signatures(certificate.signatures.len())
}

fn of_signatures(number: usize) -> Gas {
    Gas(STORED.saturating_add(count(number).saturating_mul(CERTIFIED)))
}

/// The gas of a beacon output.
#[must_use]
pub fn of_beacon_output() -> Gas {
    Gas(BEACON)
}

/// The minimum limit of a block: the dearest transaction, and a certificate of the largest committee, must each fit into the
/// three quarters that are nobody's reserve, beside a beacon output, and the dearest action of a party to a job into the
/// reserve.
#[must_use]
pub fn min_block_gas_limit() -> Gas {
    let largest = count(MAX_TRANSACTION_BYTES) + TRANSACTION;
    let ordinary = (largest + MAX_GAS).max(of_signatures(MAX_COMMITTEE).0) + BEACON;
    Gas((ordinary.div_ceil(3) * 4).max((largest + MAX_JOB_STEP_GAS) * 4))
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
