//! The stages of a job, one payload each: what is true in the stage and nowhere else.
//!
//! A stage is named after what is awaited in it. The deadline is in the record, once, since every live stage has one.
//! What moves a job from one stage to the next is the state machine's business, not this file's.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Ballot, Duties, EarlierVerifiers, Parties, Primary, Verifier};
use crate::attestation::MerkleLeaves;
use crate::hash::{Address, BlobId, Hash32};
use crate::number::{Amount, BeaconStep, ChainTime, Epoch, TaskIndex};

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Stage {
    /// Escrow is locked; a quorum of validators must hold the inputs, then the beacon draws a primary.
    Pending(Pending),
    /// A primary was drawn; it must acknowledge, run all tasks and commit to its result.
    Assigned(Assigned),
    /// The primary has committed; partners that sortition draws announce themselves.
    Announcing(Announcing),
    /// Fewer verifiers are bound than needed; the beacon appoints the missing ones.
    Appointing(Appointing),
    /// The bound verifiers run their tasks and commit to their results.
    Verifying(Verifying),
    /// The primary reveals what it committed to, then the verifiers say whether they found the same.
    Revealing(Revealing),
    /// A verifier found something else than the primary; referees run that task again.
    Disputed(Disputed),
    /// All openings match; a quorum of validators must hold the results.
    Storing(Storing),
    /// Everybody is paid; the receipt is in state.
    Settled,
    /// The job had settled, and somebody says that its result is wrong; what that is is awaited. A dispute follows.
    Challenged(Challenged),
    /// The job ended without a result; what is left of the escrow is refunded.
    Failed(Failed),
}

/// Payload of [`Stage::Pending`]: inputs or a primary are awaited.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Pending {
    /// The beacon step that draws the primary; `None` until a quorum holds the inputs, and while the job is queued for a
    /// place.
    pub draw: Option<BeaconStep>,
}

/// Payload of [`Stage::Assigned`]: the primary's acknowledgement, then its commitment is awaited.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Assigned {
    /// The partner that the beacon drew to run the job.
    pub primary: Primary,
    /// The primary's duty, once it took the job; the record's deadline is then when it is looked at next.
    pub duties: Option<Duties>,
}

/// Payload of [`Stage::Announcing`]: announcements of selected verifiers are awaited.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Announcing {
    /// The primary with its commitment, and the verifiers that announced themselves so far.
    pub parties: Parties,
    /// The epoch of the block that holds the commitment: sortition runs over that epoch's snapshot of partners.
    pub epoch: Epoch,
    /// The bonds of the job's class in that snapshot without the primary's, in base units.
    pub class_bond: Amount,
    /// The beacon that sortition runs over.
    pub beacon: SortitionBeacon,
}

/// Payload of [`Stage::Appointing`]: the beacon's draw of missing verifiers is awaited.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Appointing {
    /// The primary with its commitment, and the verifiers that are bound already.
    pub parties: Parties,
    /// How many verifiers the beacon must still appoint.
    pub missing: u16,
    /// How many verifiers, old and new together, must commit for the job to go on.
    pub needed: u16,
    /// The beacon step that appoints them.
    pub draw: BeaconStep,
    /// 0 for the first verifiers of the attempt, 1 for those that replace silent ones.
    pub round: u16,
}

/// Payload of [`Stage::Verifying`]: the verifiers' commitments are awaited.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Verifying {
    /// The primary with its commitment, and all bound verifiers, at least one.
    pub parties: Parties,
    /// How many verifiers must commit for the job to go on.
    pub needed: u16,
    /// 0 for the first verifiers of the attempt, 1 once silent ones were replaced.
    pub round: u16,
    /// The duties of those that have not committed yet; the record's deadline is when they are looked at next.
    pub duties: Duties,
}

/// Payload of [`Stage::Revealing`]: the openings of all who committed are awaited.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Revealing {
    /// The primary with its commitment, and the verifiers that committed.
    pub parties: Parties,
    /// The primary's opening, once it revealed. Only then the verifiers' are awaited, in a window of their own.
    pub opening: Option<PrimaryOpening>,
    /// True if fewer verifiers committed than needed: who reveals is paid, and the job fails.
    pub unverified: bool,
    /// Where no verifier committed, the task that referees run in their place; the primary's opening shows it.
    pub spot: Option<TaskIndex>,
    /// True once referees have run a task of this attempt and found what the primary did.
    pub tried: bool,
}

/// Payload of [`Stage::Disputed`]: the votes of referees on one task are awaited, then the openings of verifiers that have
/// not opened yet.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Disputed {
    /// The primary with its commitment, and the verifiers that committed.
    pub parties: Parties,
    /// What the primary revealed.
    pub opening: PrimaryOpening,
    /// True if fewer verifiers committed than needed, see [`Revealing`].
    pub unverified: bool,
    /// Chain time until which verifiers may open, whatever the referees found before.
    pub openings_until: ChainTime,
    /// The vote on the task in dispute.
    pub ballot: Ballot,
}

