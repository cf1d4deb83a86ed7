//! What people ask for and offer: a customer's job, and a partner's profile.
//!
//! A job's workload (what is computed) is apart from its terms (who may run it, how it is checked, what it pays), so
//! that equal workloads give equal leaves whoever pays. The job's record on chain is in [`crate::job`].

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::codec::{Bounded, Text};
use crate::hash::{BlobId, Domain, Hash32, WorkloadId};
use crate::key::VrfPublicKey;
use crate::limits::{
    MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_ATTRIBUTES, MAX_INPUTS, MAX_NAME_BYTES, MAX_OUTPUTS,
    MAX_PATH_BYTES,
};
use crate::number::{Amount, EngineClass, Fuel};
pub use crate::task_set::{TaskSet, TaskSetError};
use crate::task_state::{ChainFlaw, STATE_FOLDER, StateOutputs};

/// The one engine class of this version, as `docs/spec/executor.md` defines it.
pub const CLASS_WASM_V2: EngineClass = EngineClass(2);

/// A name: of a job, an output or an attribute.
pub type Name = Text<MAX_NAME_BYTES>;
/// An absolute path inside a task's file tree.
pub type GuestPath = Text<MAX_PATH_BYTES>;
/// A program argument, or an environment key or value; it may hold line breaks.
pub type Argument = Text<MAX_ARGUMENT_BYTES, true>;

/// A job as its customer signs it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JobSpec {
    /// Name for people; no rule reads it.
    pub name: Name,
    /// Everything that determines the outcomes, and nothing else.
    pub workload: Workload,
    /// What a partner must be to run it.
    pub constraints: Constraints,
    /// What the customer demands of verification.
    pub verification: Verification,
    /// The price cap R: the maximum price of execution, for all tasks, in base units.
    pub price_cap: Amount,
    /// How long it may wait for a place once its inputs are stored, in milliseconds of chain time, at most a week; the
    /// network's open window if that is longer.
    pub max_wait_ms: u64,
}

/// What is computed: everything that determines the outcomes and nothing else.
// Rule C2.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Workload {
    /// The engine class that runs it.
    pub class: EngineClass,
    /// Blob of the WebAssembly module, at most 100 MiB.
    pub module: BlobId,
    /// Arguments after the program's name, which is `program`.
    pub arguments: Bounded<Argument, MAX_ARGUMENTS>,
    /// Environment; each task also sees `GRIDPROOF_TASK_INDEX` and `GRIDPROOF_TASK_COUNT`.
    pub environment: BTreeMap<Argument, Argument>,
    /// Standard input; `None` is an empty one.
    pub stdin: Option<BlobId>,
    /// Files that every task can read, sorted by target, each once.
    pub inputs: Bounded<Input, MAX_INPUTS>,
    /// Files under `/out` that are kept, sorted by name, each once.
    pub outputs: Bounded<Output, MAX_OUTPUTS>,
    /// The tasks, which differ in their index.
    pub tasks: TaskSet,
    /// What each task hands to the next; nothing where they are independent.
    pub state: StateOutputs,
    /// Limits of each task.
    pub limits: TaskLimits,
    /// Where the task's clock starts, in nanoseconds since the Unix epoch.
    pub clock_start_ns: u64,
    /// Seeds the task's random bytes, with its index.
    pub random_seed: Hash32,
}

/// A file that every task can read.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Input {
    /// Hash and length of the file's bytes.
    pub blob: BlobId,
    /// Where the task sees it: see [`is_input_target`].
    pub target: GuestPath,
}

/// A file that every task may write below `/out/`.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Output {
    /// The name under which it is fetched.
    pub name: Name,
    /// Where the task writes it: see [`is_output_path`].
    pub path: GuestPath,
}

/// Limits of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TaskLimits {
    /// Maximum fuel; a task that needs more ends as `OutOfFuel`.
    pub fuel: Fuel,
    /// Maximum linear memory, in bytes.
    pub memory_bytes: u64,
    /// Maximum of what is written to outputs, stdout and stderr together, in bytes.
    pub output_bytes: u64,
}

/// What a partner must be to run the job.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Constraints {
    /// Attributes that the partner must have with exactly these values.
    pub attributes: BTreeMap<Name, Name>,
}

/// What the customer demands of verification.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Verification {
    /// Minimum number of verifiers; the beacon appoints the missing ones.
    pub min_verifiers: u16,
    /// Tasks per verifier (k); `None` lets the policy choose, `u32::MAX` means all.
    pub tasks_per_verifier: Option<u32>,
    /// Value at risk V: the customer's loss if the job's result is wrong, in base units.
    pub value_at_risk: Amount,
    /// Loss V1 from one wrong task, in base units; at most the value at risk.
    pub task_value_at_risk: Amount,
    /// Minimum probability, in parts per million, with which selected verifiers find one wrong task; 0 leaves it to the
    /// bond rule.
    pub confidence_ppm: u32,
}

