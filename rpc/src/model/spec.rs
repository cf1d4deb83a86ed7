//! A job's spec, how it is checked and what it holds, in the shapes of the interface.
//!
//! A spec is also read: by the server as the body of `POST /v1/estimate`, and by clients that compare its workload's
//! id with what the chain settled. So its shape holds every field of the canonical form and can be turned back into it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::codec::{Bounded, CodecError};
use types::hash::{BlobId, Hash32};
use types::job::{
    Argument, Constraints, Escrow, GuestPath, Input, JobSpec, Name, Output, Policy, StateOutputs,
    TaskLimits, TaskSet, TaskSetError, Verification, Workload,
};
use types::number::{Amount, EngineClass, Fixed64, Fuel, TaskIndex};

/// Why a shape is that of no spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecViewError {
    /// A list is longer than it may be.
    #[error(transparent)]
    List(#[from] CodecError),
    /// The state names no output.
    #[error("state: no output has the name {0}")]
    State(Name),
    /// The indices name no tasks of the array.
    #[error("task_indices: {0}")]
    Tasks(#[from] TaskSetError),
}

/// A job as its customer signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpecView {
    /// For people, at most 64 bytes.
    pub name: Name,
    /// Everything that determines the outcomes.
    pub workload: WorkloadView,
    /// Attributes that a partner must have with exactly these values to run the job.
    pub attributes: BTreeMap<Name, Name>,
    /// How the job is checked.
    pub verification: VerificationView,
    /// Most that execution may cost, for all tasks together, in SQUARE.
    pub price_cap: Amount,
    /// How long it may wait for a place, in milliseconds of chain time; at least the network's open window.
    #[serde(default)]
    pub max_wait_ms: u64,
}

/// What is computed: everything that determines the outcomes and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadView {
    /// The engine class that runs it.
    pub class: EngineClass,
    /// Blob of the WebAssembly module, at most 100 MiB.
    pub module: BlobId,
    /// Arguments after the program's name, at most 256.
    pub arguments: Vec<Argument>,
    /// Environment variables of every task.
    pub environment: BTreeMap<Argument, Argument>,
    /// Standard input; empty if absent.
    pub stdin: Option<BlobId>,
    /// Files under `/in`, sorted by target.
    pub inputs: Vec<InputView>,
    /// Files under `/out` that are kept, sorted by name.
    pub outputs: Vec<OutputView>,
    /// Number of tasks in the array; they differ in their index alone.
    pub tasks: u32,
    /// The tasks of the array that are run, ascending; absent or empty, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_indices: Option<Vec<TaskIndex>>,
    /// Names of the outputs that each task hands to the next, in the order of `outputs`; absent or empty, tasks are independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Vec<Name>>,
    /// Limits of each task.
    pub limits: TaskLimitsView,
    /// Where the clock of every task starts, in nanoseconds since the Unix epoch.
    pub clock_start_ns: u64,
    /// Seeds the random bytes of every task, together with its index.
    pub random_seed: Hash32,
}

/// A file that every task can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputView {
    /// Hash and length of its bytes.
    pub blob: BlobId,
    /// Absolute path at which tasks see it.
    pub target: GuestPath,
}

/// A file that every task may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputView {
    /// Name under which it is fetched.
    pub name: Name,
    /// Path at which tasks write it, below `/out/`.
    pub path: GuestPath,
}

/// Limits of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLimitsView {
    /// Most fuel, about one unit per executed instruction.
    pub fuel: Fuel,
    /// Most linear memory, in bytes.
    pub memory_bytes: u64,
    /// Most bytes written to outputs, stdout and stderr together.
    pub output_bytes: u64,
}

/// How a customer wants a job to be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationView {
    /// Smallest number of verifiers.
    pub min_verifiers: u16,
    /// Tasks that each verifier runs again; absent, the policy chooses. 4294967295 means all.
    pub tasks_per_verifier: Option<u32>,
    /// Loss of the customer if the job's result is wrong, in SQUARE.
    pub value_at_risk: Amount,
    /// Loss of the customer from one wrong task, in SQUARE.
    pub task_value_at_risk: Amount,
    /// Smallest probability, in parts per million, with which one wrong task must be found; 0 leaves it to the bond.
    pub confidence_ppm: u32,
}

/// How a job is checked: the results of the formulas, fixed when it is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// Verifiers that the sortition selects in expectation.
    pub expected_verifiers: Fixed64,
    /// Tasks that each verifier runs again.
    pub tasks_per_verifier: u32,
    /// Times that a task is run again in expectation.
    pub expected_checks: Fixed64,
    /// Probability that one wrong task is found.
    pub detection: Fixed64,
    /// Bond that the primary locks, in SQUARE.
    pub bond: Amount,
    /// Bond that each verifier locks, in SQUARE.
    pub verifier_bond: Amount,
    /// Smallest number of verifiers; the beacon appoints those that are missing.
    pub min_verifiers: u16,
    /// Pay of each verifier that reveals its result, in SQUARE.
    pub verifier_fee: Amount,
    /// Verifiers that the sortition selects in expectation of those who can lock the verifier's bond.
    pub expected_announcements: Fixed64,
}

/// Money that a live job holds, each in SQUARE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowView {
    /// For execution: at first the price cap.
    pub execution: Amount,
    /// Part of the escrow for the verifiers, in SQUARE.
    pub verification: Amount,
    /// For storage; burned as it is used.
    pub storage: Amount,
    /// For the fees of the parties' transactions.
    pub fees: Amount,
    /// For rent of what the job holds: at first that of the longest time; what is due is burned at the end.
    pub rent: Amount,
    /// For referees, where no forfeited bond pays them.
    pub referees: Amount,
}

