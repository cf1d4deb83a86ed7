//! What a receipt document shows, apart from what lies in state: the same facts in the order and under the names of the
//! document's format. Programs trust the proof beside them, never these lines.

use serde::Serialize;
use types::hash::{Address, BlobId, Hash32, JobId, WorkloadId};
use types::job::{JobReceipt, Policy, ReceiptVerifier};
use types::number::{Amount, Attempt, ChainTime, EngineClass, Fixed64, Fuel, Height, Timestamp};

/// A receipt as the document shows it.
#[derive(Serialize)]
pub(super) struct ShownReceipt {
    job: JobId,
    attempt: Attempt,
    customer: Address,
    workload: WorkloadId,
    input_root: Hash32,
    tasks: u32,
    result_root: Hash32,
    salt: Hash32,
    outcomes: BlobId,
    fuel: Fuel,
    class: EngineClass,
    primary: Address,
    price: Amount,
    verifiers: Vec<ShownVerifier>,
    verification_paid: Amount,
    burned: Amount,
    value_at_risk: Amount,
    task_value_at_risk: Amount,
    policy: ShownPolicy,
    tasks_rerun: u32,
    height: Height,
    time: Timestamp,
    revocable_until: ChainTime,
}

/// A verifier as the document shows it.
#[derive(Serialize)]
struct ShownVerifier {
    partner: Address,
    appointed: bool,
    tasks: u32,
}

/// A policy as the document shows it.
#[derive(Serialize)]
struct ShownPolicy {
    expected_verifiers: Fixed64,
    tasks_per_verifier: u32,
    expected_checks: Fixed64,
    detection: Fixed64,
    bond: Amount,
    verifier_bond: Amount,
    min_verifiers: u16,
    verifier_fee: Amount,
    expected_announcements: Fixed64,
}

impl From<&JobReceipt> for ShownReceipt {
    fn from(receipt: &JobReceipt) -> Self {
        Self {
            job: receipt.job,
            attempt: receipt.attempt,
            customer: receipt.customer,
            workload: receipt.workload,
            input_root: receipt.input_root,
            tasks: receipt.tasks.count(),
            result_root: receipt.result_root,
            salt: receipt.salt,
            outcomes: receipt.outcomes,
            fuel: receipt.fuel,
            class: receipt.class,
            primary: receipt.primary,
            price: receipt.price,
            verifiers: receipt.verifiers.iter().map(ShownVerifier::from).collect(),
            verification_paid: receipt.verification_paid,
            burned: receipt.burned,
            value_at_risk: receipt.value_at_risk,
            task_value_at_risk: receipt.task_value_at_risk,
            policy: (&receipt.policy).into(),
            tasks_rerun: receipt.tasks_rerun,
            height: receipt.height,
            time: receipt.time,
            revocable_until: receipt.revocable_until,
        }
    }
}

impl From<&ReceiptVerifier> for ShownVerifier {
    fn from(verifier: &ReceiptVerifier) -> Self {
        Self {
            partner: verifier.partner,
            appointed: verifier.appointed,
            tasks: verifier.tasks,
        }
    }
}

impl From<&Policy> for ShownPolicy {
    fn from(policy: &Policy) -> Self {
        Self {
            expected_verifiers: policy.expected_verifiers,
            tasks_per_verifier: policy.tasks_per_verifier,
            expected_checks: policy.expected_checks,
            detection: policy.detection,
            bond: policy.bond,
            verifier_bond: policy.verifier_bond,
            min_verifiers: policy.min_verifiers,
            verifier_fee: policy.verifier_fee,
            expected_announcements: policy.expected_announcements,
        }
    }
}
