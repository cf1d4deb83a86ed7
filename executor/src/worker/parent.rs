//! The parent's side of the conversation: asks the child, checks its answers, and asks a second child where the first one's compiler
//! takes too long.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use types::codec::{Bounded, decode, encode};
use types::number::TaskIndex;

use super::frame::{self, PipeError};
use super::process::{ChildProcess, WorkerCommand, WorkerKiller};
use super::protocol::{
    ANSWER_OVERHEAD, ChildAnswer, CodeRequest, TaskRequest, WorkerRequest, max_answer_bytes,
};
use super::{WorkerJob, WorkerLimits};
use crate::cage::CageReport;
use crate::class::Compiler;
use crate::code::max_code_bytes;
use crate::no_result::{AnswerFlaw, InputProblem, NoResult, WorkloadFlaw};
use crate::task::TaskRun;

/// A running worker process. Dropping it kills the worker.
#[derive(Debug)]
pub struct WorkerHandle {
    /// What it was started with, for a second worker.
    command: WorkerCommand,
    limits: WorkerLimits,
    process: ChildProcess,
    preparation: PreparationTime,
}

/// How long a worker took to compile its module and load its inputs, as far as it did; shared with whoever started it.
#[derive(Debug, Clone, Default)]
pub struct PreparationTime(Arc<AtomicU64>);

impl PreparationTime {
    /// The time so far; that of a compiler which took too long included.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

/// Compiled code of a job's module, from an earlier worker and for later ones.
pub struct CodeExchange<'a> {
    /// The file that holds what an earlier worker gave for the same module, class and build of the worker; one that is not
    /// there, or is damaged, costs time only.
    pub file: Option<&'a Path>,
    /// Takes what is to be kept under these three, once at most, before any task runs.
    pub keep: &'a mut dyn FnMut(Vec<u8>),
}

