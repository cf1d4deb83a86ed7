//! Processes that outlive the command that started them: start, recognise again, stop.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How often a condition on a process is looked at.
const POLL: Duration = Duration::from_millis(25);

/// Starts `binary arguments` in a process group of its own, its output appended to `log`. Returns its pid.
pub fn start(binary: &Path, arguments: &[&str], environment: &[(String, String)], log: &Path) -> io::Result<u32> {
    let output = OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0);
    let mut child = command.spawn()?;
    let pid = child.id();
    // Whoever starts a process must also collect its end, or a stopped one stays as a zombie.
    std::thread::Builder::new().name(format!("wait-{pid}")).spawn(move || child.wait())?;
    Ok(pid)
}

/// True if the process runs and its command line names `directory`: a pid alone may have been used again.
pub fn is_running(pid: u32, directory: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let wanted = directory.as_os_str().as_encoded_bytes();
    // While a new process is being loaded its command line is empty for a moment.
    let ours = line.is_empty() || line.split(|byte| *byte == 0).any(|argument| argument == wanted);
    ours && !is_zombie(pid)
}

fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the command in parentheses, which may itself hold parentheses.
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('Z'))
}

/// Sends a signal; a process that is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended between the look and the signal.
        let _ = kill_process(pid, signal);
    }
}

/// Asks the processes to stop, waits, then kills what is left. Returns those that had to be killed.
pub fn stop(processes: &[(u32, &Path)], patience: Duration) -> Vec<u32> {
    let running = |(pid, directory): &&(u32, &Path)| is_running(*pid, directory);
    for (pid, _) in processes.iter().filter(running) {
        signal(*pid, Signal::TERM);
    }
    wait_until(patience, || !processes.iter().any(|process| running(&process)));
    let stubborn: Vec<u32> = processes.iter().filter(running).map(|(pid, _)| *pid).collect();
    for pid in &stubborn {
        signal(*pid, Signal::KILL);
    }
    wait_until(patience, || !processes.iter().any(|process| running(&process)));
    stubborn
}

/// Polls until the condition holds or the time is over; true if it holds.
pub fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= patience {
            return false;
        }
        std::thread::park_timeout(POLL);
    }
}
