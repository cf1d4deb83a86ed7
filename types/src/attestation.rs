//! Attestations: outcomes, leaves, result roots, commitments to them, their openings, and the random beacon's inputs.
//!
//! A leaf is a hash of (workload, index, input root, state before the task, outcome). A result root is a Merkle root over the blinded leaves of
//! the tasks that its author ran, in index order; the primary's covers all tasks. A commitment is a hash over a result
//! root and the salt that blinds its leaves.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::Bounded;
use crate::hash::{Address, BlobId, ChainId, Domain, Hash32, JobId, WorkloadId};
use crate::key::VrfOutput;
use crate::limits::{MAX_OUTPUTS, MAX_TASKS};
use crate::merkle::{MerkleProof, merkle_prove, merkle_root, merkle_verify};
use crate::number::{Attempt, BeaconStep, Fuel, TaskIndex};
use crate::spec::{TaskSet, Workload};
use crate::task_state::{StateOutputs, TaskState, TaskStates};

/// How a task ended. Every one of these is a result like any other, and is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Exit {
    /// The program returned or called `proc_exit`.
    Code {
        /// Its exit code; 0 for a return.
        code: u32,
    },
    /// The program trapped, so that its task ended with this reason.
    Trap {
        /// The kind of trap.
        trap: Trap,
    },
    /// The fuel limit was reached.
    OutOfFuel,
    /// The output limit was reached.
    OutOfOutput,
    /// The module is not one that the class can run (not WASM, unknown import, no `_start`).
    Invalid,
}

/// Why a program trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Trap {
    /// The instruction `unreachable` was executed.
    Unreachable,
    /// Memory or table access out of bounds, or misaligned.
    OutOfBounds,
    /// Integer division by zero or overflow, or a bad conversion.
    Arithmetic,
    /// An indirect call to nothing or to another type.
    IndirectCall,
    /// The call stack is exhausted.
    StackOverflow,
    /// Anything else that the class defines as a trap.
    Other,
}

/// What running a task gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
// Rule C1.
pub struct Outcome {
    /// The way in which the task ended.
    pub exit: Exit,
    /// Fuel that the task used.
    pub fuel: Fuel,
    /// Hash and length of standard output.
    pub stdout: BlobId,
    /// Hash and length of standard error.
    pub stderr: BlobId,
    /// The declared outputs in the workload's order; `None` where the file was not written.
    pub outputs: Bounded<Option<BlobId>, MAX_OUTPUTS>,
}

/// The outcomes of all tasks of a job, in index order: the blob that an opening names.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Outcomes(pub Bounded<Outcome, MAX_TASKS>);

impl Outcome {
    /// What the task left of some outputs for the next one; empty where tasks are independent.
    #[must_use]
    pub fn state(&self, outputs: &StateOutputs) -> TaskState {
        let file = |position| self.outputs.get(position).copied().flatten();
        let files = outputs.positions().map(file).collect();
        Bounded::new(files).expect("as many as there are outputs of a state")
    }
}

impl Outcomes {
    /// The leaves of all tasks, each with the state that the outcome before it names.
    #[must_use]
    pub fn leaves(&self, workload: &Workload) -> Vec<(TaskIndex, Hash32)> {
        let (id, root) = (workload.id(), workload.input_root());
        self.leaves_of((id, &root), &workload.tasks, &workload.state)
    }

    /// The leaves of all tasks by a workload's hashes, its tasks and its state, for those who know no more of it.
    #[must_use]
    pub fn leaves_of(
        &self,
        (workload, input_root): (WorkloadId, &Hash32),
        tasks: &TaskSet,
        state: &StateOutputs,
    ) -> Vec<(TaskIndex, Hash32)> {
        let mut before = TaskState::default();
        let linked = tasks.indices().zip(&self.0).map(|(index, outcome)| {
            let leaf = leaf_of((workload, input_root), index, &before, outcome);
            before = outcome.state(state);
            (index, leaf)
        });
        linked.collect()
    }

