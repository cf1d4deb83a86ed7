//! The receipt that stays in state when a job is settled, for readers that trust no node.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Policy, TaskSet};
use crate::hash::{Address, BlobId, Hash32, JobId, WorkloadId};
use crate::number::{Amount, Attempt, ChainTime, EngineClass, Fuel, Height, Timestamp};
use crate::task_state::StateOutputs;

/// The receipt of a settled job, under `StateKey::Receipt`.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JobReceipt {
    /// Id of the settled job.
    pub job: JobId,
    /// The attempt that settled.
    pub attempt: Attempt,
    /// The account that paid.
    pub customer: Address,
    /// Hash of the workload that was run.
    pub workload: WorkloadId,
    /// Hash over module, stdin and inputs, see [`super::Workload::input_root`].
    pub input_root: Hash32,
    /// The tasks of the job, 1 to 1,024.
    pub tasks: TaskSet,
    /// What each task handed to the next; nothing where they are independent.
    pub state: StateOutputs,
    /// Root over the blinded leaves, as the primary committed to it.
    pub result_root: Hash32,
    /// The salt that blinds the root's leaves.
    pub salt: Hash32,
    /// The list of outcomes that reproduces the root.
    pub outcomes: BlobId,
    /// Fuel that all tasks used together, as a quorum of validators read it from that list.
    pub fuel: Fuel,
    /// The engine class that ran the tasks.
    pub class: EngineClass,
    /// The partner that ran all tasks.
    pub primary: Address,
    /// The primary's pay, in base units.
    pub price: Amount,
    /// The partners that checked it, in the order in which they were bound.
    pub verifiers: Vec<ReceiptVerifier>,
    /// Fees of all verifiers together, in base units.
    pub verification_paid: Amount,
    /// Part of the escrow that was burned for storage and fees, in base units.
    pub burned: Amount,
    /// Value at risk that the policy covered (V).
    pub value_at_risk: Amount,
    /// Loss from one wrong task that the policy covered (V1).
    pub task_value_at_risk: Amount,
    /// How the job was checked.
    pub policy: Policy,
    /// Task runs of all verifiers together; one task may be re-run by several.
    pub tasks_rerun: u32,
    /// Height of the block that settled it.
    pub height: Height,
    /// Timestamp of that block.
    pub time: Timestamp,
    /// Chain time until which it can be challenged, and so revoked. From then on it stands if no [`Revocation`] is in state.
    pub revocable_until: ChainTime,
}

/// Why a receipt does not stand, under `StateKey::Revocation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Revocation {
    /// Somebody says that the result is wrong, and referees have not decided yet: it may come to stand again.
    Challenged {
        /// Address of the partner that says so.
        challenger: Address,
        /// Height of the block in which it did.
        height: Height,
    },
    /// Referees found that the result is wrong, for good.
    Refuted {
        /// Number of the verdict, see `StateKey::Verdict`.
        verdict: u16,
        /// Height of the block in which it took effect.
        height: Height,
    },
    /// Referees found no verdict: the program has more than one result, or no validator can run it. For good.
    NonCanonical {
        /// Height of the block that ended the challenge.
        height: Height,
    },
}

/// A verifier as the receipt names it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReceiptVerifier {
    /// Address of the verifier's account.
    pub partner: Address,
    /// True if the beacon appointed it, false if sortition selected it.
    pub appointed: bool,
    /// How many tasks it re-ran.
    pub tasks: u32,
}
