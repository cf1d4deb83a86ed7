//! A job's record on chain: its terms, its money, its stage and its deadline.

use borsh::{BorshDeserialize, BorshSerialize};

use super::{Awaited, EarlierVerifiers, JobTerms, Stage, UnrunnableReport};
use crate::hash::{Address, BlobId, JobId};
use crate::number::{Amount, Attempt, BeaconStep, ChainTime, Fixed64, Height, Timestamp};
use crate::stored::{Holding, StoredSubject};

/// A job's record on chain, under `StateKey::Job`.
///
/// `S` is the stage. It is [`Stage`] on disk; what moves a job on takes the stage apart from the record and puts another
/// one in ([`JobRecord::split`], [`JobRecord::with_stage`]), so that it holds the payload that it works on by value.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JobRecord<S = Stage> {
    /// Hash of the transaction that submitted the job.
    pub id: JobId,
    /// The account that pays and is refunded.
    pub customer: Address,
    /// What of the spec every step needs; the spec itself is under `StateKey::JobSpec`.
    pub terms: JobTerms,
    /// Money that is still locked for the job.
    pub escrow: Escrow,
    /// What it pays for what it holds.
    pub rent: JobRent,
    /// How the job is checked, fixed when it was submitted.
    pub policy: Policy,
    /// The attempt, counted from 0; each one after the first has another primary.
    pub attempt: Attempt,
    /// Reports of drawn primaries that the module cannot be run, oldest first.
    pub unrunnable_reports: Vec<UnrunnableReport>,
    /// Partners that failed this job, as primary of an earlier attempt or as silent verifiers; the beacon does not draw
    /// them again.
    pub excluded: Vec<Address>,
    /// Verifiers of an earlier attempt, which open when a primary reveals.
    pub earlier: EarlierVerifiers,
    /// What the attempt's primary handed on, in a chain, once it did.
    pub states: Option<HandedOn>,
    /// The stage with what is true in it.
    pub stage: S,
    /// Chain time at which the stage ends at the latest; in a final stage that at which the job is forgotten. `None` while
    /// an announce window has not begun, since the beacon step that it waits for comes by itself.
    pub deadline: Option<ChainTime>,
    /// Height of the block in which the stage's window opened.
    pub opened: Height,
    /// The beacon step that the stage waits for, as [`Stage::draw`] says.
    pub draw: Option<BeaconStep>,
    /// Number of verdicts of referees on the job's results so far, see `StateKey::Verdict`.
    pub verdicts: u16,
    /// The place of a job in the queue for a free partner, as the chain time at which it draws again by itself; `None` if it
    /// is not in that queue.
    pub queued: Option<ChainTime>,
    /// Part of the escrow that was burned so far, for storage and for the fees of the parties' transactions.
    pub burned: Amount,
    /// What was locked for the job when it was submitted, in base units; for people, no rule reads it.
    pub locked: Amount,
    /// What its customer got back when it ended, in base units; zero while it is live. For people, no rule reads it.
    pub refunded: Amount,
    /// The stages entered so far, oldest first; for people, no rule reads it.
    pub history: Vec<StageEntry>,
    /// What holds of the receipt, from the block on in which the job settled.
    pub settlement: Option<Settlement>,
}

impl<S> JobRecord<S> {
    /// The same job in another stage.
    #[must_use]
    pub fn with_stage<T>(self, stage: T) -> JobRecord<T> {
        self.split_with(stage).0
    }

    /// The job without its stage, and the stage.
    #[must_use]
    pub fn split(self) -> (JobRecord<()>, S) {
        self.split_with(())
    }

    fn split_with<T>(self, stage: T) -> (JobRecord<T>, S) {
        let job = JobRecord {
            id: self.id,
            customer: self.customer,
            terms: self.terms,
            escrow: self.escrow,
            rent: self.rent,
            policy: self.policy,
            attempt: self.attempt,
            unrunnable_reports: self.unrunnable_reports,
            excluded: self.excluded,
            earlier: self.earlier,
            states: self.states,
            stage,
            deadline: self.deadline,
            opened: self.opened,
            draw: self.draw,
            verdicts: self.verdicts,
            queued: self.queued,
            burned: self.burned,
            locked: self.locked,
            refunded: self.refunded,
            history: self.history,
            settlement: self.settlement,
        };
        (job, self.stage)
    }
}

