//! Why a part of the bond was lost: read off what a job's stage was before, and what became of it.

use serde::{Deserialize, Serialize};
use types::hash::Address;
use types::job::{JobRecord, Stage, Verifier};
use types::limits::REPORTS_THAT_END_A_JOB;
use types::number::ChainTime;

use super::BookedDuty;

/// How far the partner is in a duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DutyPhase {
    /// Written by a program that did not say.
    #[default]
    Unknown,
    /// Drawn as primary, which has not acknowledged.
    Drawn,
    /// The primary runs the tasks.
    Runs,
    /// The primary has committed.
    PrimaryCommitted,
    /// The primary has revealed.
    PrimaryRevealed,
    /// Bound as a verifier, which has not committed.
    Bound,
    /// The verifier has committed.
    VerifierCommitted,
    /// The verifier has opened.
    VerifierOpened,
    /// It challenges a receipt, and has not shown what it found.
    Challenges,
}

impl DutyPhase {
    /// How far the primary of a stage is.
    pub(super) fn of_primary(stage: &Stage) -> Self {
        match stage {
            Stage::Assigned(assigned) if assigned.duties.is_none() => Self::Drawn,
            Stage::Assigned(_) => Self::Runs,
            Stage::Storing(_) | Stage::Challenged(_) => Self::PrimaryRevealed,
            _ if stage.revealed().is_some() => Self::PrimaryRevealed,
            _ => Self::PrimaryCommitted,
        }
    }

    /// How far a verifier is in a stage, also one of an earlier attempt.
    pub(super) fn of_verifier(stage: &Stage, verifier: &Verifier) -> Self {
        match stage {
            Stage::Challenged(_) => Self::Challenges,
            _ if verifier.opening.is_some() => Self::VerifierOpened,
            _ if verifier.commitment.is_some() => Self::VerifierCommitted,
            _ => Self::Bound,
        }
    }
}

/// Why a part of the bond was lost, named as the breaches of the protocol's table of penalties (rule C48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// A drawn primary declined before it acknowledged.
    Declined,
    /// A drawn primary said nothing in time.
    Ignored,
    /// A primary acknowledged, then did not commit in time or gave up.
    Uncommitted,
    /// A primary reported that the module cannot be run.
    Unrunnable,
    /// A primary committed and did not reveal.
    PrimaryUnopened,
    /// A verifier did not commit in time.
    VerifierSilent,
    /// A verifier said that it found no result.
    NoResult,
    /// A verifier committed and did not open.
    VerifierUnopened,
    /// Referees found something else than the primary.
    PrimaryWrong,
    /// Referees found something else than the verifier or challenger.
    VerifierWrong,
    /// A challenger did not show what it found.
    ChallengeUnopened,
}

impl LossCause {
    /// What a duty that has ended cost the partner if it cost something. `after` is the job now if it still is live, `now` the chain
    /// time or a little more.
    pub(super) fn of(
        duty: &BookedDuty,
        after: Option<&JobRecord>,
        own: &Address,
        now: ChainTime,
    ) -> Option<Self> {
        let is_over = duty.until.is_some_and(|until| now >= until);
        let is_decided = duty.has_verdict(after);
        let reported = match after {
            Some(job) => job.unrunnable_reports.iter().any(|one| one.partner == *own),
            None => duty.reports + 1 >= REPORTS_THAT_END_A_JOB && !is_over,
        };
        let found_none = after.is_none_or(|job| {
            let parties = job.stage.parties().into_iter();
            let mut reports = parties.flat_map(|parties| &parties.no_results);
            reports.any(|report| report.partner == *own)
        });
        Some(match duty.phase {
            DutyPhase::Unknown => return None,
            DutyPhase::Drawn if is_over => Self::Ignored,
            DutyPhase::Drawn => Self::Declined,
            DutyPhase::Runs if reported => Self::Unrunnable,
            DutyPhase::Runs => Self::Uncommitted,
            DutyPhase::PrimaryCommitted if !is_decided => Self::PrimaryUnopened,
            DutyPhase::PrimaryCommitted | DutyPhase::PrimaryRevealed => Self::PrimaryWrong,
            DutyPhase::Bound if found_none => Self::NoResult,
            DutyPhase::Bound => Self::VerifierSilent,
            // It has opened since the last look, or its window would be over.
            DutyPhase::VerifierCommitted if is_decided && !is_over => Self::VerifierWrong,
            DutyPhase::VerifierCommitted => Self::VerifierUnopened,
            DutyPhase::Challenges if is_over => Self::ChallengeUnopened,
            DutyPhase::Challenges | DutyPhase::VerifierOpened => Self::VerifierWrong,
        })
    }

    /// The cause in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Declined => "it declined before it acknowledged",
            Self::Ignored => "it did not acknowledge in time",
            Self::Uncommitted => "it acknowledged and did not commit in time",
            Self::Unrunnable => "it reported that the module cannot be run",
            Self::PrimaryUnopened => "it committed as primary and did not reveal",
            Self::VerifierSilent => "it was to verify and did not commit in time",
            Self::NoResult => "it was to verify and found no result",
            Self::VerifierUnopened => "it committed as verifier and did not open",
            Self::PrimaryWrong => "referees found something else than it did as primary",
            Self::VerifierWrong => {
                "referees found something else than it did as verifier or challenger"
            }
            Self::ChallengeUnopened => "it challenged a receipt and did not show what it found",
        }
    }
}