/// Payload of [`Stage::Storing`]: a quorum that holds the results is awaited.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Storing {
    /// The primary with its commitment, and the verifiers, all of which revealed.
    pub parties: Parties,
    /// What the primary's opening says of the results.
    pub opening: PrimaryOpening,
}

/// Payload of [`Stage::Challenged`]: the challenger's opening is awaited.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Challenged {
    /// The primary, and the challenger as the one verifier, which has no tasks until it opens its commitment.
    pub parties: Parties,
}

/// Payload of [`Stage::Failed`]: nothing is awaited any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Failed {
    /// The rule that ended the job.
    pub reason: FailureReason,
}

/// The beacon that the sortition of an attempt runs over.
///
/// Its step lies so far behind the commitment that nobody who chose the commitment, or put it into a block, could
/// foresee it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SortitionBeacon {
    /// The step is still to come: nobody can announce yet, and the announce window has not begun.
    Awaited {
        /// The step whose output sortition runs over.
        step: BeaconStep,
    },
    /// The step is over.
    Known {
        /// The beacon after the step.
        value: Hash32,
    },
}

/// What stays in the record of the primary's opening.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PrimaryOpening {
    /// Result root over all tasks.
    pub root: Hash32,
    /// The salt that blinds the root's leaves.
    pub salt: Hash32,
    /// The unblinded leaves of the tasks that verifiers run, ascending by task.
    pub leaves: MerkleLeaves,
    /// The list of outcomes that reproduces the root.
    pub outcomes: BlobId,
}

/// Why a job failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum FailureReason {
    /// No quorum of validators held the inputs in time.
    NoInputs,
    /// The beacon found no partner that fits the constraints, the price and the bond rule, and is free.
    NoPartner,
    /// Enough drawn primaries, or two rounds of verifiers, found that the module cannot be run.
    Unrunnable,
    /// The last attempt ended without the primary's commitment.
    NoCommitment,
    /// Referees found something else than the last attempt's primary at one task.
    Refuted,
    /// Referees found no verdict on a task in two ballots: the program has not one result, and no job may run it any more.
    NonCanonical,
    /// Too few verifiers could be appointed, committed or revealed; who revealed is paid.
    Unverified,
    /// The primary committed and did not reveal.
    Unopened,
    /// No quorum of validators held the results in time.
    NotStored,
    /// Its customer did not want it any more; who had worked is paid.
    Cancelled,
    /// It had settled, and referees found later that its result is wrong: the receipt is revoked.
    Revoked,
}

