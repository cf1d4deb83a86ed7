//! The parent's side: starts the child, watches its time, checks its answers.
//!
//! A thread of its own starts the child and lives as long as it does: the child's parent-death signal is bound to the
//! thread that started it. The same thread is the watchdog.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use types::codec::{Bounded, decode, encode};
use types::number::TaskIndex;

use super::frame::{self, PipeError};
use super::protocol::{
    ANSWER_OVERHEAD, ChildAnswer, CodeRequest, TaskRequest, WorkerRequest, max_answer_bytes,
};
use super::{WorkerJob, WorkerLimits};
use crate::cage::CageReport;
use crate::code::max_code_bytes;
use crate::no_result::{AnswerFlaw, InputProblem, NoResult, ProcessEnd, WorkloadFlaw};
use crate::task::TaskRun;

/// A running worker process. Dropping it kills the worker.
#[derive(Debug)]
pub struct WorkerHandle {
    limits: WorkerLimits,
    process: u32,
    stdin: ChildStdin,
    stdout: ChildStdout,
    killer: WorkerKiller,
    watch: Watchdog,
}

/// Compiled code of a job's module, from an earlier worker and for later ones.
pub struct CodeExchange<'a> {
    /// The file that holds what an earlier worker gave for the same module, class and build of the worker; one that is not
    /// there, or is damaged, costs time only.
    pub file: Option<&'a Path>,
    /// Takes what is to be kept under these three, once at most, before any task runs.
    pub keep: &'a mut dyn FnMut(Vec<u8>),
}

/// Kills a worker from another thread.
#[derive(Debug, Clone)]
pub struct WorkerKiller {
    cancelled: Arc<AtomicBool>,
    child: Arc<Mutex<Option<Child>>>,
}

/// The thread that waits for the child.
#[derive(Debug)]
struct Watchdog {
    /// Each message says that an answer came; dropping it says that no more is wanted.
    beats: Option<Sender<()>>,
    thread: Option<JoinHandle<ChildExit>>,
}

/// How the child ended.
#[derive(Debug)]
struct ChildExit {
    timed_out: bool,
    end: ProcessEnd,
}

impl WorkerKiller {
    /// Kills the worker; what it was doing ends as [`NoResult::Cancelled`].
    pub fn kill(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.kill_child();
    }

    fn kill_child(&self) {
        if let Some(child) = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            kill_group(child);
        }
    }
}

/// Kills a child and all that it started. It must not have been waited for, so that its number is still its own.
fn kill_group(child: &mut Child) {
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // Errors mean that there is no such group yet, or that it has ended by itself, which is as good.
    let _none = leader.map(|leader| kill_process_group(leader, Signal::KILL));
    let _ended = child.kill();
}

