//! A live job as the book of blobs knows it: the blobs that it needs, and what is due from this validator.
//!
//! Results are known in steps: the opening names the list of outcomes, and the list names the rest once it reproduces the
//! opened root and stays within the job's limits.

use std::collections::BTreeSet;

use types::attestation::{Outcome, Outcomes, result_root_of};
use types::hash::{BlobId, Hash32};
use types::job::{Stage, Workload};
use types::limits::MAX_OUTCOMES_BYTES;
use types::number::{Attempt, Fuel};

use super::states::KnownStates;

/// What is known of a job's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Results {
    /// The primary has not revealed, so that no result is known.
    Unknown,
    /// The opening names them; the list is not here or not read yet.
    Named { opened: OpenedResults, asked: bool },
    /// The list reproduces the root, names these blobs beside itself and counts so much fuel.
    Listed {
        opened: OpenedResults,
        blobs: Vec<BlobId>,
        fuel: Fuel,
    },
    /// The list contradicts the opening: never vouched for.
    Contradicted { opened: OpenedResults },
}

/// The part of the primary's opening that the list of outcomes must reproduce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenedResults {
    pub(super) root: Hash32,
    pub(super) salt: Hash32,
    pub(super) outcomes: BlobId,
}

/// What of a live job is due from this validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    Nothing,
    Inputs,
    States(Attempt),
    Results(Attempt),
}

#[derive(Debug, Clone)]
pub(super) struct LiveJob {
    pub(super) workload: Workload,
    pub(super) states: KnownStates,
    pub(super) results: Results,
    pub(super) duty: Duty,
    /// The job has settled, and its results are still to come: until then, in Unix milliseconds.
    pub(super) late_until_ms: Option<u64>,
}

impl LiveJob {
    /// True if results are named that are not all here, as far as their list is known.
    pub(super) fn lacks_results(&self, held: &BTreeSet<BlobId>) -> bool {
        match &self.results {
            Results::Unknown | Results::Contradicted { .. } => false,
            Results::Named { .. } => true,
            Results::Listed { .. } => !self.results().iter().all(|blob| held.contains(blob)),
        }
    }

    /// Every blob that the job needs as far as it is known.
    pub(super) fn needs(&self) -> impl Iterator<Item = BlobId> {
        let mut all = self.workload.blobs();
        all.extend(self.states.blobs());
        all.extend(self.results());
        all.into_iter()
    }

    /// All results and the fuel that they took, once their list is read and found right.
    pub(super) fn listed(&self) -> Option<(Vec<BlobId>, Fuel)> {
        match self.results {
            Results::Listed { fuel, .. } => Some((self.results(), fuel)),
            _ => None,
        }
    }

    pub(super) fn results(&self) -> Vec<BlobId> {
        match &self.results {
            Results::Unknown | Results::Contradicted { .. } => Vec::new(),
            Results::Named { opened, .. } => vec![opened.outcomes],
            Results::Listed { opened, blobs, .. } => std::iter::once(opened.outcomes)
                .chain(blobs.iter().copied())
                .collect(),
        }
    }
}

/// The primary's opening, where the stage has one.
pub(super) fn opened_results(stage: &Stage) -> Option<OpenedResults> {
    let opened = stage.agreed()?;
    let outcomes = opened.outcomes;
    let limit = u64::try_from(MAX_OUTCOMES_BYTES).expect("a limit fits 64 bits");
    (outcomes.length <= limit).then_some(OpenedResults {
        root: opened.root,
        salt: opened.salt,
        outcomes,
    })
}

/// True if the list holds one outcome per task, its leaves lead to the opened root, and the fuel that it counts and what it
/// names stay within the job's limits.
// Rule C61.
pub(super) fn reproduces(workload: &Workload, opened: &OpenedResults, outcomes: &Outcomes) -> bool {
    let one_per_task =
        u32::try_from(outcomes.0.len()).is_ok_and(|tasks| tasks == workload.tasks.count());
    let bytes: u128 = outcomes
        .blobs()
        .iter()
        .map(|blob| u128::from(blob.length))
        .sum();
    let limit = u128::from(workload.limits.output_bytes) * u128::from(workload.tasks.count());
    let bounded = outcomes.blobs().iter().all(BlobId::is_allowed) && bytes <= limit;
    let affordable = |outcome: &Outcome| outcome.fuel <= workload.limits.fuel;
    let bounded = bounded && outcomes.0.iter().all(affordable);
    one_per_task
        && bounded
        && result_root_of(&opened.salt, &outcomes.leaves(workload)) == opened.root
}
