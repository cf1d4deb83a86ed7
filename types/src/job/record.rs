//! A job's record on chain: its stages, its parties, and the receipt that stays when it is settled.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::JobSpec;
use crate::attestation::MerkleLeaves;
use crate::hash::{Address, BlobId, Hash32, JobId, ValidatorId, WorkloadId};
use crate::number::{
    Amount, Attempt, BeaconStep, ChainTime, EngineClass, Fixed64, Height, TaskIndex, Timestamp,
};

/// A job's record on chain.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRecord {
    /// The job.
    pub id: JobId,
    /// Who pays and is refunded.
    pub customer: Address,
    /// What it asked for.
    pub spec: JobSpec,
    /// What is still locked for it.
    pub escrow: Escrow,
    /// How it is checked, fixed when it was opened.
    pub policy: Policy,
    /// This attempt; the first is 0.
    pub attempt: Attempt,
    /// Drawn primaries that said that the module cannot be run.
    pub unrunnable_reports: Vec<UnrunnableReport>,
    /// Partners that failed this job, as primary of an earlier attempt or as silent verifiers; the beacon does not draw
    /// them again.
    pub excluded: Vec<Address>,
    /// Where it stands.
    pub stage: Stage,
    /// What of the escrow was burned so far: storage, and the fees of the parties' transactions.
    pub burned: Amount,
    /// When each stage of this attempt was entered, oldest first, for people: (stage, height, header time).
    pub history: Vec<StageEntry>,
}

/// A drawn primary's word that the module cannot be run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct UnrunnableReport {
    /// Who said so.
    pub partner: Address,
    /// What of its bond saying so burned; paid back if enough others say the same.
    pub cost: Amount,
}

/// One line of a job's history.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageEntry {
    /// Name of the stage, as [`Stage::name`] gives it.
    pub stage: String,
    /// The attempt.
    pub attempt: Attempt,
    /// The block that entered it.
    pub height: Height,
    /// That block's timestamp.
    pub time: Timestamp,
}

/// The money that a live job holds.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Escrow {
    /// For execution: the price cap.
    pub execution: Amount,
    /// For verifiers.
    pub verification: Amount,
    /// For storage; burned as it is used.
    pub storage: Amount,
    /// For the fees of the parties' transactions.
    pub fees: Amount,
}

/// How a job is checked: the formulas' results, fixed when it opens.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Verifiers drawn in expectation (mu).
    pub expected_verifiers: Fixed64,
    /// Tasks per verifier (k).
    pub tasks_per_verifier: u32,
    /// Expected re-executions per task (x).
    pub expected_checks: Fixed64,
    /// Detection of one wrong task (q1).
    pub detection: Fixed64,
    /// Bond that the primary must lock (S).
    pub bond: Amount,
    /// Bond that each verifier must lock.
    pub verifier_bond: Amount,
    /// Least number of verifiers; fill-ups see to it.
    pub min_verifiers: u16,
    /// What each verifier is paid when its opening is there.
    pub verifier_fee: Amount,
}

/// A partner's part in an attempt, from assignment on.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Primary {
    /// Who.
    pub partner: Address,
    /// What it is paid if all goes well.
    pub price: Amount,
    /// Bond locked for this job.
    pub bond: Amount,
}

/// The primary's sealed result.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct PrimaryCommitment {
    /// The seal.
    pub commitment: Hash32,
    /// The block that holds it: what counts of partners in the sortition is what counted in its epoch.
    pub height: Height,
    /// The beacon step whose output the sortition runs over: it lies so far behind the block that nobody who chose the
    /// seal, or put it into the block, could foresee it.
    pub draw: BeaconStep,
    /// The beacon after that step; nothing before it, and nobody can announce until then.
    pub beacon: Option<Hash32>,
}

