//! The ends of a run that say something about this host, never about the program: they are not attested.
//!
//! The child of a worker sends them to its parent in this form.

use borsh::{BorshDeserialize, BorshSerialize};
use rustix::process::Signal;
use types::hash::BlobId;
use types::limits::MAX_TASKS;
use types::number::{EngineClass, Fuel, TaskIndex};

use crate::cage::LayerGap;
use crate::limiter::HostRefused;

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum NoResult {
    /// This build or machine has no such engine class.
    #[error("this machine cannot run engine class {class}")]
    Class {
        /// Engine class that the workload asks for.
        class: EngineClass,
    },
    /// Floats of this process are not IEEE 754's.
    #[error(
        "floats of this process are not IEEE 754's: {problem}; something changed its control register"
    )]
    Floats {
        /// The rule that they break.
        problem: FloatProblem,
    },
    /// The workload is one that no chain admits, or the program is not the workload's.
    #[error("the workload is not valid: {0}")]
    Workload(WorkloadFlaw),
    /// An input could not be read, or is not the blob that the workload names.
    #[error("input {} of {} bytes cannot be used: {problem}", blob.hash, blob.length)]
    Input {
        /// The blob that the workload names.
        blob: BlobId,
        /// The problem with its bytes.
        problem: InputProblem,
    },
    /// The host refused memory that the task may use.
    #[error("this machine has not enough memory for {step}: {message}")]
    HostMemory {
        /// The step that needed the memory.
        step: HostStep,
        /// Message of the operating system, for the operator.
        message: String,
    },
    /// The engine failed in a way that says nothing about the program.
    #[error("the engine failed at {step}: {message}")]
    Engine {
        /// The step that failed.
        step: HostStep,
        /// Message of the engine, for the operator.
        message: String,
    },
    /// The filter of system calls is missing, and the caller did not allow that.
    #[error("the worker's cage has no filter of system calls: {0}")]
    NotCaged(LayerGap),
    /// The worker could not be started.
    #[error("the worker {program} cannot be started: {message}")]
    Start {
        /// Path of the worker's program.
        program: String,
        /// Message of the operating system, for the operator.
        message: String,
    },
    /// The worker took longer than it may and was killed.
    #[error("killed after {milliseconds} ms without an answer")]
    TimedOut {
        /// The time that it may take for one answer.
        milliseconds: u64,
    },
    /// The worker was killed on purpose.
    #[error("cancelled")]
    Cancelled,
    /// The worker ended without an answer.
    #[error("the worker ended without an answer ({0})")]
    Crashed(ProcessEnd),
    /// The worker's answer breaks a rule of their conversation.
    #[error("the worker's answer is not understood: {0}")]
    Garbled(AnswerFlaw),
}

impl NoResult {
    /// The kind of cause, in one word for counts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Class { .. } => "class",
            Self::Floats { .. } => "floats",
            Self::Workload(_) => "workload",
            Self::Input { .. } => "input",
            Self::HostMemory { .. } => "host_memory",
            Self::Engine { .. } => "engine",
            Self::NotCaged(_) => "not_caged",
            Self::Start { .. } => "start",
            Self::TimedOut { .. } => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Crashed(_) => "crashed",
            Self::Garbled(_) => "garbled",
        }
    }
}

/// A rule of IEEE 754 that a processor's control register switches off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum FloatProblem {
    /// A result below the normal numbers becomes zero.
    #[error("small results are flushed to zero")]
    ResultsFlushed,
    /// An operand below the normal numbers counts as zero.
    #[error("small operands count as zero")]
    OperandsFlushed,
    /// Results are not rounded to the nearest number.
    #[error("results are not rounded to the nearest")]
    Rounding,
}

/// The rule that a workload breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum WorkloadFlaw {
    /// An input's target is not a path where an input may be, or lies at or below another input's.
    #[error(
        "input target {target:?} is not a path of its own outside /out and the system's folders"
    )]
    InputTarget {
        /// The target in the workload.
        target: String,
    },
    /// An output's path is not below `/out/`.
    #[error("output path {path:?} is not a path below /out/")]
    OutputPath {
        /// The path in the workload.
        path: String,
    },
    /// The program was compiled from another module than the workload's.
    #[error("the program is module {}, the workload names {}", program.hash, workload.hash)]
    OtherModule {
        /// The module that was compiled.
        program: BlobId,
        /// The module that the workload names.
        workload: BlobId,
    },
    /// The module was not compiled, because another workload could not pay for it.
    #[error("module {} was prepared for a workload with a lower fuel limit", program.hash)]
    NotCompiled {
        /// Module that the program was compiled from.
        program: BlobId,
    },
    /// Tasks of a chain are asked for that do not follow each other.
    #[error("task {0} is asked for and not the one before it, whose state it begins with")]
    NotInARow(TaskIndex),
    /// A task of a chain is to begin with too few files, or too many.
    #[error("task {task} begins with {expected} files of a state, {found} are given")]
    OtherState {
        /// The first task that is asked for.
        task: TaskIndex,
        /// Number of files in the request.
        found: u64,
        /// Outputs of the state; none before the first task and where tasks are independent.
        expected: u64,
    },
    /// More tasks are asked for than a job has.
    #[error("{found} tasks where at most {MAX_TASKS} are allowed")]
    TooManyTasks {
        /// Number of tasks asked for.
        found: u64,
    },
}