impl WorkerHandle {
    /// Starts `binary` with `arguments`, which must end up in [`super::main`] (`gridproof worker`). The child sees no
    /// environment.
    pub fn spawn(
        binary: &Path,
        arguments: &[&str],
        limits: WorkerLimits,
    ) -> Result<Self, NoResult> {
        let command = WorkerCommand {
            binary: binary.to_owned(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        };
        let process = ChildProcess::start(&command, limits.wall, WorkerKiller::default())?;
        Ok(Self {
            command,
            limits,
            process,
            preparation: PreparationTime::default(),
        })
    }

    /// Another worker in place of this one, which is ended first: under the same limits, killed by the same killer.
    fn again(mut self) -> Result<Self, NoResult> {
        let killer = self.process.killer();
        self.process.end();
        self.process = ChildProcess::start(&self.command, self.limits.wall, killer)?;
        Ok(self)
    }

    /// The worker's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What kills this worker.
    #[must_use]
    pub fn killer(&self) -> WorkerKiller {
        self.process.killer()
    }

    /// How long it takes to prepare its job.
    #[must_use]
    pub fn preparation(&self) -> PreparationTime {
        self.preparation.clone()
    }

    /// Runs the job and gives each task's run to `each` as it ends, in the job's order. Blocks; the worker ends with
    /// it. An error of `each` ends the job. Gives the compiler that made the job's code: where the optimising one takes more time than
    /// the job pays for, a second worker takes the place of the first, with the baseline compiler.
    pub fn run_job(
        self,
        job: &WorkerJob,
        each: impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<Compiler, NoResult> {
        self.run_job_with_code(job, None, each)
    }

    /// The same with compiled code that is kept between jobs.
    pub fn run_job_with_code(
        mut self,
        job: &WorkerJob,
        mut code: Option<CodeExchange<'_>>,
        mut each: impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<Compiler, NoResult> {
        match self.converse(job, Compiler::Optimizing, code.as_mut(), &mut each) {
            Err(Interruption::CompileLate) => {
                let mut second = self.again()?;
                let result = second.converse(job, Compiler::Baseline, None, &mut each);
                second.settle(result)?;
                Ok(Compiler::Baseline)
            }
            result => {
                self.settle(result)?;
                Ok(Compiler::Optimizing)
            }
        }
    }

    /// Asks the worker which layers of the cage it enters on this machine. It ends with that.
    pub fn inspect(mut self) -> Result<CageReport, NoResult> {
        // A child that has ended shows when its answer is read.
        let _written = frame::write(&mut self.process.stdin, &encode(&WorkerRequest::Inspect));
        let result = match self.answer(ANSWER_OVERHEAD) {
            Ok(ChildAnswer::Cage(report)) => Ok(report),
            Ok(ChildAnswer::NoResult(reason)) => Err(Interruption::Said(reason)),
            Ok(_) => Err(Interruption::Garbled(AnswerFlaw::NotAsked)),
            Err(interruption) => Err(interruption),
        };
        self.settle(result)
    }

    /// Ends the worker and says why its conversation ended early, if it did.
    fn settle<T>(mut self, result: Result<T, Interruption>) -> Result<T, NoResult> {
        let end = self.process.end();
        match result {
            Ok(value) => Ok(value),
            Err(Interruption::Said(reason)) => Err(reason),
            Err(_) if self.process.is_cancelled() => Err(NoResult::Cancelled),
            Err(_) if end.timed_out => {
                let milliseconds = u64::try_from(self.limits.wall.as_millis()).unwrap_or(u64::MAX);
                Err(NoResult::TimedOut { milliseconds })
            }
            Err(Interruption::Silent) => Err(NoResult::Crashed(end.end)),
            Err(Interruption::CompileLate) => Err(NoResult::Garbled(AnswerFlaw::NotAsked)),
            Err(Interruption::Garbled(flaw)) => Err(NoResult::Garbled(flaw)),
        }
    }

    fn converse(
        &mut self,
        job: &WorkerJob,
        compiler: Compiler,
        code: Option<&mut CodeExchange<'_>>,
        each: &mut impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<(), Interruption> {
        let request = request(job, compiler, code.as_deref(), &self.limits);
        let request = request.map_err(Interruption::Said)?;
        // A child that has ended shows when its answer is read.
        let request = WorkerRequest::Run(Box::new(request));
        let _written = frame::write(&mut self.process.stdin, &encode(&request));
        let limit = max_answer_bytes(&job.workload);
        let begun = Instant::now();
        let prepared = self.prepared(job, code, limit);
        self.preparation.add(begun.elapsed());
        match prepared? {
            ChildAnswer::Prepared => {}
            ChildAnswer::NoResult(reason) => return Err(Interruption::Said(reason)),
            ChildAnswer::Task(index, _) => {
                return Err(Interruption::Garbled(AnswerFlaw::NotPrepared(index)));
            }
            ChildAnswer::CompileLate if compiler == Compiler::Optimizing => {
                return Err(Interruption::CompileLate);
            }
            ChildAnswer::Cage(_) | ChildAnswer::Code(_) | ChildAnswer::CompileLate => {
                return Err(Interruption::Garbled(AnswerFlaw::NotAsked));
            }
        }
        for task in &job.tasks {
            match self.answer(limit)? {
                ChildAnswer::Task(index, run) if index == *task => {
                    check(job, index, &run).map_err(Interruption::Garbled)?;
                    each(index, *run).map_err(Interruption::Said)?;
                    self.process.beat();
                }
                ChildAnswer::NoResult(reason) => return Err(Interruption::Said(reason)),
                _ => {
                    return Err(Interruption::Garbled(AnswerFlaw::OtherAnswer(*task)));
                }
            }
        }
        Ok(())
    }

    /// The answer that follows the module's code, if that comes. The code is taken before anything has run.
    fn prepared(
        &mut self,
        job: &WorkerJob,
        code: Option<&mut CodeExchange<'_>>,
        limit: u64,
    ) -> Result<ChildAnswer, Interruption> {
        let Some(code) = code else {
            return self.answer(limit);
        };
        let code_limit = max_code_bytes(job.workload.module);
        let with_code = limit.max(code_limit.saturating_add(ANSWER_OVERHEAD));
        match self.answer(with_code)? {
            ChildAnswer::Code(kept) if wide(kept.len()) <= code_limit => {
                (code.keep)(kept);
                self.answer(limit)
            }
            other => Ok(other),
        }
    }

    /// The next answer, of at most `limit` bytes.
    fn answer(&mut self, limit: u64) -> Result<ChildAnswer, Interruption> {
        let bytes = match frame::read(&mut self.process.stdout, limit) {
            Ok(Some(bytes)) => bytes,
            Err(PipeError::TooLong { found, limit }) => {
                return Err(Interruption::Garbled(AnswerFlaw::TooLong { found, limit }));
            }
            Ok(None) | Err(PipeError::Io(_)) => return Err(Interruption::Silent),
        };
        self.process.beat();
        decode(&bytes, bytes.len()).map_err(|_| {
            let bytes = wide(bytes.len());
            Interruption::Garbled(AnswerFlaw::Undecodable { bytes })
        })
    }
}

/// Why the conversation ended early.
enum Interruption {
    /// One side said why.
    Said(NoResult),
    /// The worker closed its pipe without an answer.
    Silent,
    /// The optimising compiler has used up its time.
    CompileLate,
    /// An answer was not understood.
    Garbled(AnswerFlaw),
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn request(
    job: &WorkerJob,
    compiler: Compiler,
    code: Option<&CodeExchange<'_>>,
    limits: &WorkerLimits,
) -> Result<TaskRequest, NoResult> {
    check_tasks(job)?;
    let mut files = Vec::new();
    let state = job.state.iter().flatten().copied();
    let blobs: BTreeSet<_> = job.workload.blobs().into_iter().chain(state).collect();
    for blob in blobs {
        let refused = |problem| NoResult::Input { blob, problem };
        let path = job
            .files
            .get(&blob)
            .ok_or_else(|| refused(InputProblem::NotNamed))?;
        let path = std::path::absolute(path).map_err(|_| refused(InputProblem::EmptyPath))?;
        let path = path.into_os_string().into_string();
        files.push((blob, path.map_err(|_| refused(InputProblem::PathNotUtf8))?));
    }
    let code = code.map(|code| CodeRequest {
        // A path that cannot be said is as if there was no file.
        file: code.file.and_then(|file| {
            let path = std::path::absolute(file).ok()?;
            path.into_os_string().into_string().ok()
        }),
    });
    let found = wide(job.tasks.len());
    let too_many = |_| NoResult::Workload(WorkloadFlaw::TooManyTasks { found });
    Ok(TaskRequest {
        workload: job.workload.clone(),
        tasks: Bounded::new(job.tasks.clone()).map_err(too_many)?,
        state: job.state.clone(),
        witness_draw: job.witness_draw,
        files: Bounded::new(files)
            .expect("a workload names a module, stdin and its inputs, a state its files"),
        compiler,
        compile: limits.compile,
        code,
        data_bytes: limits.data_bytes,
        cpu_seconds: limits.cpu.as_secs().saturating_add(1),
        may_lack_seccomp: limits.may_lack_seccomp,
    })
}

/// Refuses tasks of a chain that do not follow each other, and a first one that is to begin with no state of its kind.
// Rule C79.
fn check_tasks(job: &WorkerJob) -> Result<(), NoResult> {
    let first = job.tasks.first().copied().unwrap_or_default();
    let expected = if first == TaskIndex(0) {
        0
    } else {
        wide(job.workload.state.0.len())
    };
    let found = wide(job.state.len());
    if found != expected {
        return Err(NoResult::Workload(WorkloadFlaw::OtherState {
            task: first,
            found,
            expected,
        }));
    }
    if !job.workload.state.is_chain() {
        return Ok(());
    }
    let pairs = job.tasks.iter().zip(job.tasks.iter().skip(1));
    let follows = |before: &TaskIndex, task: &TaskIndex| before.0.checked_add(1) == Some(task.0);
    let mut gaps = pairs.filter(|(before, task)| !follows(before, task));
    match gaps.next() {
        Some((_, task)) => Err(NoResult::Workload(WorkloadFlaw::NotInARow(*task))),
        None => Ok(()),
    }
}

/// Checks an answer as if a stranger had given it.
fn check(job: &WorkerJob, task: TaskIndex, run: &TaskRun) -> Result<(), AnswerFlaw> {
    if !run.is_consistent() || run.witness.is_some() != job.witness_draw.is_some() {
        return Err(AnswerFlaw::Inconsistent(task));
    }
    let (found, declared) = (wide(run.outputs.len()), wide(job.workload.outputs.len()));
    if found != declared {
        return Err(AnswerFlaw::OutputCount {
            task,
            found,
            declared,
        });
    }
    let (fuel, limit) = (run.outcome.fuel, job.workload.limits.fuel);
    if fuel > limit {
        return Err(AnswerFlaw::FuelAboveLimit { task, fuel, limit });
    }
    Ok(())
}
