//! What a partner does, decided without doing it.
//!
//! [`Core::step`] takes what was learnt (a verified state of the chain, the end of an execution or an upload) and
//! gives effects, which the shell performs *in order*. What it promises:
//!
//! - no commitment leaves before salt and leaves are on disk ([`Effect::Keep`] stands before [`Effect::Send`]), and one assignment
//!   is committed once: after a restart the same commitment is sent again, never another;
//! - no transaction with a nonce leaves before it is on disk, so that a retry sends the same one;
//! - what a commitment needs is forgotten only when a final state that is newer than the commitment says that the job, or
//!   its attempt, is over;
//! - verification has places of its own: a primary's work never starves it.
//!
//! It reads no clock: heights and timestamps of verified final states are its only time.

mod decide;
mod duties;
mod note;
pub mod outbox;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::account::{Account, Partner};
use types::attestation::{Outcome, leaf};
use types::codec::Bounded;
use types::hash::{Address, BlobId, ChainId, Hash32, JobId};
use types::job::{JobRecord, PartnerProfile, TaskState, Workload};
use types::key::{SecretKey, VrfProof, VrfSecretKey};
use types::number::{Amount, Attempt, ChainTime, Epoch, Height, TaskIndex, Timestamp};
use types::params::Params;
use types::snapshot::PartnerPage;
use types::transaction::SignedTransaction;

use crate::assignment::{Assignment, AssignmentRole, OwnCommitment};
use crate::room::FreeRoom;
pub use duties::OpenDuty;
pub use note::Note;
use outbox::TransactionOutbox;
use steps::StepQueue;

/// Executions that may end without a result before a primary gives its assignment up, and a verifier says that it found
/// none.
pub const MAX_EXECUTIONS: u32 = 3;
/// Heights before the second execution of an assignment; each further pause is twice as long. What failed for want of memory,
/// disk or processes fails again at once, and may work a while later.
const FIRST_PAUSE_HEIGHTS: u64 = 4;
/// Longest pause between two executions, in heights.
const LONGEST_PAUSE_HEIGHTS: u64 = 64;
/// Heights after which results are offered to the endpoints again while the chain still waits for them.
const UPLOAD_AGAIN_HEIGHTS: u64 = 5;

/// Who the partner is.
#[derive(Debug)]
pub struct PartnerIdentity {
    /// Chain that its transactions and sortitions name.
    pub chain: ChainId,
    /// Key of the account that pays fees and holds the bond.
    pub key: SecretKey,
    /// Key that proves its sortitions; registered with the chain.
    pub vrf: VrfSecretKey,
}

impl PartnerIdentity {
    /// Address of the account, which is the partner's name on the chain.
    #[must_use]
    pub fn address(&self) -> Address {
        self.key.public().address()
    }
}

/// What its operator chose, and what genesis fixes.
#[derive(Debug, Clone)]
pub struct PartnerSettings {
    /// Offer and keys that the chain should have on record. Its classes are all that this build runs; those that the network
    /// does not have are left out of what is registered.
    pub profile: PartnerProfile,
    /// The bond that it keeps.
    pub bond: Amount,
    /// What stays on the account for fees when the bond is filled up.
    pub reserve: Amount,
    /// Verifications at the same time; twice as many where some have less time left than others.
    pub verification_places: u16,
    /// Maximum bytes of jobs' inputs on disk, and of the results of one job.
    pub blob_quota_bytes: u64,
    /// Workers at the same time, over all jobs.
    pub cores: u16,
    /// Memory that workers may use together, in bytes.
    pub memory_bytes: u64,
    /// Longest time that a task may take here, in milliseconds. Tasks that may take longer are not taken.
    pub task_wall_ms: u64,
    /// True if it takes no new duty.
    pub paused: bool,
}