impl JobRecord {
    /// What the job awaits of a verifier of an earlier attempt, if it awaits something.
    // Rule C78.
    #[must_use]
    pub fn awaits_earlier(&self, partner: &Address) -> Option<Awaited> {
        self.stage.revealed()?;
        self.earlier.unopened(partner)?;
        Some(Awaited::VerifierOpening)
    }

    /// What the job waits for a quorum of validators to hold; `None` where it waits for nothing of that kind.
    #[must_use]
    pub fn awaited_data(&self) -> Option<StoredSubject> {
        let (attempt, holding) = match &self.stage {
            // Inputs are stored once, in the first attempt.
            Stage::Pending(pending) if pending.draw.is_none() && self.queued.is_none() => {
                (Attempt::ZERO, Holding::Inputs)
            }
            Stage::Assigned(_) if self.states.is_some_and(|states| !states.held) => {
                (self.attempt, Holding::States)
            }
            Stage::Storing(_) => (self.attempt, Holding::Results),
            _ => return None,
        };
        Some(StoredSubject {
            job: self.id,
            attempt,
            holding,
        })
    }
}

/// The states of a chain that a primary handed on, so that others can begin at any of its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
// Rule C80.
pub struct HandedOn {
    /// The list of states, see [`super::TaskStates`].
    pub list: BlobId,
    /// True once a quorum of validators holds the list and all that it names.
    pub held: bool,
}

/// How long the receipt of a settled job can be challenged, and how often it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Settlement {
    /// Chain time until which it can; so long its primary's bond is locked.
    pub until: ChainTime,
    /// Challenges so far, at most [`crate::limits::MAX_CHALLENGES`].
    pub challenges: u16,
}

/// One line of a job's history.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StageEntry {
    /// Name of the stage, as [`Stage::name`] gives it.
    pub stage: String,
    /// The attempt, counted from 0.
    pub attempt: Attempt,
    /// Height of the block that entered the stage.
    pub height: Height,
    /// Timestamp of that block.
    pub time: Timestamp,
}

/// The money that a live job holds, in base units; all zero in a final stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Escrow {
    /// For execution: the price cap until the primary is paid.
    pub execution: Amount,
    /// For the verifiers' fees.
    pub verification: Amount,
    /// For storage; burned when the results are stored.
    pub storage: Amount,
    /// For paying the parties back the fees of their transactions.
    pub fees: Amount,
    /// For rent; what is due of it is burned at the end.
    pub rent: Amount,
    /// For the referees of one dispute, where no forfeited bond pays them.
    pub referees: Amount,
}

/// What a job pays for its place, for room for its blobs and for the bonds behind it, in base units per minute of chain
/// time. Both rates are fixed when it is submitted.
// Rule C62.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct JobRent {
    /// While it waits for inputs or a primary.
    pub waiting: Amount,
    /// While an attempt is under way.
    pub running: Amount,
    /// Due so far, in base units.
    pub due: Amount,
    /// Chain time up to which that is.
    pub until: ChainTime,
    /// Bytes that the chain counts for it now.
    pub bytes: u64,
}

/// How a job is checked: the formulas' results, fixed when it is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Policy {
    /// Verifiers that sortition selects in expectation (mu).
    pub expected_verifiers: Fixed64,
    /// Tasks that each verifier runs (k).
    pub tasks_per_verifier: u32,
    /// Re-executions per task in expectation (x).
    pub expected_checks: Fixed64,
    /// Probability with which one wrong task is detected (q1).
    pub detection: Fixed64,
    /// Bond that the primary locks (S).
    pub bond: Amount,
    /// Bond that each verifier locks.
    pub verifier_bond: Amount,
    /// The minimum number of verifiers that the customer demands; the beacon appoints the missing ones.
    pub min_verifiers: u16,
    /// Fee of each verifier, paid if it revealed.
    pub verifier_fee: Amount,
    /// Verifiers that sortition selects in expectation of those who can lock the verifier's bond.
    pub expected_announcements: Fixed64,
}