    /// What each task but the last left for the next one.
    #[must_use]
    pub fn states(&self, state: &StateOutputs) -> TaskStates {
        let handed_on = self.0.split_last().map_or(&[][..], |(_, before)| before);
        let states = handed_on.iter().map(|outcome| outcome.state(state));
        TaskStates(Bounded::new(states.collect()).expect("fewer than there are outcomes"))
    }

    /// Fuel that all tasks used together, held at the largest value.
    #[must_use]
    pub fn fuel(&self) -> Fuel {
        let used = self.0.iter().map(|outcome| outcome.fuel.0);
        Fuel(used.fold(0, u64::saturating_add))
    }

    /// Every blob named, each once, stdout and stderr first.
    #[must_use]
    pub fn blobs(&self) -> Vec<BlobId> {
        let mut all = std::collections::BTreeSet::new();
        for outcome in &self.0 {
            all.extend([outcome.stdout, outcome.stderr]);
            all.extend(outcome.outputs.iter().flatten());
        }
        all.into_iter().collect()
    }
}

/// The leaf of one task with the state before it: what two jobs over one workload have in common.
// Rule C2.
#[must_use]
pub fn leaf(
    workload: &Workload,
    index: TaskIndex,
    before: &TaskState,
    outcome: &Outcome,
) -> Hash32 {
    let hashes = (workload.id(), &workload.input_root());
    leaf_of(hashes, index, before, outcome)
}

fn leaf_of(
    (workload, input_root): (WorkloadId, &Hash32),
    index: TaskIndex,
    before: &TaskState,
    outcome: &Outcome,
) -> Hash32 {
    let hashed = (workload, index, input_root, before, outcome);
    Hash32::of(Domain::LEAF, &hashed)
}

/// A leaf as a commitment holds it: hidden by a value derived from the salt and the index.
// Rule C3.
#[must_use]
pub fn blinded(salt: &Hash32, index: TaskIndex, leaf: &Hash32) -> Hash32 {
    let blind = Hash32::of(Domain::BLIND, &(salt, index));
    Hash32::of(Domain::BLINDED, &(index, leaf, blind))
}

/// The result root over the leaves of the given tasks, in index order.
// Rule C3.
#[must_use]
pub fn result_root_of(salt: &Hash32, leaves: &[(TaskIndex, Hash32)]) -> Hash32 {
    let items: Vec<_> = leaves
        .iter()
        .map(|(index, leaf)| blinded(salt, *index, leaf))
        .collect();
    merkle_root(&items)
}

/// The root without blinding, which two runs of one workload share.
#[must_use]
pub fn unblinded_root(leaves: &[(TaskIndex, Hash32)]) -> Hash32 {
    merkle_root(&leaves.iter().map(|(_, leaf)| *leaf).collect::<Vec<_>>())
}

/// What binds a commitment to its place and author, so that it is of no use anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CommitmentContext {
    /// The chain that the job is on.
    pub chain: ChainId,
    /// The job whose tasks were run.
    pub job: JobId,
    /// The attempt of that job.
    pub attempt: Attempt,
    /// The partner that commits.
    pub partner: Address,
}

/// The commitment to a result root: a hash that hides root and salt until they are revealed.
// Rule C4.
#[must_use]
pub fn commitment(context: &CommitmentContext, root: &Hash32, salt: &Hash32) -> Hash32 {
    Hash32::of(Domain::COMMITMENT, &(context, root, salt))
}

/// Unblinded leaves by task, ascending.
pub type MerkleLeaves = Bounded<(TaskIndex, Hash32), MAX_TASKS>;

/// The opening of a primary's commitment: what it hid, and the leaves of the drawn tasks.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Opening {
    /// Root over the blinded leaves (rule C3).
    pub root: Hash32,
    /// The salt that blinds the root's leaves.
    pub salt: Hash32,
    /// The leaf of every drawn task, ascending: the tasks of all verifiers together.
    pub leaves: MerkleLeaves,
    /// The paths of those leaves, in one proof; empty if no task was drawn.
    pub proof: MerkleProof,
    /// The list of outcomes ([`Outcomes`]) that reproduces the root.
    pub outcomes: BlobId,
}

