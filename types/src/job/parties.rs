//! The parties of an attempt: who runs a job, who checks it, and what they have said so far.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};

use super::VerifierOpening;
use crate::hash::{Address, Hash32};
use crate::number::{Amount, Attempt, TaskIndex};

/// The parties of an attempt from the primary's commitment on.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Parties {
    /// The partner that runs the job.
    pub primary: Primary,
    /// The primary's commitment, see [`crate::attestation::commitment`].
    pub commitment: Hash32,
    /// The partners that check it, in the order in which they were bound.
    pub verifiers: Vec<Verifier>,
    /// Verifiers that found no result and were let go, the first first.
    pub no_results: Vec<UnrunnableReport>,
}

/// A partner's report that the module cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct UnrunnableReport {
    /// The partner that reported.
    pub partner: Address,
    /// The penalty that it paid for the report, in base units; paid back if enough others report the same.
    pub cost: Amount,
}

/// The partner that runs an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Primary {
    /// Address of the partner's account.
    pub partner: Address,
    /// What it is paid for all tasks, at most the price cap.
    pub price: Amount,
    /// Bond that it locks for this attempt.
    pub bond: Amount,
}

/// A partner that checks an attempt.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Verifier {
    /// Address of the partner's account.
    pub partner: Address,
    /// True if the beacon appointed it, false if sortition selected it. The formulas count selected ones only.
    pub appointed: bool,
    /// The tasks that it runs, ascending.
    pub tasks: Vec<TaskIndex>,
    /// Bond that it locks for this attempt.
    pub bond: Amount,
    /// Its commitment, once it committed, see [`crate::attestation::commitment`].
    pub commitment: Option<Hash32>,
    /// How it opened its commitment, once it did.
    pub opening: Option<VerifierOpening>,
}

/// Verifiers of an attempt whose primary committed and did not reveal: they open against the leaves of the next one that does.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
// Rule C78.
pub struct EarlierVerifiers {
    /// The attempt in which they committed.
    pub attempt: Attempt,
    /// The verifiers, each with its commitment; empty if there are none.
    pub verifiers: Vec<Verifier>,
}

impl EarlierVerifiers {
    /// The verifier that has not opened its commitment yet, by its address.
    #[must_use]
    pub fn unopened(&self, partner: &Address) -> Option<&Verifier> {
        let mut unopened = self.verifiers.iter().filter(|one| one.opening.is_none());
        unopened.find(|verifier| verifier.partner == *partner)
    }

    /// True if every one of them has opened its commitment.
    #[must_use]
    pub fn all_opened(&self) -> bool {
        all_opened(&self.verifiers)
    }

    /// The first task at which one of them differs.
    #[must_use]
    pub fn next_claim(&self) -> Option<TaskIndex> {
        next_claim(&self.verifiers)
    }
}

fn all_opened(verifiers: &[Verifier]) -> bool {
    verifiers.iter().all(|verifier| verifier.opening.is_some())
}

fn next_claim(verifiers: &[Verifier]) -> Option<TaskIndex> {
    let mut claims = verifiers.iter().filter_map(Verifier::claim);
    claims.next().map(|(task, _)| task)
}

impl Verifier {
    /// The task and leaf at which it says that it differs, if it does.
    #[must_use]
    pub fn claim(&self) -> Option<(TaskIndex, Hash32)> {
        match self.opening {
            Some(VerifierOpening::Differed { task, leaf }) => Some((task, leaf)),
            Some(VerifierOpening::Agreed { .. }) | None => None,
        }
    }

    /// True if it opened its commitment and found what the primary revealed.
    #[must_use]
    pub fn agrees(&self) -> bool {
        matches!(self.opening, Some(VerifierOpening::Agreed { .. }))
    }
}

impl Parties {
    /// The first task at which a verifier differs; whoever lost a verdict is no party any more.
    #[must_use]
    pub fn next_claim(&self) -> Option<TaskIndex> {
        next_claim(&self.verifiers)
    }

    /// True if no bound verifier works on its tasks any more.
    #[must_use]
    pub fn all_committed(&self) -> bool {
        let mut verifiers = self.verifiers.iter();
        verifiers.all(|verifier| verifier.commitment.is_some())
    }

    /// True if every verifier has opened its commitment.
    #[must_use]
    pub fn all_opened(&self) -> bool {
        all_opened(&self.verifiers)
    }

    /// Every task that some verifier runs, ascending: what the primary's opening must show.
    #[must_use]
    pub fn drawn_tasks(&self) -> Vec<TaskIndex> {
        let all: BTreeSet<_> = self
            .verifiers
            .iter()
            .flat_map(|verifier| verifier.tasks.iter().copied())
            .collect();
        all.into_iter().collect()
    }
}
