//! The parent's side: starts the child, watches its time, checks its answers.
//!
//! A thread of its own starts the child and lives as long as it does: the child's parent-death signal is bound to the
//! thread that started it. The same thread is the watchdog.

use std::io;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use types::codec::{Bounded, decode, encode};
use types::number::TaskIndex;

use super::frame;
use super::protocol::{Answer, Request, max_answer_bytes};
use super::{WorkerJob, WorkerLimits};
use crate::task::{NoResult, TaskRun};

/// A running worker process. Dropping it kills the worker.
#[derive(Debug)]
pub struct WorkerHandle {
    limits: WorkerLimits,
    process: u32,
    stdin: ChildStdin,
    stdout: ChildStdout,
    killer: WorkerKiller,
    watch: Watch,
}

/// Kills a worker from another thread.
#[derive(Debug, Clone)]
pub struct WorkerKiller {
    cancelled: Arc<AtomicBool>,
    child: Arc<Mutex<Option<Child>>>,
}

/// The thread that waits for the child.
#[derive(Debug)]
struct Watch {
    /// Each message says that an answer came; dropping it says that no more is wanted.
    beats: Option<Sender<()>>,
    thread: Option<JoinHandle<End>>,
}

/// How the child ended.
#[derive(Debug)]
struct End {
    timed_out: bool,
    status: String,
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
            // An error means that it has ended by itself, which is as good.
            let _ended = child.kill();
        }
    }
}