impl JobSpec {
    /// Checks what must hold of a spec whose tasks hand a state on, beside what must hold of any.
    // Rule C79.
    pub fn check_chain(&self) -> Result<(), ChainFlaw> {
        let workload = &self.workload;
        if !workload.state.is_chain() {
            return Ok(());
        }
        if !workload.tasks.is_whole() {
            return Err(ChainFlaw::NamedTasks);
        }
        if workload.tasks.count() < 2 {
            return Err(ChainFlaw::TooShort(workload.tasks.count()));
        }
        let mut least = 0;
        for (position, given) in workload.state.positions().zip(workload.state.0.iter()) {
            if position < least || position >= workload.outputs.len() {
                return Err(ChainFlaw::BadState(*given));
            }
            least = position + 1;
        }
        let mut targets = workload.inputs.iter().map(|input| input.target.as_str());
        if let Some(path) = targets.find(|target| is_state_path(target)) {
            return Err(ChainFlaw::FolderTaken(path.to_owned()));
        }
        let (task, value) = (
            self.verification.task_value_at_risk,
            self.verification.value_at_risk,
        );
        if task != value {
            return Err(ChainFlaw::BadTaskValue { task, value });
        }
        Ok(())
    }
}

/// True for the folder in which a task of a chain finds its state, and all below it.
// Rule C79.
#[must_use]
pub fn is_state_path(path: &str) -> bool {
    let below = path.strip_prefix(STATE_FOLDER);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Workload {
    /// The hash that leaves carry.
    #[must_use]
    pub fn id(&self) -> WorkloadId {
        WorkloadId(Hash32::of(Domain::WORKLOAD, self))
    }

    /// The hash over module, stdin and inputs: what every task starts from, be there a state before it or not.
    #[must_use]
    pub fn input_root(&self) -> Hash32 {
        Hash32::of(Domain::INPUTS, &(self.module, self.stdin, &self.inputs))
    }

    /// The fuel of what a task begins with: its module, which is compiled, at [`FUEL_PER_MODULE_BYTE`], stdin and
    /// every input, which are loaded and hashed, a unit per byte, as often as they are listed. Held at the largest value.
    // Rule C8.
    #[must_use]
    pub fn loading_fuel(&self) -> u64 {
        let read = self
            .stdin
            .iter()
            .chain(self.inputs.iter().map(|input| &input.blob));
        let module = self.module.length.saturating_mul(FUEL_PER_MODULE_BYTE);
        read.fold(module, |sum, blob| sum.saturating_add(blob.length))
    }

    /// Every blob that a task reads: module, stdin, inputs; each once, in this order.
    #[must_use]
    pub fn blobs(&self) -> Vec<BlobId> {
        let mut all = vec![self.module];
        for blob in self
            .stdin
            .iter()
            .chain(self.inputs.iter().map(|input| &input.blob))
        {
            if !all.contains(blob) {
                all.push(*blob);
            }
        }
        all
    }
}

/// Folders at the top of a task's file tree in which no input may lie: the task's own, and those that a program expects of
/// its system.
pub const SYSTEM_FOLDERS: [&str; 5] = ["dev", "out", "proc", "sys", "tmp"];

/// Calls `check` with the names of an absolute path in its plain form: no name is empty, `.` or `..`.
fn is_plain(path: &str, check: impl FnOnce(&str, bool) -> bool) -> bool {
    let Some(names) = path.strip_prefix('/') else {
        return false;
    };
    let is_plain = names
        .split('/')
        .all(|name| !matches!(name, "" | "." | ".."));
    let (top, is_deeper) = names
        .split_once('/')
        .map_or((names, false), |(top, _)| (top, true));
    is_plain && check(top, is_deeper)
}

/// True if an input may be mapped at a path: absolute, in its plain form, not `/in` itself and not at or below one of
/// [`SYSTEM_FOLDERS`].
// Rule C10.
#[must_use]
pub fn is_input_target(path: &str) -> bool {
    is_plain(path, |top, is_deeper| {
        !SYSTEM_FOLDERS.contains(&top) && (is_deeper || top != "in")
    })
}

/// True if an output may be written at a path: absolute, in its plain form, below `/out/`.
// Rule C10.
#[must_use]
pub fn is_output_path(path: &str) -> bool {
    is_plain(path, |top, is_deeper| top == "out" && is_deeper)
}

/// Environment keys that begin with this are the network's.
pub const RESERVED_ENVIRONMENT_PREFIX: &str = "GRIDPROOF_TASK_";

/// True if a job may set an environment key: it is not empty, holds no equals sign, and is not the network's.
// Rule C10.
#[must_use]
pub fn is_environment_key(key: &str) -> bool {
    !key.is_empty() && !key.contains('=') && !key.starts_with(RESERVED_ENVIRONMENT_PREFIX)
}

/// Units of fuel per byte of a module: about what compiling it costs at the speed of one unit per nanosecond.
pub const FUEL_PER_MODULE_BYTE: u64 = 64;

/// What a partner offers: keys, price, places and attributes.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerProfile {
    /// Name for people; no rule reads it.
    pub name: Name,
    /// The engine classes that it runs, at least one: several where one class takes over from another.
    pub classes: BTreeSet<EngineClass>,
    /// Key with which the partner proves its sortitions.
    pub vrf_key: VrfPublicKey,
    /// Minimum price per million units of fuel, in base units.
    pub ask: Amount,
    /// Places: jobs that it runs as primary at the same time; 0 pauses it.
    pub places: u16,
    /// Location, jurisdiction, hardware, PUE, energy source, heat re-use, ...
    pub attributes: BTreeMap<Name, Name>,
}