impl From<&JobSpec> for JobSpecView {
    fn from(spec: &JobSpec) -> Self {
        let verification = &spec.verification;
        Self {
            name: spec.name.clone(),
            workload: WorkloadView::from(&spec.workload),
            attributes: spec.constraints.attributes.clone(),
            verification: VerificationView {
                min_verifiers: verification.min_verifiers,
                tasks_per_verifier: verification.tasks_per_verifier,
                value_at_risk: verification.value_at_risk,
                task_value_at_risk: verification.task_value_at_risk,
                confidence_ppm: verification.confidence_ppm,
            },
            price_cap: spec.price_cap,
            max_wait_ms: spec.max_wait_ms,
        }
    }
}

impl TryFrom<JobSpecView> for JobSpec {
    type Error = SpecViewError;

    /// The canonical form. An error says which list is longer than it may be; rules of the chain are not checked.
    fn try_from(view: JobSpecView) -> Result<Self, SpecViewError> {
        let verification = view.verification;
        Ok(Self {
            name: view.name,
            workload: view.workload.try_into()?,
            constraints: Constraints {
                attributes: view.attributes,
            },
            verification: Verification {
                min_verifiers: verification.min_verifiers,
                tasks_per_verifier: verification.tasks_per_verifier,
                value_at_risk: verification.value_at_risk,
                task_value_at_risk: verification.task_value_at_risk,
                confidence_ppm: verification.confidence_ppm,
            },
            price_cap: view.price_cap,
            max_wait_ms: view.max_wait_ms,
        })
    }
}

impl From<&Workload> for WorkloadView {
    fn from(workload: &Workload) -> Self {
        let input = |input: &Input| InputView {
            blob: input.blob,
            target: input.target.clone(),
        };
        let output = |output: &Output| OutputView {
            name: output.name.clone(),
            path: output.path.clone(),
        };
        Self {
            class: workload.class,
            module: workload.module,
            arguments: workload.arguments.to_vec(),
            environment: workload.environment.clone(),
            stdin: workload.stdin,
            inputs: workload.inputs.iter().map(input).collect(),
            outputs: workload.outputs.iter().map(output).collect(),
            tasks: workload.tasks.array(),
            task_indices: (!workload.tasks.is_whole()).then(|| workload.tasks.indices().collect()),
            state: state_names(workload),
            limits: TaskLimitsView {
                fuel: workload.limits.fuel,
                memory_bytes: workload.limits.memory_bytes,
                output_bytes: workload.limits.output_bytes,
            },
            clock_start_ns: workload.clock_start_ns,
            random_seed: workload.random_seed,
        }
    }
}

/// The names of a state's outputs; nothing where tasks are independent. A position that is no output's has no name.
fn state_names(workload: &Workload) -> Option<Vec<Name>> {
    let name = |at: usize| Some(workload.outputs.get(at)?.name.clone());
    let names = workload.state.positions().filter_map(name);
    workload.state.is_chain().then(|| names.collect())
}

/// The outputs that a state names, by their positions.
fn state_outputs(names: &[Name], outputs: &[OutputView]) -> Result<StateOutputs, SpecViewError> {
    let position = |name: &Name| {
        let found = outputs.iter().position(|output| output.name == *name);
        let position = found.and_then(|position| u8::try_from(position).ok());
        position.ok_or_else(|| SpecViewError::State(name.clone()))
    };
    let positions: Result<Vec<_>, _> = names.iter().map(position).collect();
    Ok(StateOutputs(Bounded::new(positions?)?))
}

impl TryFrom<WorkloadView> for Workload {
    type Error = SpecViewError;

    fn try_from(view: WorkloadView) -> Result<Self, SpecViewError> {
        let input = |input: InputView| Input {
            blob: input.blob,
            target: input.target,
        };
        let output = |output: OutputView| Output {
            name: output.name,
            path: output.path,
        };
        Ok(Self {
            class: view.class,
            module: view.module,
            arguments: Bounded::new(view.arguments)?,
            environment: view.environment,
            stdin: view.stdin,
            inputs: Bounded::new(view.inputs.into_iter().map(input).collect())?,
            state: state_outputs(view.state.as_deref().unwrap_or_default(), &view.outputs)?,
            outputs: Bounded::new(view.outputs.into_iter().map(output).collect())?,
            tasks: view
                .task_indices
                .filter(|indices| !indices.is_empty())
                .map_or(Ok(TaskSet::all(view.tasks)), |indices| {
                    TaskSet::named(view.tasks, &indices)
                })?,
            limits: TaskLimits {
                fuel: view.limits.fuel,
                memory_bytes: view.limits.memory_bytes,
                output_bytes: view.limits.output_bytes,
            },
            clock_start_ns: view.clock_start_ns,
            random_seed: view.random_seed,
        })
    }
}

impl From<&Policy> for PolicyView {
    fn from(policy: &Policy) -> Self {
        Self {
            expected_verifiers: policy.expected_verifiers,
            tasks_per_verifier: policy.tasks_per_verifier,
            expected_checks: policy.expected_checks,
            detection: policy.detection,
            bond: policy.bond,
            verifier_bond: policy.verifier_bond,
            min_verifiers: policy.min_verifiers,
            verifier_fee: policy.verifier_fee,
            expected_announcements: policy.expected_announcements,
        }
    }
}

impl From<&Escrow> for EscrowView {
    fn from(escrow: &Escrow) -> Self {
        Self {
            execution: escrow.execution,
            verification: escrow.verification,
            storage: escrow.storage,
            fees: escrow.fees,
            rent: escrow.rent,
            referees: escrow.referees,
        }
    }
}