/// The chain as it was proven. All of it is final, and no older than the proven states before it.
#[derive(Debug, Clone)]
pub struct ProvenState {
    /// The lowest height at which a value of it was proven; that of the account.
    pub height: Height,
    /// The highest height at which a value of it was proven.
    pub newest: Height,
    /// Timestamp of the block that names the state after that height.
    pub time: Timestamp,
    /// A chain time that was proven, and the timestamp that it had.
    pub clock: (ChainTime, Timestamp),
    /// Balance and nonce of the partner's account.
    pub account: Account,
    /// Bond, locks and profile on record; none before it registered.
    pub partner: Option<Partner>,
    /// Ids of all jobs that are live.
    pub live: BTreeSet<JobId>,
    /// The live jobs' records, each read after the account.
    pub jobs: BTreeMap<JobId, JobRecord>,
    /// The workloads of the live jobs that the partner is a party to.
    pub workloads: BTreeMap<JobId, Arc<Workload>>,
    /// Parameters in force, by which fees and times are judged.
    pub params: Arc<Params>,
    /// The partner's own page, as the epochs see it in which a live job was committed.
    pub pages: BTreeMap<Epoch, PartnerPage>,
}

/// What the shell learnt and the core must react to.
#[derive(Debug)]
pub enum Event {
    /// What this machine has free now; nothing where the system does not tell.
    Room(Option<FreeRoom>),
    /// The chain was read.
    Proven(Box<ProvenState>),
    /// The operator chose something else.
    Settings(Box<PartnerSettings>),
    /// An assignment's tasks were run; everything that they wrote is on disk.
    Executed(Box<ExecutionResult>),
    /// An assignment's tasks gave no result.
    NotExecuted {
        /// Assignment that it is about.
        assignment: Assignment,
        /// What it says of the job.
        cause: Cause,
        /// Why, for the log.
        reason: String,
    },
    /// An upload is over.
    Uploaded {
        /// Assignment whose results were offered.
        assignment: Assignment,
        /// True if an endpoint has all of them.
        complete: bool,
    },
}

/// What an execution without a result says of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nothing: this machine lacked something, or somebody killed the worker.
    Machine,
    /// The tasks may be such that nobody can run them.
    Tasks,
}

/// The result of an execution.
#[derive(Debug)]
pub struct ExecutionResult {
    /// Assignment that it is about.
    pub assignment: Assignment,
    /// Workload whose tasks were run.
    pub workload: Workload,
    /// Fresh random bytes for the commitment.
    pub salt: Hash32,
    /// The tasks run, ascending, and how they ended.
    pub outcomes: Vec<RanTask>,
    /// For a primary: the list of outcomes, already on disk.
    pub list: Option<BlobId>,
    /// For the primary of a chain: the list of its states, then the files that it names, already on disk; else empty.
    pub states: Vec<BlobId>,
}

/// A task that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanTask {
    /// Index of the task in the job.
    pub task: TaskIndex,
    /// What it began with; empty but in a chain.
    pub before: TaskState,
    /// How it ended.
    pub outcome: Outcome,
}

impl RanTask {
    /// Tasks that were run one after the other from the start, each with what the one before it left.
    #[must_use]
    pub fn linked(workload: &Workload, outcomes: Vec<(TaskIndex, Outcome)>) -> Vec<Self> {
        let mut state = TaskState::default();
        let link = |(task, outcome): (TaskIndex, Outcome)| {
            let after = outcome.state(&workload.state);
            let before = std::mem::replace(&mut state, after);
            Self {
                task,
                before,
                outcome,
            }
        };
        outcomes.into_iter().map(link).collect()
    }
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put a commitment on disk before anything that follows.
    Keep(Box<OwnCommitment>),
    /// Put the waiting transactions on disk before anything that follows.
    KeepOutbox(Box<TransactionOutbox>),
    /// The assignment is over: its commitment and its results may go.
    Forget(Assignment),
    /// Send a transaction to every endpoint.
    Send(Box<SignedTransaction>),
    /// Run the tasks of an assignment; answered with [`Event::Executed`] or [`Event::NotExecuted`].
    Execute(Box<TaskExecution>),
    /// Stop running an assignment's tasks; nobody wants them any more.
    Cancel(Assignment),
    /// Bring an assignment's results to the endpoints.
    Upload {
        /// Assignment that it is about.
        assignment: Assignment,
        /// The list of outcomes, then everything that it names.
        blobs: Vec<BlobId>,
        /// How often they were offered before. Each offer begins with another endpoint: one that says to have them and
        /// has not is one of several.
        offer: usize,
    },
    /// Say something to the operator.
    Note(Note),
}

