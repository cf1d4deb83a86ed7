//! The gas of what validators put into a block for free, and the least limit of a block; that of transactions is
//! [`types::gas`]. A beacon output took 610 microseconds. All of it is part of the protocol.

use types::gas::{MAX_ACTION, MAX_JOB_STEP, TRANSACTION};
use types::limits::{MAX_COMMITTEE, MAX_TRANSACTION_BYTES};
use types::number::Gas;
use types::stored::StoredCertificate;
use types::transaction::SystemTransaction;

pub use types::gas::of_transaction;

/// A stored certificate: a job's record.
pub const STORED: u64 = 16_384;
/// Each signature of a certificate, which are verified together, with its bytes.
pub const CERTIFIED: u64 = 2_048;
/// A beacon output: a VRF proof, and the order of contributors.
pub const BEACON: u64 = 66_048;

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
    let ordinary = (largest + MAX_ACTION).max(of_signatures(MAX_COMMITTEE).0) + BEACON;
    Gas((ordinary.div_ceil(3) * 4).max((largest + MAX_JOB_STEP) * 4))
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