impl Stage {
    /// The stage's name, as it is shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending(_) => "pending",
            Self::Assigned(_) => "assigned",
            Self::Announcing(_) => "announcing",
            Self::Appointing(_) => "appointing",
            Self::Verifying(_) => "verifying",
            Self::Revealing(_) => "revealing",
            Self::Disputed(_) => "disputed",
            Self::Storing(_) => "storing",
            Self::Settled => "settled",
            Self::Challenged(_) => "challenged",
            Self::Failed(_) => "failed",
        }
    }

    /// True if the stage cannot change any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Settled | Self::Failed(_))
    }

    /// The beacon step that the stage waits for, if it waits for one.
    #[must_use]
    pub fn draw(&self) -> Option<BeaconStep> {
        match self {
            Self::Pending(pending) => pending.draw,
            Self::Announcing(announcing) => announcing.beacon.awaited(),
            Self::Appointing(appointing) => Some(appointing.draw),
            Self::Assigned(_)
            | Self::Verifying(_)
            | Self::Revealing(_)
            | Self::Disputed(_)
            | Self::Storing(_)
            | Self::Settled
            | Self::Challenged(_)
            | Self::Failed(_) => None,
        }
    }

    /// The parties of the attempt, if its primary has committed.
    #[must_use]
    pub fn parties(&self) -> Option<&Parties> {
        match self {
            Self::Announcing(Announcing { parties, .. })
            | Self::Appointing(Appointing { parties, .. })
            | Self::Verifying(Verifying { parties, .. })
            | Self::Revealing(Revealing { parties, .. })
            | Self::Disputed(Disputed { parties, .. })
            | Self::Storing(Storing { parties, .. })
            | Self::Challenged(Challenged { parties }) => Some(parties),
            Self::Pending(_) | Self::Assigned(_) | Self::Settled | Self::Failed(_) => None,
        }
    }

    /// The primary that the stage binds, if one is drawn and the job is live.
    #[must_use]
    pub fn primary(&self) -> Option<&Primary> {
        match self {
            Self::Assigned(assigned) => Some(&assigned.primary),
            _ => self.parties().map(|parties| &parties.primary),
        }
    }

    /// The duties that last in the stage, if there are any.
    #[must_use]
    pub fn duties(&self) -> Option<&Duties> {
        match self {
            Self::Assigned(assigned) => assigned.duties.as_ref(),
            Self::Verifying(verifying) => Some(&verifying.duties),
            _ => None,
        }
    }

    /// The verifiers that the stage binds, in the order in which they were bound.
    #[must_use]
    pub fn verifiers(&self) -> &[Verifier] {
        self.parties().map_or(&[], |parties| &parties.verifiers)
    }

    /// The verifier with an address.
    #[must_use]
    pub fn verifier(&self, partner: &Address) -> Option<&Verifier> {
        self.verifiers()
            .iter()
            .find(|verifier| verifier.partner == *partner)
    }

    /// The primary's opening, once everybody who checked it found the same: only then its results are stored, and public.
    #[must_use]
    pub fn agreed(&self) -> Option<&PrimaryOpening> {
        match self {
            Self::Storing(storing) => Some(&storing.opening),
            _ => None,
        }
    }

    /// What the primary revealed, while verifiers compare it with what they found.
    #[must_use]
    pub fn revealed(&self) -> Option<&PrimaryOpening> {
        match self {
            Self::Revealing(revealing) => revealing.opening.as_ref(),
            Self::Disputed(disputed) => Some(&disputed.opening),
            _ => None,
        }
    }

    /// What the stage awaits from a partner by a transaction of its own, if it awaits something. An announcement is not
    /// among it: who is drawn may stay silent.
    #[must_use]
    pub fn awaits(&self, partner: &Address) -> Option<Awaited> {
        match self {
            Self::Assigned(assigned) if assigned.primary.partner == *partner => {
                Some(if assigned.duties.is_some() {
                    Awaited::PrimaryCommitment
                } else {
                    Awaited::Acknowledgement
                })
            }
            Self::Verifying(_) => self
                .verifier(partner)
                .filter(|verifier| verifier.commitment.is_none())
                .map(|_| Awaited::VerifierCommitment),
            Self::Revealing(revealing) if revealing.parties.primary.partner == *partner => {
                revealing
                    .opening
                    .is_none()
                    .then_some(Awaited::PrimaryOpening)
            }
            Self::Revealing(Revealing {
                opening: Some(_), ..
            })
            | Self::Disputed(_) => self
                .verifier(partner)
                .filter(|verifier| verifier.opening.is_none())
                .map(|_| Awaited::VerifierOpening),
            _ => None,
        }
    }
}

/// What a stage awaits from one partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// The drawn primary must acknowledge or decline.
    Acknowledgement,
    /// The primary must run all tasks and commit.
    PrimaryCommitment,
    /// The verifier must run its tasks and commit.
    VerifierCommitment,
    /// The primary must reveal.
    PrimaryOpening,
    /// The verifier must open its commitment: agree with the primary's leaves, or show where it differs.
    VerifierOpening,
}

impl Revealing {
    /// The tasks that the primary's opening must show, ascending: those that verifiers run or ran in an earlier attempt, or the
    /// one for referees.
    #[must_use]
    pub fn shown_tasks(&self, earlier: &EarlierVerifiers) -> Vec<TaskIndex> {
        let earlier = earlier.verifiers.iter().flat_map(|one| &one.tasks);
        let all: BTreeSet<_> = self
            .parties
            .drawn_tasks()
            .into_iter()
            .chain(earlier.copied())
            .chain(self.spot)
            .collect();
        all.into_iter().collect()
    }
}

impl PrimaryOpening {
    /// The leaves of some tasks, ascending; `None` if one of them is not among those revealed.
    #[must_use]
    pub fn leaves_of(&self, tasks: &[TaskIndex]) -> Option<Vec<(TaskIndex, Hash32)>> {
        let leaf = |task: &TaskIndex| {
            let at = self.leaves.binary_search_by_key(task, |(index, _)| *index);
            self.leaves.get(at.ok()?).copied()
        };
        tasks.iter().map(leaf).collect()
    }
}

impl SortitionBeacon {
    /// The step that is awaited; `None` once it is over.
    #[must_use]
    pub fn awaited(&self) -> Option<BeaconStep> {
        match self {
            Self::Awaited { step } => Some(*step),
            Self::Known { .. } => None,
        }
    }

    /// The beacon, once its step is over.
    #[must_use]
    pub fn known(&self) -> Option<&Hash32> {
        match self {
            Self::Awaited { .. } => None,
            Self::Known { value } => Some(value),
        }
    }
}