/// The problem with the bytes of an input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum InputProblem {
    /// The caller named no file for the blob.
    #[error("no file was named for it")]
    NotNamed,
    /// The path of the file is empty.
    #[error("its path is empty")]
    EmptyPath,
    /// The path of the file is not UTF-8.
    #[error("its path is not UTF-8")]
    PathNotUtf8,
    /// The file cannot be read.
    #[error("{path}: {message}")]
    Unreadable {
        /// Path of the file.
        path: String,
        /// Message of the operating system, for the operator.
        message: String,
    },
    /// The file has another length than the blob.
    #[error("{path} has {found} bytes")]
    OtherLength {
        /// Path of the file.
        path: String,
        /// Length of the file, in bytes.
        found: u64,
    },
    /// The bytes have another hash or length than the blob.
    #[error("its bytes are blob {} of {} bytes", .0.hash, .0.length)]
    OtherBytes(BlobId),
}

/// A step of running a task that needs something of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum HostStep {
    /// Making an engine and compiling the empty module.
    #[error("making the engine")]
    MakeEngine,
    /// Preparing the module for its class: what the pass wrote is not valid.
    #[error("preparing the module")]
    Prepare,
    /// Compiling and linking the module.
    #[error("compiling the module")]
    Compile,
    /// Starting the thread that runs guest code.
    #[error("starting the task's thread")]
    StartThread,
    /// Instantiating the module and running it.
    #[error("running the task")]
    Run,
}

/// How a worker's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum ProcessEnd {
    /// It exited by itself.
    #[error("exit code {0}")]
    Exited(i32),
    /// A signal killed it; the number is the system's.
    #[error("killed by signal {0}")]
    Killed(i32),
    /// It ended, and the system does not say how.
    #[error("unknown end")]
    Unknown,
}

impl ProcessEnd {
    /// True if the system ended the process for what it did: it aborted, broke a rule of the processor or of memory, or
    /// used up its processor time. Other signals are sent by somebody else: a system that is short of memory, or an
    /// operator.
    #[must_use]
    pub fn is_own_doing(self) -> bool {
        const OWN: [Signal; 6] = [
            Signal::ABORT,
            Signal::BUS,
            Signal::FPE,
            Signal::ILL,
            Signal::SEGV,
            Signal::XCPU,
        ];
        matches!(self, Self::Killed(number) if OWN.iter().any(|signal| signal.as_raw() == number))
    }
}

/// The rule that a worker's answer breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
pub enum AnswerFlaw {
    /// A frame is announced longer than any answer to this job.
    #[error("a frame of {found} bytes where at most {limit} are allowed")]
    TooLong {
        /// Length announced, in bytes.
        found: u64,
        /// Maximum length, in bytes.
        limit: u64,
    },
    /// A frame is no answer.
    #[error("a frame of {bytes} bytes that does not decode")]
    Undecodable {
        /// Length of the frame.
        bytes: u64,
    },
    /// A result came before the worker said that the module is compiled.
    #[error("a result of task {0} before the module was prepared")]
    NotPrepared(TaskIndex),
    /// An answer to another request than the one that was made.
    #[error("an answer to what was not asked")]
    NotAsked,
    /// Another answer came than the result of the next task.
    #[error("another answer where the result of task {0} was expected")]
    OtherAnswer(TaskIndex),
    /// The bytes of a result are not those that its outcome names.
    #[error("a result of task {0} whose bytes are not those that its outcome names")]
    Inconsistent(TaskIndex),
    /// A result has another number of outputs than the workload declares.
    #[error("{found} outputs of task {task} where {declared} are declared")]
    OutputCount {
        /// Index of the task in the job.
        task: TaskIndex,
        /// Outputs in the result.
        found: u64,
        /// Outputs that the workload declares.
        declared: u64,
    },
    /// A result claims more fuel than the limit.
    #[error("fuel of {fuel} of task {task} above the limit {limit}")]
    FuelAboveLimit {
        /// Index of the task in the job.
        task: TaskIndex,
        /// Fuel in the outcome.
        fuel: Fuel,
        /// Fuel limit of the workload.
        limit: Fuel,
    },
}

/// An error of the engine that says something about this host, never about the program.
pub(crate) fn host_error(step: HostStep, error: &wasmtime::Error) -> NoResult {
    let message = format!("{error:#}");
    let is_memory = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<HostRefused>()
            || cause.is::<wasmtime::OutOfMemory>()
            || cause.is::<std::io::Error>()
            || cause.is::<rustix::io::Errno>()
    };
    if error.chain().any(is_memory) {
        NoResult::HostMemory { step, message }
    } else {
        NoResult::Engine { step, message }
    }
}
