//! What parent and child say to each other. Both are the same build, so the format is not frozen.

use borsh::{BorshDeserialize, BorshSerialize};
use types::codec::Bounded;
use types::hash::{BlobId, Hash32};
use types::job::{TaskState, Workload};
use types::limits::{MAX_INPUTS, MAX_OUTPUTS, MAX_STATE_OUTPUTS, MAX_TASKS};
use types::number::TaskIndex;

use super::clock::CompileTime;
use crate::cage::CageReport;
use crate::class::Compiler;
use crate::no_result::NoResult;
use crate::task::TaskRun;

/// Largest encoded request: a workload fits a transaction, paths and tasks are bounded.
pub(super) const MAX_REQUEST_BYTES: u64 = 4 << 20;
/// Most files that a child opens: module, stdin, inputs and a state.
const MAX_FILES: usize = MAX_INPUTS + 2 + MAX_STATE_OUTPUTS;
/// Bytes of an answer beside what the task wrote.
pub(super) const ANSWER_OVERHEAD: u64 = 64 << 10;

/// What a child is started for.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub(super) enum WorkerRequest {
    /// To run tasks.
    Run(Box<TaskRequest>),
    /// To enter the cage, say which layers of it this machine gives, and end.
    Inspect,
}

/// The job, and what the child grants itself for it.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub(super) struct TaskRequest {
    /// Workload of the job, as the chain holds it.
    pub(super) workload: Workload,
    /// The tasks to run, in this order.
    pub(super) tasks: Bounded<TaskIndex, MAX_TASKS>,
    /// What the task before the first of these left.
    pub(super) state: TaskState,
    /// Draws the fuel point of each task's witness.
    pub(super) witness_draw: Option<Hash32>,
    /// Module, stdin, inputs and state with the files that hold their bytes.
    pub(super) files: Bounded<(BlobId, String), MAX_FILES>,
    /// What compiles the module.
    pub(super) compiler: Compiler,
    /// How long the optimising compiler may take.
    pub(super) compile: CompileTime,
    /// Whether compiled code is used and given back.
    pub(super) code: Option<CodeRequest>,
    /// Private memory that the child may have, in bytes.
    pub(super) data_bytes: u64,
    /// Processor time that the child may take.
    pub(super) cpu_seconds: u64,
    /// True if the tasks may run where the filter of system calls is missing.
    pub(super) may_lack_seccomp: bool,
}

/// That the child is to use compiled code, and to give back what it compiled.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub(super) struct CodeRequest {
    /// The file that holds the code of this module, class and build, if there is one.
    pub(super) file: Option<String>,
}

/// One answer of the worker process. Whoever stands between a parent and its child reads these.
#[derive(Debug, Clone, BorshSerialize, BorshDeserialize)]
pub enum ChildAnswer {
    /// The module's compiled code, where it is asked for and was not there. It comes before [`ChildAnswer::Prepared`] or
    /// never: later the program has run.
    Code(Vec<u8>),
    /// The module is compiled and the inputs are loaded.
    Prepared,
    /// The optimising compiler has used up the time that the job pays for; another worker may use the other compiler. It comes
    /// instead of [`ChildAnswer::Prepared`].
    CompileLate,
    /// A task has ended.
    Task(TaskIndex, Box<TaskRun>),
    /// There will be no more results.
    NoResult(NoResult),
    /// The layers of the cage that are held.
    Cage(CageReport),
}

/// Largest encoded answer for a workload.
pub(super) fn max_answer_bytes(workload: &Workload) -> u64 {
    let outputs = u64::try_from(MAX_OUTPUTS).unwrap_or(u64::MAX);
    workload
        .limits
        .output_bytes
        .saturating_add(ANSWER_OVERHEAD)
        .saturating_add(outputs * 64)
}

#[cfg(test)]
mod tests {
    use types::codec::encode;
    use types::testing::fuzz::fuzz_canonical;
    use types::testing::workload;

    use super::*;

    #[test]
    fn fuzz_what_parent_and_worker_say() {
        let request = TaskRequest {
            workload: workload(b"module", 3),
            tasks: Bounded::new(vec![TaskIndex(0), TaskIndex(2)]).unwrap(),
            state: Bounded::new(vec![None, Some(BlobId::of(b"a"))]).unwrap(),
            witness_draw: Some(Hash32([1; 32])),
            files: Bounded::new(vec![(BlobId::of(b"a"), "/a".to_owned())]).unwrap(),
            compiler: Compiler::Optimizing,
            compile: CompileTime {
                least_milliseconds: 1,
                nanoseconds_per_unit: 1,
            },
            code: Some(CodeRequest { file: None }),
            data_bytes: 1 << 20,
            cpu_seconds: 1,
            may_lack_seccomp: false,
        };
        let requests = [
            WorkerRequest::Inspect,
            WorkerRequest::Run(Box::new(request)),
        ];
        let seeds = requests.iter().map(encode).collect();
        fuzz_canonical::<WorkerRequest>("worker request", seeds, 4 << 20);
        let answers = [
            ChildAnswer::Prepared,
            ChildAnswer::CompileLate,
            ChildAnswer::Code(vec![1, 2, 3]),
            ChildAnswer::NoResult(NoResult::Cancelled),
        ];
        let seeds = answers.iter().map(encode).collect();
        fuzz_canonical::<ChildAnswer>("worker answer", seeds, 1 << 20);
    }
}