impl PartnerProfile {
    /// True if the counts are within their limits.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.attributes.len() <= MAX_ATTRIBUTES
    }

    /// True if the partner takes no new duty: no draw finds it, and snapshots leave it out.
    // Rule C30.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.places == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::{SQUARE, TaskIndex};
    use crate::testing;

    /// A chain of 3 tasks with two outputs, of which it hands on the second.
    fn chain() -> JobSpec {
        let mut spec = testing::job_spec(testing::workload(b"module", 3));
        let output = |name: &str| Output {
            name: Name::new(name).unwrap(),
            path: GuestPath::new(format!("/out/{name}")).unwrap(),
        };
        spec.workload.outputs = Bounded::new(vec![output("log"), output("state")]).unwrap();
        spec.workload.state = StateOutputs(Bounded::new(vec![1]).unwrap());
        spec
    }

    #[test]
    fn a_chain_runs_all_of_two_tasks_or_more_and_hands_on_outputs() {
        assert_eq!(chain().check_chain(), Ok(()));
        let flaw = |change: fn(&mut JobSpec)| {
            let mut spec = chain();
            change(&mut spec);
            spec.check_chain().unwrap_err()
        };
        let one = |spec: &mut JobSpec| spec.workload.tasks = TaskSet::all(1);
        assert_eq!(flaw(one), ChainFlaw::TooShort(1));
        let named = |spec: &mut JobSpec| {
            let indices = [TaskIndex(0), TaskIndex(2)];
            spec.workload.tasks = TaskSet::named(3, &indices).unwrap();
        };
        assert_eq!(flaw(named), ChainFlaw::NamedTasks);
        let beyond = |spec: &mut JobSpec| {
            spec.workload.state = StateOutputs(Bounded::new(vec![0, 2]).unwrap());
        };
        assert_eq!(flaw(beyond), ChainFlaw::BadState(2));
        let again = |spec: &mut JobSpec| {
            spec.workload.state = StateOutputs(Bounded::new(vec![1, 1]).unwrap());
        };
        assert_eq!(flaw(again), ChainFlaw::BadState(1));
        let (task, value) = (Amount(1), SQUARE);
        let cheaper = |spec: &mut JobSpec| spec.verification.task_value_at_risk = Amount(1);
        assert_eq!(flaw(cheaper), ChainFlaw::BadTaskValue { task, value });
    }

    #[test]
    fn no_input_of_a_chain_lies_where_its_tasks_find_their_state() {
        for (target, is_free) in [
            ("/in/state", false),
            ("/in/state/log", false),
            ("/in/states", true),
            ("/in/data/state", true),
        ] {
            let mut spec = chain();
            let input = Input {
                blob: BlobId::of(b"data"),
                target: GuestPath::new(target).unwrap(),
            };
            spec.workload.inputs = Bounded::new(vec![input]).unwrap();
            assert_eq!(spec.check_chain().is_ok(), is_free, "{target}");
            spec.workload.state = StateOutputs::default();
            assert_eq!(spec.check_chain(), Ok(()), "an array has no such folder");
        }
    }

    #[test]
    fn inputs_and_outputs_have_places_of_their_own() {
        for path in [
            "/in/a",
            "/in/a/b",
            "/share/yosys/a",
            "/a",
            "/input",
            "/outer/a",
            "/a/out/b",
        ] {
            assert!(is_input_target(path) && !is_output_path(path), "{path}");
        }
        assert!(is_output_path("/out/a") && is_output_path("/out/out/b"));
        for path in [
            "",
            "/",
            "a",
            "in/a",
            "/in",
            "/in/",
            "//a",
            "/a/",
            "/a//b",
            "/a/../b",
            "/./a",
            "/in/..",
            "/out",
            "/out/a/",
            "/tmp",
            "/tmp/a",
            "/dev/null",
            "/proc/a",
            "/sys/a",
        ] {
            assert!(!is_input_target(path) && !is_output_path(path), "{path}");
        }
        assert!(!is_input_target("/out/a"));
    }
}