/// Tasks of one assignment that are to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskExecution {
    /// Assignment that the tasks are run for.
    pub assignment: Assignment,
    /// Workload of the job.
    pub workload: Workload,
    /// Which tasks of it, ascending.
    pub tasks: Vec<TaskIndex>,
    /// For a verifier of a chain: the list of states that the primary handed on.
    pub states: Option<BlobId>,
    /// Longest time that one of them may take, in milliseconds.
    pub task_wall_ms: u64,
}

/// The deciding core of a partner.
#[derive(Debug)]
pub struct Core {
    identity: PartnerIdentity,
    settings: PartnerSettings,
    height: Height,
    commitments: BTreeMap<Assignment, OwnCommitment>,
    outbox: TransactionOutbox,
    steps: StepQueue,
    running: BTreeSet<Assignment>,
    failures: BTreeMap<Assignment, FailedExecutions>,
    /// What the executions read that somebody waits for, those that pause included.
    inputs: BTreeSet<BlobId>,
    uploads: BTreeMap<Assignment, UploadProgress>,
    sortitions: BTreeMap<(JobId, Attempt), Option<VrfProof>>,
    renewals: BTreeMap<Assignment, SeenRenewal>,
    /// What is free for jobs; where it is not known, all fit.
    room: Option<FreeRoom>,
    proven: Option<ProvenState>,
    noted: BTreeSet<String>,
}

/// Executions of an assignment that gave no result.
#[derive(Debug, Clone, Copy)]
struct FailedExecutions {
    count: u32,
    /// True if each of them speaks against the tasks.
    by_tasks: bool,
    /// No execution begins below this height.
    pause_until: Height,
}

/// How far a duty is renewed on chain, and when that was seen first.
#[derive(Debug, Clone, Copy)]
struct SeenRenewal {
    number: u32,
    since: Timestamp,
}

/// Offers of an assignment's results.
#[derive(Debug, Clone, Copy)]
struct UploadProgress {
    /// What of the results it is.
    part: UploadPart,
    /// How many have begun.
    offers: usize,
    last: UploadState,
}

/// Which blobs of an assignment are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UploadPart {
    /// The states of a chain, before the commitment.
    States,
    /// Everything, once the chain awaits it.
    Results,
}

#[derive(Debug, Clone, Copy)]
enum UploadState {
    Running,
    NotTaken,
    Taken(Height),
}

impl Core {
    /// Starts with what is on disk.
    #[must_use]
    pub fn new(
        identity: PartnerIdentity,
        settings: PartnerSettings,
        own: Vec<OwnCommitment>,
        outbox: TransactionOutbox,
    ) -> Self {
        let height = own.iter().map(|own| own.height).max().unwrap_or_default();
        Self {
            identity,
            settings,
            height,
            commitments: own.into_iter().map(|own| (own.assignment, own)).collect(),
            outbox: outbox.resumed(),
            steps: StepQueue::default(),
            running: BTreeSet::new(),
            failures: BTreeMap::new(),
            inputs: BTreeSet::new(),
            uploads: BTreeMap::new(),
            sortitions: BTreeMap::new(),
            renewals: BTreeMap::new(),
            room: None,
            proven: None,
            noted: BTreeSet::new(),
        }
    }

