//! Jobs in the shapes of the interface. All conversions from stages and receipts stand here.

use serde::{Deserialize, Serialize};
use types::hash::{Address, BlobId, Hash32, JobId, WorkloadId};
use types::job::{
    FailureReason, JobReceipt, JobRecord, JobSpec, ReceiptVerifier, Stage, StageEntry, Verifier,
};
use types::number::{Amount, Attempt, ChainTime, EngineClass, Fuel, Height, Timestamp};

use super::awaits::JobAwaits;
use super::dispute::DisputeView;
use super::spec::{EscrowView, JobSpecView, PolicyView, SpecViewError};

/// A job: `GET /v1/jobs/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Hash of the id of the transaction that submitted it.
    pub id: JobId,
    /// Its name, from the spec.
    pub name: String,
    /// The account that pays and is refunded.
    pub customer: Address,
    /// Name of its stage: `pending`, `assigned`, `announcing`, `appointing`, `verifying`, `revealing`, `disputed`,
    /// `storing`, `settled`, `challenged` or `failed`.
    pub stage: String,
    /// True if the stage may still change.
    pub live: bool,
    /// What it waits for, one step finer than the stage; absent once it ended.
    pub awaits: Option<JobAwaits>,
    /// Why it failed; absent unless the stage is `failed`.
    pub failure: Option<JobFailure>,
    /// The attempt, counted from 0.
    pub attempt: Attempt,
    /// The partner that runs it or ran it; absent before one is assigned.
    pub primary: Option<Address>,
    /// The partners that check it or checked it.
    pub verifiers: Vec<VerifierView>,
    /// Verifiers of this attempt that found no result.
    pub no_results: Vec<Address>,
    /// What referees vote on; absent unless the stage is `disputed`.
    pub dispute: Option<DisputeView>,
    /// Number of verdicts of referees so far, see `/v1/proofs/verdict/{id}/{number}`.
    pub verdicts: u16,
    /// Chain time at which the stage ends at the latest, in milliseconds; of a job that ended that at which state forgets it
    /// with its receipt. Absent while the announce window has not begun.
    pub deadline: Option<ChainTime>,
    /// Chain time left until the deadline, in milliseconds.
    pub deadline_in_ms: Option<u64>,
    /// The stages of this attempt so far, oldest first.
    pub history: Vec<StageEntryView>,
    /// What its customer signed.
    pub spec: JobSpecView,
    /// How it is checked.
    pub policy: PolicyView,
    /// Money that it still holds.
    pub escrow: EscrowView,
    /// Part of the escrow that was burned so far, for storage and fees, in SQUARE.
    pub burned: Amount,
    /// What was locked for it when it was submitted, in SQUARE.
    pub locked: Amount,
    /// What its customer got back, in SQUARE; absent while it is live. The rest of what was locked is its cost.
    pub refunded: Option<Amount>,
    /// Partners that failed it and are not drawn for it again.
    pub excluded: Vec<Address>,
    /// The receipt, once it is settled.
    pub receipt: Option<JobReceiptView>,
    /// Chain time at `height`, in milliseconds.
    pub chain_time: ChainTime,
    /// The height that all of this is true at.
    pub height: Height,
}

/// A verifier as a job shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifierView {
    /// Address of the partner.
    pub partner: Address,
    /// True if the beacon appointed it, false if its own VRF selected it.
    pub appointed: bool,
    /// Number of tasks that it runs again.
    pub tasks: u32,
    /// True once it committed to its result.
    pub committed: bool,
    /// True once it revealed its result.
    pub revealed: bool,
}

/// One line of a job's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEntryView {
    /// Name of the stage that was entered.
    pub stage: String,
    /// The attempt, counted from 0.
    pub attempt: Attempt,
    /// Height of the block that entered it.
    pub height: Height,
    /// Timestamp of that block, in milliseconds since the Unix epoch.
    pub time: Timestamp,
}

/// Why a job failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobFailure {
    /// Its inputs did not reach a quorum of validators in time.
    NoInputs,
    /// No partner fits its constraints, its price or its bond.
    NoPartner,
    /// Assigned partners found that nobody can run the module.
    Unrunnable,
    /// Every attempt ended without a commitment.
    NoCommitment,
    /// Referees found something else than the last attempt's primary.
    Refuted,
    /// Referees found no verdict: the program has more than one result.
    NonCanonical,
    /// Too few verifiers were found, committed or revealed.
    Unverified,
    /// The primary did not reveal its result.
    Unopened,
    /// Its results did not reach a quorum of validators in time.
    NotStored,
    /// Its customer cancelled it.
    Cancelled,
    /// It had settled, and referees found later that its result is wrong.
    Revoked,
}

