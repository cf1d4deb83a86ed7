//! What of a job's spec the chain needs at every step: small, whatever the spec's arguments and inputs are.

use borsh::{BorshDeserialize, BorshSerialize};

use super::JobSpec;
use crate::hash::{Hash32, WorkloadId};
use crate::number::{Amount, EngineClass, Fuel};
use crate::spec::{Name, TaskSet};
use crate::task_state::StateOutputs;

/// The part of a spec that prices, windows, draws, sortition and the receipt are made of; in the job's record. The whole
/// spec is under [`crate::state_key::StateKey::JobSpec`].
// Rule C54.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JobTerms {
    /// Name for people; no rule reads it.
    pub name: Name,
    /// Hash of the workload.
    pub workload: WorkloadId,
    /// Hash over module, stdin and inputs, see [`super::Workload::input_root`].
    pub input_root: Hash32,
    /// The engine class that runs it.
    pub class: EngineClass,
    /// The tasks, 1 to 1,024.
    pub tasks: TaskSet,
    /// What each task hands to the next; nothing where they are independent.
    pub state: StateOutputs,
    /// Maximum fuel of a task.
    pub fuel: Fuel,
    /// Bytes of module, stdin and inputs, each blob once; at most 4 GiB and held at the largest value.
    pub input_bytes: u64,
    /// Maximum of what a task writes, in bytes.
    pub output_bytes: u64,
    /// The price cap R: the maximum price of execution, for all tasks, in base units.
    pub price_cap: Amount,
    /// How long it may wait for a place, in milliseconds of chain time.
    pub max_wait_ms: u64,
    /// Value at risk V, in base units.
    pub value_at_risk: Amount,
    /// Loss V1 from one wrong task, in base units.
    pub task_value_at_risk: Amount,
}

impl JobTerms {
    /// What draws of tasks are made from.
    #[must_use]
    pub fn drawable(&self) -> (&TaskSet, &StateOutputs) {
        (&self.tasks, &self.state)
    }

    /// Maximum fuel of all tasks together, held at the largest value.
    #[must_use]
    pub fn total_fuel(&self) -> Fuel {
        Fuel(self.fuel.0.saturating_mul(self.tasks.count().into()))
    }

    /// The terms of a spec.
    #[must_use]
    pub fn of(spec: &JobSpec) -> Self {
        let workload = &spec.workload;
        let blobs = workload.blobs();
        let input_bytes = blobs
            .iter()
            .fold(0u64, |sum, blob| sum.saturating_add(blob.length));
        Self {
            name: spec.name.clone(),
            workload: workload.id(),
            input_root: workload.input_root(),
            class: workload.class,
            tasks: workload.tasks.clone(),
            state: workload.state.clone(),
            fuel: workload.limits.fuel,
            input_bytes,
            output_bytes: workload.limits.output_bytes,
            price_cap: spec.price_cap,
            max_wait_ms: spec.max_wait_ms,
            value_at_risk: spec.verification.value_at_risk,
            task_value_at_risk: spec.verification.task_value_at_risk,
        }
    }
}