impl Opening {
    /// Opens a result root over `all` (its leaves in index order) at the `drawn` tasks, ascending. `None` if one of
    /// them is not among `all`.
    // Rule C5.
    #[must_use]
    pub fn new(
        salt: Hash32,
        all: &[(TaskIndex, Hash32)],
        drawn: &[TaskIndex],
        outcomes: BlobId,
    ) -> Option<Self> {
        let items: Vec<_> = all
            .iter()
            .map(|(index, leaf)| blinded(&salt, *index, leaf))
            .collect();
        let positions: Option<Vec<_>> = drawn
            .iter()
            .map(|task| all.binary_search_by_key(task, |(index, _)| *index).ok())
            .collect();
        let positions = positions?;
        let leaves = Bounded::new(positions.iter().map(|at| all[*at]).collect()).ok()?;
        let proof = if positions.is_empty() {
            MerkleProof::default()
        } else {
            merkle_prove(&items, &positions)?
        };
        Some(Self {
            root: merkle_root(&items),
            salt,
            leaves,
            proof,
            outcomes,
        })
    }

    /// True if the opening shows exactly the `drawn` tasks of a result over the `covered` tasks (both ascending) and all
    /// its leaves lead to its root.
    // Rule C6.
    #[must_use]
    pub fn is_consistent(&self, covered: &[TaskIndex], drawn: &[TaskIndex]) -> bool {
        if !self.leaves.iter().map(|(index, _)| index).eq(drawn) {
            return false;
        }
        if drawn.is_empty() {
            return self.proof == MerkleProof::default();
        }
        let mut items = Vec::with_capacity(drawn.len());
        for (index, leaf) in &self.leaves {
            let Ok(position) = covered.binary_search(index) else {
                return false;
            };
            items.push((position, blinded(&self.salt, *index, leaf)));
        }
        merkle_verify(covered.len(), &items, &self.proof) == Some(self.root)
    }
}

/// What a referee found when it ran a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RefereeFinding {
    /// The leaf of the task.
    pub leaf: Hash32,
    /// What the program held at the fuel point that the ballot draws: nobody has it but by running the task.
    pub witness: Hash32,
}

/// One task at which a verifier found something else than the primary: its commitment is opened at that task and at no other.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Divergence {
    /// Root over the blinded leaves of the verifier's tasks (rule C3).
    pub root: Hash32,
    /// The salt that blinds the root's leaves.
    pub salt: Hash32,
    /// The task whose results are compared.
    pub task: TaskIndex,
    /// The leaf that the verifier found.
    pub leaf: Hash32,
    /// The path of that leaf.
    pub proof: MerkleProof,
}

impl Divergence {
    /// Opens a result root over `all` (its leaves in index order) at one task. `None` if it is not among `all`.
    // Rule C59.
    #[must_use]
    pub fn new(salt: Hash32, all: &[(TaskIndex, Hash32)], task: TaskIndex) -> Option<Self> {
        let blind = |(index, leaf): &(TaskIndex, Hash32)| blinded(&salt, *index, leaf);
        let items: Vec<_> = all.iter().map(blind).collect();
        let position = all.binary_search_by_key(&task, |(index, _)| *index).ok()?;
        let (_, leaf) = all.get(position)?;
        Some(Self {
            root: merkle_root(&items),
            salt,
            task,
            leaf: *leaf,
            proof: merkle_prove(&items, &[position])?,
        })
    }

    /// True if the leaf leads to the root of a result over the `covered` tasks, ascending.
    // Rule C59.
    #[must_use]
    pub fn is_consistent(&self, covered: &[TaskIndex]) -> bool {
        let Ok(position) = covered.binary_search(&self.task) else {
            return false;
        };
        let items = [(position, blinded(&self.salt, self.task, &self.leaf))];
        merkle_verify(covered.len(), &items, &self.proof) == Some(self.root)
    }
}

/// What opens a challenge of a settled job: one task at which the challenger found something else than the receipt's result.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Contradiction {
    /// What the challenger found, as the opening of its commitment to this one task.
    pub divergence: Divergence,
    /// The primary's leaf of that task.
    pub leaf: Hash32,
    /// The path of that leaf in the receipt's result.
    pub proof: MerkleProof,
}