impl JobFailure {
    /// Why a job failed, by its stage; none if it did not.
    fn of(stage: &Stage) -> Option<Self> {
        match stage {
            Stage::Failed(failed) => Some(failed.reason.into()),
            _ => None,
        }
    }
}

/// What stays in state of a settled job. Its canonical bytes are the value under `/v1/proofs/receipt/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReceiptView {
    /// The job that settled.
    pub job: JobId,
    /// The attempt that settled, counted from 0.
    pub attempt: Attempt,
    /// The account that paid.
    pub customer: Address,
    /// Hash of the workload's canonical bytes.
    pub workload: WorkloadId,
    /// Hash over module, stdin and inputs.
    pub input_root: Hash32,
    /// Number of tasks, 1 to 1,024.
    pub tasks: u32,
    /// Merkle root over the blinded leaves, to which the primary committed.
    pub result_root: Hash32,
    /// Value that blinds the leaves.
    pub salt: Hash32,
    /// The list of outcomes.
    pub outcomes: BlobId,
    /// Fuel that all tasks used together.
    pub fuel: Fuel,
    /// The engine class that ran it.
    pub class: EngineClass,
    /// The partner that ran it.
    pub primary: Address,
    /// Pay of the primary, in SQUARE.
    pub price: Amount,
    /// The partners that checked it.
    pub verifiers: Vec<ReceiptVerifierView>,
    /// Pay of the verifiers together, in SQUARE.
    pub verification_paid: Amount,
    /// What was burned for storage and fees, in SQUARE.
    pub burned: Amount,
    /// Loss from a wrong result that the policy covers, in SQUARE.
    pub value_at_risk: Amount,
    /// Loss from one wrong task that the policy covers, in SQUARE.
    pub task_value_at_risk: Amount,
    /// How it was checked.
    pub policy: PolicyView,
    /// Tasks that verifiers ran again, counted once per verifier.
    pub tasks_rerun: u32,
    /// Height of the block that settled it.
    pub height: Height,
    /// Timestamp of that block, in milliseconds since the Unix epoch.
    pub time: Timestamp,
    /// Chain time until which it can be challenged, in milliseconds. `/v1/proofs/revocation/{id}` shows whether it stands.
    pub revocable_until: ChainTime,
}

/// A verifier as a receipt names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptVerifierView {
    /// Address of the partner.
    pub partner: Address,
    /// True if the beacon appointed it, false if its own VRF selected it.
    pub appointed: bool,
    /// Number of tasks that it ran again.
    pub tasks: u32,
}

/// Jobs: `GET /v1/jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobList {
    /// The height that all of this is true at.
    pub height: Height,
    /// At most [`crate::limits::MAX_LISTED_JOBS`], newest last.
    pub jobs: Vec<JobSummary>,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// Hash of the id of the transaction that submitted it.
    pub id: JobId,
    /// Its name, from the spec.
    pub name: String,
    /// The account that pays.
    pub customer: Address,
    /// When the block that took it in was made.
    pub submitted: Timestamp,
    /// Name of its stage, as in [`JobView::stage`].
    pub stage: String,
    /// Why it failed; absent unless the stage is `failed`.
    pub failure: Option<JobFailure>,
    /// True if the stage may still change.
    pub live: bool,
    /// The attempt, counted from 0.
    pub attempt: Attempt,
    /// The partner that runs it; absent before one is assigned and after it ended.
    pub primary: Option<Address>,
    /// Number of tasks, 1 to 1,024.
    pub tasks: u32,
    /// Most that execution may cost, in SQUARE.
    pub price_cap: Amount,
}

impl JobSummary {
    /// The summary of a record.
    #[must_use]
    pub fn of(record: &JobRecord) -> Self {
        Self {
            id: record.id,
            name: record.terms.name.to_string(),
            customer: record.customer,
            submitted: record
                .history
                .first()
                .map_or(Timestamp::default(), |entry| entry.time),
            stage: record.stage.name().to_owned(),
            failure: JobFailure::of(&record.stage),
            live: !record.stage.is_final(),
            attempt: record.attempt,
            primary: record.stage.primary().map(|primary| primary.partner),
            tasks: record.terms.tasks.count(),
            price_cap: record.terms.price_cap,
        }
    }
}