/// A verifier bound to an attempt.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verifier {
    /// Who.
    pub partner: Address,
    /// True if the beacon filled it up; it then does not count in the formulas.
    pub appointed: bool,
    /// The tasks it runs, ascending.
    pub tasks: Vec<TaskIndex>,
    /// Bond locked for this job.
    pub bond: Amount,
    /// Its sealed claim.
    pub commitment: Option<Hash32>,
    /// Its opened claim.
    pub opened: Option<VerifierOpening>,
}

/// What of a verifier's opened claim stays in the record.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct VerifierOpening {
    /// The root.
    pub root: Hash32,
    /// The salt.
    pub salt: Hash32,
    /// Hash of the unblinded leaves of its tasks, see [`crate::attestation::leaves_hash`].
    pub leaves: Hash32,
}

/// What of the primary's opened claim stays in the record.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrimaryOpening {
    /// The root.
    pub root: Hash32,
    /// The salt.
    pub salt: Hash32,
    /// The unblinded leaves of the drawn tasks, by index.
    pub leaves: MerkleLeaves,
    /// The list of outcomes that reproduces the root.
    pub outcomes: Option<BlobId>,
}

/// Where a job stands. A stage holds what is true in it and nothing else; deadlines are in chain time.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Stage {
    /// Escrow locked; waiting for a quorum of validators to hold the inputs, then for the beacon to draw.
    Pending {
        /// Validators that hold the inputs; empty in the draws of later attempts, when a quorum held them before.
        stored: BTreeSet<ValidatorId>,
        /// Once a quorum holds them: the beacon step that draws.
        draw: Option<BeaconStep>,
        /// After which the job fails (no inputs) or fails for want of partners.
        deadline: ChainTime,
    },
    /// A primary was drawn.
    Assigned {
        /// Who.
        primary: Primary,
        /// True once it acknowledged.
        acknowledged: bool,
        /// To acknowledge by; then, to commit by.
        deadline: ChainTime,
    },
    /// The primary sealed a result; drawn partners announce themselves until the deadline.
    Announcing {
        /// Who.
        primary: Primary,
        /// What.
        committed: PrimaryCommitment,
        /// Announced so far.
        verifiers: Vec<Verifier>,
        /// End of the announce window; before the sortition's beacon is there, the soonest that this may be.
        deadline: ChainTime,
    },
    /// The window is over; the beacon fills up the verifiers that are missing.
    Appointing {
        /// Who.
        primary: Primary,
        /// What.
        committed: PrimaryCommitment,
        /// Those who announced, and in later rounds those who stayed.
        verifiers: Vec<Verifier>,
        /// How many fill-ups are due.
        missing: u16,
        /// How many verifiers, new and old together, must seal for the job to go on.
        needed: u16,
        /// The step that draws them.
        draw: BeaconStep,
        /// 0 for the first round of verifiers, 1 for the replacements.
        round: u16,
        /// After which the stage ends with the verifiers there are, if they are as many as needed.
        deadline: ChainTime,
    },
    /// Verifiers run their tasks and seal their claims.
    Verifying {
        /// Who.
        primary: Primary,
        /// What.
        committed: PrimaryCommitment,
        /// Everybody bound.
        verifiers: Vec<Verifier>,
        /// 0 for the first round of verifiers, 1 for the replacements.
        round: u16,
        /// How many of them must seal for the job to go on; in the first round all.
        needed: u16,
        /// To seal by.
        deadline: ChainTime,
    },
    /// All claims are sealed; all open.
    Revealing {
        /// Who.
        primary: Primary,
        /// What.
        committed: PrimaryCommitment,
        /// The primary's opening.
        opened: Option<PrimaryOpening>,
        /// Everybody bound.
        verifiers: Vec<Verifier>,
        /// True if fewer verifiers sealed than must have: whoever opens is paid, and the job fails.
        unverified: bool,
        /// To open by.
        deadline: ChainTime,
    },
    /// Every opening matches; waiting for a quorum of validators to hold the results.
    Storing {
        /// Who.
        primary: Primary,
        /// What.
        committed: PrimaryCommitment,
        /// The primary's opening.
        opened: PrimaryOpening,
        /// Everybody bound.
        verifiers: Vec<Verifier>,
        /// Validators that hold the results.
        stored: BTreeSet<ValidatorId>,
        /// To be stored by.
        deadline: ChainTime,
    },
    /// Paid; the receipt is in state.
    Settled,
    /// Over without a result; refunded.
    Failed {
        /// Why.
        reason: FailureReason,
    },
}

