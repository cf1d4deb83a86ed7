//! Jobs as they are shown: the record on chain, the receipt, and what people want to know derived from both.

use serde::{Deserialize, Serialize};
use types::hash::{Address, JobId};
use types::job::{FailureReason, JobReceipt, JobRecord, Primary, Stage, StageEntry, Verifier};
use types::number::{Amount, Attempt, ChainTime, Height};

/// A job: `GET /v1/jobs/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// The job.
    pub id: JobId,
    /// Its name, from the spec.
    pub name: String,
    /// Name of its stage.
    pub stage: String,
    /// True if the stage may still change.
    pub live: bool,
    /// Why it failed, if it did.
    pub failure: Option<FailureReason>,
    /// The attempt; the first is 0.
    pub attempt: Attempt,
    /// Who runs it or ran it.
    pub primary: Option<Address>,
    /// Who checks it or checked it.
    pub verifiers: Vec<VerifierView>,
    /// When the stage ends at the latest.
    pub deadline: Option<ChainTime>,
    /// Chain time left until then.
    pub deadline_in_ms: Option<u64>,
    /// The stages entered so far, oldest first.
    pub history: Vec<StageEntry>,
    /// The record on chain.
    pub record: JobRecord,
    /// The receipt, once it is settled.
    pub receipt: Option<JobReceipt>,
    /// Chain time at `height`.
    pub chain_time: ChainTime,
    /// The height that all of this is true at.
    pub height: Height,
}

/// A verifier as a job shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifierView {
    /// Who.
    pub partner: Address,
    /// True if the beacon filled it up.
    pub appointed: bool,
    /// How many tasks it re-runs.
    pub tasks: u32,
    /// True once it sealed its claim.
    pub sealed: bool,
    /// True once it opened its claim.
    pub opened: bool,
}

/// Jobs, newest last: `GET /v1/jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobList {
    /// The height that all of this is true at.
    pub height: Height,
    /// At most [`crate::limits::MAX_LISTED_JOBS`].
    pub jobs: Vec<JobSummary>,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// The job.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Who pays.
    pub customer: Address,
    /// Name of its stage.
    pub stage: String,
    /// True if the stage may still change.
    pub live: bool,
    /// The attempt.
    pub attempt: Attempt,
    /// Who runs it, once drawn.
    pub primary: Option<Address>,
    /// How many tasks.
    pub tasks: u32,
    /// The price cap.
    pub price_cap: Amount,
}

impl JobSummary {
    /// The summary of a record.
    #[must_use]
    pub fn of(record: &JobRecord) -> Self {
        Self {
            id: record.id,
            name: record.spec.name.to_string(),
            customer: record.customer,
            stage: record.stage.name().to_owned(),
            live: !record.stage.is_final(),
            attempt: record.attempt,
            primary: primary(&record.stage).map(|primary| primary.partner),
            tasks: record.spec.workload.tasks,
            price_cap: record.spec.price_cap,
        }
    }
}

impl JobView {
    /// Derives what people want to know from what is on chain at `height`.
    #[must_use]
    pub fn of(
        record: JobRecord,
        receipt: Option<JobReceipt>,
        chain_time: ChainTime,
        height: Height,
    ) -> Self {
        let stage = &record.stage;
        let deadline = stage.deadline();
        let settled = receipt.as_ref();
        let failure = match stage {
            Stage::Failed { reason } => Some(*reason),
            _ => None,
        };
        Self {
            id: record.id,
            name: record.spec.name.to_string(),
            stage: stage.name().to_owned(),
            live: !stage.is_final(),
            failure,
            attempt: record.attempt,
            primary: primary(stage)
                .map(|primary| primary.partner)
                .or(settled.map(|receipt| receipt.primary)),
            verifiers: settled.map_or_else(|| verifier_views(stage), receipt_views),
            deadline,
            deadline_in_ms: deadline.map(|at| at.0.saturating_sub(chain_time.0)),
            history: record.history.clone(),
            record,
            receipt,
            chain_time,
            height,
        }
    }
}

fn receipt_views(receipt: &JobReceipt) -> Vec<VerifierView> {
    let view = |v: &types::job::ReceiptVerifier| VerifierView {
        partner: v.partner,
        appointed: v.appointed,
        tasks: v.tasks,
        sealed: true,
        opened: true,
    };
    receipt.verifiers.iter().map(view).collect()
}

fn verifier_views(stage: &Stage) -> Vec<VerifierView> {
    let view = |v: &Verifier| VerifierView {
        partner: v.partner,
        appointed: v.appointed,
        tasks: u32::try_from(v.tasks.len()).unwrap_or(u32::MAX),
        sealed: v.commitment.is_some(),
        opened: v.opened.is_some(),
    };
    verifiers(stage).iter().map(view).collect()
}

/// The primary that a stage names.
fn primary(stage: &Stage) -> Option<&Primary> {
    match stage {
        Stage::Pending { .. } | Stage::Settled | Stage::Failed { .. } => None,
        Stage::Assigned { primary, .. }
        | Stage::Announcing { primary, .. }
        | Stage::Appointing { primary, .. }
        | Stage::Verifying { primary, .. }
        | Stage::Revealing { primary, .. }
        | Stage::Storing { primary, .. } => Some(primary),
    }
}

/// The verifiers that a stage names.
fn verifiers(stage: &Stage) -> &[Verifier] {
    match stage {
        Stage::Pending { .. } | Stage::Assigned { .. } | Stage::Settled | Stage::Failed { .. } => {
            &[]
        }
        Stage::Announcing { verifiers, .. }
        | Stage::Appointing { verifiers, .. }
        | Stage::Verifying { verifiers, .. }
        | Stage::Revealing { verifiers, .. }
        | Stage::Storing { verifiers, .. } => verifiers,
    }
}