impl Contradiction {
    /// Contradicts a settled result, whose leaves in index order are `settled` and blinded by its salt, at one task; `own_salt`
    /// blinds what the challenger found there. `None` if the task is not among them.
    // Rule C73.
    #[must_use]
    pub fn new(
        own_salt: Hash32,
        found: (TaskIndex, Hash32),
        salt: &Hash32,
        settled: &[(TaskIndex, Hash32)],
    ) -> Option<Self> {
        let theirs = Divergence::new(*salt, settled, found.0)?;
        Some(Self {
            divergence: Divergence::new(own_salt, &[found], found.0)?,
            leaf: theirs.leaf,
            proof: theirs.proof,
        })
    }

    /// True if the challenger's leaf leads to its own root, and the primary's to a result root over these tasks with this salt.
    // Rule C73.
    #[must_use]
    pub fn is_consistent(&self, tasks: &TaskSet, root: &Hash32, salt: &Hash32) -> bool {
        let task = self.divergence.task;
        let covered: Vec<_> = tasks.indices().collect();
        let Ok(position) = covered.binary_search(&task) else {
            return false;
        };
        let items = [(position, blinded(salt, task, &self.leaf))];
        self.divergence.is_consistent(&[task])
            && merkle_verify(covered.len(), &items, &self.proof) == Some(*root)
    }
}

/// The tasks that a sortition output draws: `count` of a job's `tasks`, ascending, without repeats. Of a chain they follow each
/// other, from a drawn one on and round the end, so that few states are needed to begin.
// Rules C33, C35.
#[must_use]
pub fn drawn_tasks(
    seed: &Hash32,
    (tasks, state): (&TaskSet, &StateOutputs),
    count: u32,
) -> Vec<TaskIndex> {
    let total = tasks.count();
    if count >= total {
        return tasks.indices().collect();
    }
    if state.is_chain() {
        return drawn_row(seed, total, count);
    }
    // Floyd's sampling: for j in total-count..total pick t in 0..=j, take j itself if t is taken.
    let mut drawn = std::collections::BTreeSet::new();
    for j in total - count..total {
        let random = u128::from(Hash32::of(Domain::DRAWN_TASKS, &(seed, j)).low_u64());
        let pick = u32::try_from((random * u128::from(j + 1)) >> 64).expect("below j + 1");
        if !drawn.insert(pick) {
            drawn.insert(j);
        }
    }
    (0..)
        .zip(tasks.indices())
        .filter(|(position, _)| drawn.contains(position))
        .map(|(_, index)| index)
        .collect()
}

/// So many tasks in a row: each of all is among them with the same chance.
// Rule C81.
fn drawn_row(seed: &Hash32, total: u32, count: u32) -> Vec<TaskIndex> {
    let random = u128::from(Hash32::of(Domain::DRAWN_TASKS, &(seed, total)).low_u64());
    let first = u32::try_from((random * u128::from(total)) >> 64).expect("below the total");
    let end = first.saturating_add(count);
    let round = (0..end.saturating_sub(total)).chain(first..end.min(total));
    round.map(TaskIndex).collect()
}

/// The seed of drawn tasks from a VRF output.
#[must_use]
pub fn drawn_tasks_seed(output: &VrfOutput) -> Hash32 {
    output.hash(Domain::DRAWN_TASKS)
}

/// What a contributor's VRF is run over for a step of the beacon.
// Rule C49.
#[must_use]
pub fn beacon_input(epoch_seed: &Hash32, step: BeaconStep) -> Hash32 {
    Hash32::of(Domain::BEACON_INPUT, &(epoch_seed, step))
}

/// The beacon after a step: over the one before and the step's output, `None` if the step was skipped.
// Rule C49.
#[must_use]
pub fn next_beacon(before: &Hash32, step: BeaconStep, output: Option<&VrfOutput>) -> Hash32 {
    Hash32::of(
        Domain::BEACON,
        &(before, step, output.map(|output| output.0)),
    )
}

#[cfg(test)]
mod tests;
