//! A worker's process: started by a thread of its own, which waits for it, kills it when an answer takes too long, and says how it ended.
//!
//! The child's parent-death signal is bound to the thread that started it, so that thread lives as long as the child.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::no_result::{NoResult, ProcessEnd};

/// A program and its arguments.
#[derive(Debug, Clone)]
pub(super) struct WorkerCommand {
    pub(super) binary: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// A running process with its pipes. Dropping it kills it.
#[derive(Debug)]
pub(super) struct ChildProcess {
    id: u32,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    killer: WorkerKiller,
    watch: Watchdog,
}

/// Kills a worker from another thread.
#[derive(Debug, Clone, Default)]
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
pub(super) struct ChildExit {
    /// True if an answer took too long.
    pub(super) timed_out: bool,
    pub(super) end: ProcessEnd,
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

impl ChildProcess {
    /// Starts a process that may take `wall` for each answer and that this killer kills.
    pub(super) fn start(
        command: &WorkerCommand,
        wall: Duration,
        killer: WorkerKiller,
    ) -> Result<Self, NoResult> {
        let (beats, beaten) = channel();
        let (started, start_result) = channel::<Started>();
        let failed = |message: String| NoResult::Start {
            program: command.binary.display().to_string(),
            message,
        };
        let (thread_command, thread_killer) = (command.clone(), killer.clone());
        let thread = std::thread::Builder::new()
            .name("worker".into())
            .spawn(move || {
                // The receiver waits for exactly this message.
                let _sent = started.send(start(&thread_command, &thread_killer));
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
        let (id, stdin, stdout) = pipes.map_err(failed)?;
        Ok(Self {
            id,
            stdin,
            stdout,
            killer,
            watch,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn killer(&self) -> WorkerKiller {
        self.killer.clone()
    }

    /// True once somebody killed it on purpose.
    pub(super) fn is_cancelled(&self) -> bool {
        self.killer.cancelled.load(Ordering::SeqCst)
    }

    /// Tells the watchdog that an answer came.
    pub(super) fn beat(&self) {
        if let Some(beats) = &self.watch.beats {
            let _sent = beats.send(());
        }
    }

    /// Ends the process, if it has not ended, and says how it did.
    pub(super) fn end(&mut self) -> ChildExit {
        self.watch.end()
    }
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

fn start(command: &WorkerCommand, killer: &WorkerKiller) -> Started {
    let mut child = Command::new(&command.binary)
        .args(&command.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What a job can make it write belongs neither into a log nor onto a terminal.
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (process, stdin, stdout) = (child.id(), child.stdin.take(), child.stdout.take());
    *killer.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    // Whoever killed what was not there yet, or another worker of this handle, means this one as well.
    if killer.cancelled.load(Ordering::SeqCst) {
        killer.kill_child();
    }
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Whoever kills a worker while a second one starts in its place means that one as well.
    #[test]
    fn a_process_that_starts_after_the_kill_is_killed() {
        let command = WorkerCommand {
            binary: "/bin/sleep".into(),
            arguments: vec!["1000".into()],
        };
        let killer = WorkerKiller::default();
        killer.kill();
        let mut process = ChildProcess::start(&command, Duration::MAX, killer).unwrap();
        let mut said = Vec::new();
        assert_eq!(process.stdout.read_to_end(&mut said).unwrap(), 0);
        let by_kill = ProcessEnd::Killed(Signal::KILL.as_raw());
        assert_eq!(process.end().end, by_kill);
    }
}