impl Watchdog {
    /// Ends the child, if it has not ended, and says how it did.
    fn end(&mut self) -> ChildExit {
        self.beats = None;
        let joined = self.thread.take().map(JoinHandle::join);
        match joined {
            Some(Ok(end)) => end,
            _ => ChildExit {
                timed_out: false,
                end: ProcessEnd::Unknown,
            },
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

/// What the starting thread gives back.
type Started = Result<(u32, ChildStdin, ChildStdout), String>;

fn start(binary: &Path, arguments: &[String], started: &Mutex<Option<Child>>) -> Started {
    let mut child = Command::new(binary)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What a job can make it write belongs neither into a log nor onto a terminal.
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (process, stdin, stdout) = (child.id(), child.stdin.take(), child.stdout.take());
    *started.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    let (stdin, stdout) = stdin.zip(stdout).ok_or("it has no pipes")?;
    Ok((process, stdin, stdout))
}

/// Waits until no more answers are wanted or one takes too long; then the child is gone.
fn watch(killer: &WorkerKiller, wall: Duration, beats: &Receiver<()>) -> ChildExit {
    let timed_out = loop {
        match beats.recv_timeout(wall) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    let mut child = killer.child.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut child) = child.take() else {
        return ChildExit {
            timed_out,
            end: ProcessEnd::Unknown,
        };
    };
    // One that ends by itself keeps the end that it has.
    kill_group(&mut child);
    let end = child.wait().map_or(ProcessEnd::Unknown, process_end);
    ChildExit { timed_out, end }
}

fn process_end(status: ExitStatus) -> ProcessEnd {
    let exited = status.code().map(ProcessEnd::Exited);
    let killed = status.signal().map(ProcessEnd::Killed);
    exited.or(killed).unwrap_or(ProcessEnd::Unknown)
}

impl WorkerHandle {
    /// Starts `binary` with `arguments`, which must end up in [`super::main`] (`gridproof worker`). The child sees no
    /// environment.
    pub fn spawn(
        binary: &Path,
        arguments: &[&str],
        limits: WorkerLimits,
    ) -> Result<Self, NoResult> {
        let killer = WorkerKiller {
            cancelled: Arc::default(),
            child: Arc::default(),
        };
        let (beats, beaten) = channel();
        let (started, start_result) = channel::<Started>();
        let program = binary.display().to_string();
        let failed = |message: String| NoResult::Start {
            program: program.clone(),
            message,
        };
        let (binary, wall, thread_killer) = (binary.to_owned(), limits.wall, killer.clone());
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let thread = std::thread::Builder::new()
            .name("worker".into())
            .spawn(move || {
                // The receiver waits for exactly this message.
                let _sent = started.send(start(&binary, &arguments, &thread_killer.child));
                watch(&thread_killer, wall, &beaten)
            })
            .map_err(|error| failed(error.to_string()))?;
        let watch = Watchdog {
            beats: Some(beats),
            thread: Some(thread),
        };
        let pipes = start_result
            .recv()
            .unwrap_or_else(|_| Err("its thread ended".into()));
        let (process, stdin, stdout) = pipes.map_err(failed)?;
        Ok(Self {
            limits,
            process,
            stdin,
            stdout,
            killer,
            watch,
        })
    }

    /// The worker's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process
    }

    /// What kills this worker.
    #[must_use]
    pub fn killer(&self) -> WorkerKiller {
        self.killer.clone()
    }

    /// Runs the job and gives each task's run to `each` as it ends, in the job's order. Blocks; the worker ends with
    /// it. An error of `each` ends the job.
    pub fn run_job(
        self,
        job: &WorkerJob,
        each: impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<(), NoResult> {
        self.run_job_with_code(job, None, each)
    }

    /// The same with compiled code that is kept between jobs.
    pub fn run_job_with_code(
        mut self,
        job: &WorkerJob,
        code: Option<CodeExchange<'_>>,
        mut each: impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<(), NoResult> {
        let result = self.converse(job, code, &mut each);
        self.settle(result)
    }

    /// Asks the worker which layers of the cage it enters on this machine. It ends with that.
    pub fn inspect(mut self) -> Result<CageReport, NoResult> {
        // A child that has ended shows when its answer is read.
        let _written = frame::write(&mut self.stdin, &encode(&WorkerRequest::Inspect));
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
        let end = self.watch.end();
        match result {
            Ok(value) => Ok(value),
            Err(Interruption::Said(reason)) => Err(reason),
            Err(_) if self.killer.cancelled.load(Ordering::SeqCst) => Err(NoResult::Cancelled),
            Err(_) if end.timed_out => {
                let milliseconds = u64::try_from(self.limits.wall.as_millis()).unwrap_or(u64::MAX);
                Err(NoResult::TimedOut { milliseconds })
            }
            Err(Interruption::Silent) => Err(NoResult::Crashed(end.end)),
            Err(Interruption::Garbled(flaw)) => Err(NoResult::Garbled(flaw)),
        }
    }

    fn converse(
        &mut self,
        job: &WorkerJob,
        mut code: Option<CodeExchange<'_>>,
        each: &mut impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<(), Interruption> {
        let request = request(job, code.as_ref(), &self.limits).map_err(Interruption::Said)?;
        // A child that has ended shows when its answer is read.
        let request = WorkerRequest::Run(Box::new(request));
        let _written = frame::write(&mut self.stdin, &encode(&request));
        let limit = max_answer_bytes(&job.workload);
        match self.prepared(job, code.as_mut(), limit)? {
            ChildAnswer::Prepared => {}
            ChildAnswer::NoResult(reason) => return Err(Interruption::Said(reason)),
            ChildAnswer::Task(index, _) => {
                return Err(Interruption::Garbled(AnswerFlaw::NotPrepared(index)));
            }
            ChildAnswer::Cage(_) | ChildAnswer::Code(_) => {
                return Err(Interruption::Garbled(AnswerFlaw::NotAsked));
            }
        }
        for task in &job.tasks {
            match self.answer(limit)? {
                ChildAnswer::Task(index, run) if index == *task => {
                    check(job, index, &run).map_err(Interruption::Garbled)?;
                    each(index, *run).map_err(Interruption::Said)?;
                    self.beat();
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
        let bytes = match frame::read(&mut self.stdout, limit) {
            Ok(Some(bytes)) => bytes,
            Err(PipeError::TooLong { found, limit }) => {
                return Err(Interruption::Garbled(AnswerFlaw::TooLong { found, limit }));
            }
            Ok(None) | Err(PipeError::Io(_)) => return Err(Interruption::Silent),
        };
        self.beat();
        decode(&bytes, bytes.len()).map_err(|_| {
            let bytes = wide(bytes.len());
            Interruption::Garbled(AnswerFlaw::Undecodable { bytes })
        })
    }

    /// Tells the watchdog that an answer came.
    fn beat(&self) {
        if let Some(beats) = &self.watch.beats {
            let _sent = beats.send(());
        }
    }
}

/// Why the conversation ended early.
enum Interruption {
    /// One side said why.
    Said(NoResult),
    /// The worker closed its pipe without an answer.
    Silent,
    /// An answer was not understood.
    Garbled(AnswerFlaw),
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn request(
    job: &WorkerJob,
    code: Option<&CodeExchange<'_>>,
    limits: &WorkerLimits,
) -> Result<TaskRequest, NoResult> {
    let mut files = Vec::new();
    for blob in job.workload.blobs() {
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
        files: Bounded::new(files).expect("a workload names a module, stdin and its inputs"),
        code,
        data_bytes: limits.data_bytes,
        cpu_seconds: limits.cpu.as_secs().saturating_add(1),
        may_lack_seccomp: limits.may_lack_seccomp,
    })
}

/// Checks an answer as if a stranger had given it.
fn check(job: &WorkerJob, task: TaskIndex, run: &TaskRun) -> Result<(), AnswerFlaw> {
    if !run.is_consistent() {
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