    /// The newest height seen.
    #[must_use]
    pub fn height(&self) -> Height {
        self.height
    }

    /// The assignments that are committed and not over.
    pub fn commitments(&self) -> impl Iterator<Item = &OwnCommitment> {
        self.commitments.values()
    }

    /// The assignments that run now.
    pub fn running(&self) -> impl Iterator<Item = &Assignment> {
        self.running.iter()
    }

    /// The blobs that executions read or will read, as of the last look; no other inputs are needed.
    #[must_use]
    pub fn inputs(&self) -> &BTreeSet<BlobId> {
        &self.inputs
    }

    /// Takes what was learnt, gives what is to be done.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Room(room) => {
                self.room = room;
                Vec::new()
            }
            Event::Proven(proven) => self.take_proven(*proven),
            Event::Settings(settings) => {
                self.settings = *settings;
                self.decide_again()
            }
            Event::Executed(executed) => self.commit(*executed),
            Event::NotExecuted {
                assignment,
                cause,
                reason,
            } => self.note_failure(assignment, cause, reason),
            Event::Uploaded {
                assignment,
                complete,
            } => {
                if let Some(upload) = self.uploads.get_mut(&assignment) {
                    upload.last = if complete {
                        UploadState::Taken(self.height)
                    } else {
                        UploadState::NotTaken
                    };
                }
                Vec::new()
            }
        }
    }

    fn note_failure(
        &mut self,
        assignment: Assignment,
        cause: Cause,
        reason: String,
    ) -> Vec<Effect> {
        if !self.running.remove(&assignment) {
            return Vec::new();
        }
        let none = FailedExecutions {
            count: 0,
            by_tasks: true,
            pause_until: Height::ZERO,
        };
        let failures = self.failures.entry(assignment).or_insert(none);
        let pause = FIRST_PAUSE_HEIGHTS
            .checked_shl(failures.count)
            .unwrap_or(u64::MAX)
            .min(LONGEST_PAUSE_HEIGHTS);
        failures.count = failures.count.saturating_add(1);
        failures.by_tasks &= cause == Cause::Tasks;
        failures.pause_until = self.height.saturating_add(pause);
        let mut effects = vec![Effect::Note(Note::NoResult {
            assignment,
            execution: failures.count,
            reason,
        })];
        effects.extend(self.decide_again());
        effects
    }

    /// Commits a result once; a second result for the same assignment is dropped.
    fn commit(&mut self, executed: ExecutionResult) -> Vec<Effect> {
        let ExecutionResult {
            assignment,
            workload,
            salt,
            outcomes,
            list,
            states,
        } = executed;
        // What runs is not committed, and stops running here.
        if !self.running.remove(&assignment) {
            return Vec::new();
        }
        let leaves = outcomes
            .iter()
            .map(|ran| {
                (
                    ran.task,
                    leaf(&workload, ran.task, &ran.before, &ran.outcome),
                )
            })
            .collect();
        let Ok(leaves) = Bounded::new(leaves) else {
            return Vec::new();
        };
        let author = (self.identity.chain, self.identity.address());
        let mut own = OwnCommitment::new(assignment, self.height, author, salt, leaves);
        if assignment.role == AssignmentRole::Primary {
            let mut blobs = BTreeSet::new();
            for RanTask { outcome, .. } in &outcomes {
                blobs.extend([outcome.stdout, outcome.stderr]);
                blobs.extend(outcome.outputs.iter().flatten());
            }
            let blobs = Bounded::new(blobs.into_iter().collect());
            let (Ok(blobs), Ok(states)) = (blobs, Bounded::new(states)) else {
                return Vec::new();
            };
            (own.outcomes, own.blobs, own.states) = (list, blobs, states);
        }
        self.commitments.insert(assignment, own.clone());
        let mut effects = vec![Effect::Keep(Box::new(own))];
        effects.extend(self.decide_again());
        effects
    }
}

#[cfg(test)]
pub(crate) mod tests;