impl Watch {
    /// Ends the child, if it has not ended, and says how it did.
    fn end(&mut self) -> End {
        self.beats = None;
        let joined = self.thread.take().map(JoinHandle::join);
        match joined {
            Some(Ok(end)) => end,
            _ => End {
                timed_out: false,
                status: "unknown".into(),
            },
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

/// What the starting thread gives back.
type Started = Result<(u32, ChildStdin, ChildStdout), String>;

fn start(binary: &Path, arguments: &[String], slot: &Mutex<Option<Child>>) -> Started {
    let mut child = Command::new(binary)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", binary.display()))?;
    let (process, stdin, stdout) = (child.id(), child.stdin.take(), child.stdout.take());
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    let (stdin, stdout) = stdin.zip(stdout).ok_or("it has no pipes")?;
    Ok((process, stdin, stdout))
}

/// Waits until no more answers are wanted or one takes too long; then the child is gone.
fn watch(killer: &WorkerKiller, wall: Duration, beats: &Receiver<()>) -> End {
    let timed_out = loop {
        match beats.recv_timeout(wall) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    let mut slot = killer.child.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut child) = slot.take() else {
        return End {
            timed_out,
            status: "never started".into(),
        };
    };
    drop(slot);
    let ended = child.try_wait().ok().flatten();
    let status = ended.map_or_else(
        || {
            let _ended = child.kill();
            child
                .wait()
                .map_or_else(|error| error.to_string(), |status| status.to_string())
        },
        |status| status.to_string(),
    );
    End { timed_out, status }
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
        let (binary, wall, thread_killer) = (binary.to_owned(), limits.wall, killer.clone());
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let thread = std::thread::Builder::new()
            .name("worker".into())
            .spawn(move || {
                // The receiver waits for exactly this message.
                let _sent = started.send(start(&binary, &arguments, &thread_killer.child));
                watch(&thread_killer, wall, &beaten)
            })
            .map_err(|error| NoResult::Start {
                error: error.to_string(),
            })?;
        let watch = Watch {
            beats: Some(beats),
            thread: Some(thread),
        };
        let pipes = start_result
            .recv()
            .unwrap_or_else(|_| Err("its thread ended".into()));
        let (process, stdin, stdout) = pipes.map_err(|error| NoResult::Start { error })?;
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
        mut self,
        job: &WorkerJob,
        mut each: impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<(), NoResult> {
        let result = self.converse(job, &mut each);
        let end = self.watch.end();
        match result {
            Ok(()) => Ok(()),
            Err(Broken::Said(reason)) => Err(reason),
            Err(_) if self.killer.cancelled.load(Ordering::SeqCst) => Err(NoResult::Cancelled),
            Err(_) if end.timed_out => {
                let milliseconds = u64::try_from(self.limits.wall.as_millis()).unwrap_or(u64::MAX);
                Err(NoResult::TimedOut { milliseconds })
            }
            Err(Broken::Silent) => Err(NoResult::Crashed { status: end.status }),
            Err(Broken::Garbled(error)) => Err(NoResult::Garbled { error }),
        }
    }

    fn converse(
        &mut self,
        job: &WorkerJob,
        each: &mut impl FnMut(TaskIndex, TaskRun) -> Result<(), NoResult>,
    ) -> Result<(), Broken> {
        let request = request(job, &self.limits).map_err(Broken::Said)?;
        // A child that has ended shows when its answer is read.
        let _written = frame::write(&mut self.stdin, &encode(&request));
        match self.answer(job)? {
            Answer::Prepared => {}
            Answer::NoResult(reason) => return Err(Broken::Said(reason)),
            Answer::Task(..) => {
                return Err(Broken::Garbled(
                    "a result before the module was prepared".into(),
                ));
            }
        }
        for task in &job.tasks {
            match self.answer(job)? {
                Answer::Task(index, run) if index == *task => {
                    check(job, &run).map_err(Broken::Garbled)?;
                    each(index, *run).map_err(Broken::Said)?;
                    self.beat();
                }
                Answer::NoResult(reason) => return Err(Broken::Said(reason)),
                _ => {
                    return Err(Broken::Garbled(format!(
                        "no result of task {task} where it was due"
                    )));
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, job: &WorkerJob) -> Result<Answer, Broken> {
        let most = max_answer_bytes(&job.workload);
        let bytes = match frame::read(&mut self.stdout, most) {
            Ok(Some(bytes)) => bytes,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Broken::Garbled(error.to_string()));
            }
            Ok(None) | Err(_) => return Err(Broken::Silent),
        };
        self.beat();
        decode(&bytes, bytes.len()).map_err(|error| Broken::Garbled(error.to_string()))
    }

    /// Tells the watchdog that an answer came.
    fn beat(&self) {
        if let Some(beats) = &self.watch.beats {
            let _sent = beats.send(());
        }
    }
}

/// Why the conversation ended early.
enum Broken {
    /// One side said why.
    Said(NoResult),
    /// The pipe ended.
    Silent,
    /// An answer was not understood.
    Garbled(String),
}

fn request(job: &WorkerJob, limits: &WorkerLimits) -> Result<Request, NoResult> {
    let invalid = |why: String| NoResult::Workload { why };
    let mut files = Vec::new();
    for blob in job.workload.blobs() {
        let error = |error: &str| NoResult::Input {
            blob,
            error: error.to_owned(),
        };
        let path = job
            .files
            .get(&blob)
            .ok_or_else(|| error("no file was named for it"))?;
        let path = std::path::absolute(path).map_err(|_| error("its path is empty"))?;
        files.push((
            blob,
            path.into_os_string()
                .into_string()
                .map_err(|_| error("its path is not UTF-8"))?,
        ));
    }
    Ok(Request {
        workload: job.workload.clone(),
        tasks: Bounded::new(job.tasks.clone()).map_err(|error| invalid(error.to_string()))?,
        files: Bounded::new(files).map_err(|error| invalid(error.to_string()))?,
        data_bytes: limits.data_bytes,
        cpu_seconds: limits.cpu.as_secs().saturating_add(1),
    })
}

/// Checks an answer as if a stranger had given it.
fn check(job: &WorkerJob, run: &TaskRun) -> Result<(), String> {
    if !run.is_consistent() {
        return Err("a result whose bytes are not those that its outcome names".into());
    }
    if run.outputs.len() != job.workload.outputs.len() {
        return Err(format!(
            "{} outputs where {} are declared",
            run.outputs.len(),
            job.workload.outputs.len()
        ));
    }
    if run.outcome.fuel > job.workload.limits.fuel {
        return Err(format!(
            "fuel of {} above the limit {}",
            run.outcome.fuel, job.workload.limits.fuel
        ));
    }
    Ok(())
}