impl Stage {
    /// The stage's name, as it is shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Assigned { .. } => "assigned",
            Self::Announcing { .. } => "announcing",
            Self::Appointing { .. } => "appointing",
            Self::Verifying { .. } => "verifying",
            Self::Revealing { .. } => "revealing",
            Self::Storing { .. } => "storing",
            Self::Settled => "settled",
            Self::Failed { .. } => "failed",
        }
    }

    /// When the stage ends at the latest; nothing for one that does not end.
    #[must_use]
    pub fn deadline(&self) -> Option<ChainTime> {
        match self {
            Self::Pending { deadline, .. }
            | Self::Assigned { deadline, .. }
            | Self::Announcing { deadline, .. }
            | Self::Appointing { deadline, .. }
            | Self::Verifying { deadline, .. }
            | Self::Revealing { deadline, .. }
            | Self::Storing { deadline, .. } => Some(*deadline),
            Self::Settled | Self::Failed { .. } => None,
        }
    }

    /// True if nothing will change any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Settled | Self::Failed { .. })
    }
}

/// Why a job failed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The inputs were not stored in time.
    NoInputs,
    /// No partner fits the constraints, the price or the bond rule.
    NoPartner,
    /// Drawn partners found that the module cannot be run; the customer pays the fee.
    Unrunnable,
    /// All attempts ended without a commitment.
    NoCommitment,
    /// The claims differ and this version cannot decide between them.
    Unresolved,
    /// Too few verifiers could be drawn, sealed or opened; whoever opened a claim is paid.
    Unverified,
    /// The primary did not open its claim.
    Unopened,
    /// The results were not stored in time.
    NotStored,
}

/// What stays in state of a settled job, for readers that trust no node.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobReceipt {
    /// The job.
    pub job: JobId,
    /// The attempt that settled.
    pub attempt: Attempt,
    /// Who paid.
    pub customer: Address,
    /// What was computed.
    pub workload: WorkloadId,
    /// From what.
    pub input_root: Hash32,
    /// Number of tasks.
    pub tasks: u32,
    /// Root over the blinded leaves, as it was sealed.
    pub result_root: Hash32,
    /// Opens the blinding.
    pub salt: Hash32,
    /// The list of outcomes.
    pub outcomes: BlobId,
    /// The engine class.
    pub class: EngineClass,
    /// Who ran it.
    pub primary: Address,
    /// What the primary was paid.
    pub price: Amount,
    /// Who checked it, and which tasks.
    pub verifiers: Vec<ReceiptVerifier>,
    /// What the verifiers were paid together.
    pub verification_paid: Amount,
    /// What was burned for storage and fees.
    pub burned: Amount,
    /// Value at risk that the policy covered (V).
    pub value_at_risk: Amount,
    /// Loss from one wrong task that the policy covered (V1).
    pub task_value_at_risk: Amount,
    /// The policy.
    pub policy: Policy,
    /// Tasks that were re-run by verifiers, all together.
    pub tasks_rerun: u32,
    /// Height at which it settled.
    pub height: Height,
    /// Timestamp of that block.
    pub time: Timestamp,
}

/// A verifier as the receipt names it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptVerifier {
    /// Who.
    pub partner: Address,
    /// True if the beacon filled it up.
    pub appointed: bool,
    /// How many tasks it re-ran.
    pub tasks: u32,
}