impl JobView {
    /// The view of a record with its spec, and of the receipt if there is one, at a height and its chain time.
    #[must_use]
    pub fn new(
        record: &JobRecord,
        spec: &JobSpec,
        receipt: Option<&JobReceipt>,
        chain_time: ChainTime,
        height: Height,
    ) -> Self {
        let stage = &record.stage;
        // Who works is looked at more often; what ends it is the end of its time.
        let deadline = stage
            .duties()
            .map(|duties| duties.until)
            .or(record.deadline);
        let failure = JobFailure::of(stage);
        let now = stage.primary().map(|primary| primary.partner);
        let verifiers = match receipt {
            Some(receipt) => receipt.verifiers.iter().map(Into::into).collect(),
            None => stage.verifiers().iter().map(Into::into).collect(),
        };
        let no_results = stage
            .parties()
            .into_iter()
            .flat_map(|parties| &parties.no_results);
        let no_results = no_results.map(|report| report.partner);
        Self {
            id: record.id,
            name: record.terms.name.to_string(),
            customer: record.customer,
            stage: stage.name().to_owned(),
            live: !stage.is_final(),
            awaits: JobAwaits::of(record),
            failure,
            attempt: record.attempt,
            primary: now.or(receipt.map(|receipt| receipt.primary)),
            verifiers,
            no_results: no_results.collect(),
            dispute: match stage {
                Stage::Disputed(disputed) => Some(DisputeView::from(disputed)),
                _ => None,
            },
            verdicts: record.verdicts,
            deadline,
            deadline_in_ms: deadline.map(|at| at.0.saturating_sub(chain_time.0)),
            history: record.history.iter().map(Into::into).collect(),
            spec: JobSpecView::from(spec),
            policy: PolicyView::from(&record.policy),
            escrow: EscrowView::from(&record.escrow),
            burned: record.burned,
            locked: record.locked,
            refunded: stage.is_final().then_some(record.refunded),
            excluded: record.excluded.clone(),
            receipt: receipt.map(JobReceiptView::from),
            chain_time,
            height,
        }
    }

    /// True in the stage in which validators take the job's inputs.
    #[must_use]
    pub fn takes_inputs(&self) -> bool {
        self.stage == "pending"
    }

    /// The spec in its canonical form, of which hashes are taken. It is what the node says: whoever does not trust it
    /// compares the workload's id with that of a proven receipt.
    pub fn canonical_spec(&self) -> Result<JobSpec, SpecViewError> {
        self.spec.clone().try_into()
    }
}

impl From<&Verifier> for VerifierView {
    fn from(verifier: &Verifier) -> Self {
        Self {
            partner: verifier.partner,
            appointed: verifier.appointed,
            tasks: u32::try_from(verifier.tasks.len()).unwrap_or(u32::MAX),
            committed: verifier.commitment.is_some(),
            revealed: verifier.opening.is_some(),
        }
    }
}

impl From<&ReceiptVerifier> for VerifierView {
    /// Whoever stands in a receipt committed and revealed.
    fn from(verifier: &ReceiptVerifier) -> Self {
        Self {
            partner: verifier.partner,
            appointed: verifier.appointed,
            tasks: verifier.tasks,
            committed: true,
            revealed: true,
        }
    }
}

impl From<&ReceiptVerifier> for ReceiptVerifierView {
    fn from(verifier: &ReceiptVerifier) -> Self {
        Self {
            partner: verifier.partner,
            appointed: verifier.appointed,
            tasks: verifier.tasks,
        }
    }
}

impl From<&StageEntry> for StageEntryView {
    fn from(entry: &StageEntry) -> Self {
        Self {
            stage: entry.stage.clone(),
            attempt: entry.attempt,
            height: entry.height,
            time: entry.time,
        }
    }
}

impl From<FailureReason> for JobFailure {
    fn from(reason: FailureReason) -> Self {
        match reason {
            FailureReason::NoInputs => Self::NoInputs,
            FailureReason::NoPartner => Self::NoPartner,
            FailureReason::Unrunnable => Self::Unrunnable,
            FailureReason::NoCommitment => Self::NoCommitment,
            FailureReason::Refuted => Self::Refuted,
            FailureReason::NonCanonical => Self::NonCanonical,
            FailureReason::Unverified => Self::Unverified,
            FailureReason::Unopened => Self::Unopened,
            FailureReason::NotStored => Self::NotStored,
            FailureReason::Cancelled => Self::Cancelled,
            FailureReason::Revoked => Self::Revoked,
        }
    }
}

impl From<&JobReceipt> for JobReceiptView {
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
            verifiers: receipt.verifiers.iter().map(Into::into).collect(),
            verification_paid: receipt.verification_paid,
            burned: receipt.burned,
            value_at_risk: receipt.value_at_risk,
            task_value_at_risk: receipt.task_value_at_risk,
            policy: PolicyView::from(&receipt.policy),
            tasks_rerun: receipt.tasks_rerun,
            height: receipt.height,
            time: receipt.time,
            revocable_until: receipt.revocable_until,
        }
    }
}
