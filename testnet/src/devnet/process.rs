//! Processes that outlive the command that started them: start, recognise again, stop.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Pause between two checks of a condition on a process.
const POLL: Duration = Duration::from_millis(25);
/// How long the system may take to load a program.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Starts `binary COMMAND start --dir DIRECTORY` in a process group of its own, its output appended to `log`. Returns
/// its pid once it can be recognised, or is over already.
pub fn start(
    binary: &Path,
    command: &str,
    directory: &Path,
    environment: &[(String, String)],
    log: &Path,
) -> io::Result<u32> {
    let output = OpenOptions::new().create(true).append(true).open(log)?;
    let mut child = Command::new(binary)
        .args([
            command.as_ref(),
            "start".as_ref(),
            "--dir".as_ref(),
            directory.as_os_str(),
        ])
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()?;
    let pid = child.id();
    // While the system loads the program, its command line is empty for a moment.
    if !wait_until(LOAD_TIMEOUT, || {
        matches!(find(pid, directory), Found::Ours | Found::Gone)
    }) {
        child.kill()?;
        child.wait()?;
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the program is not loaded",
        ));
    }
    // Whoever starts a process must also collect its end, or a stopped one stays as a zombie.
    std::thread::Builder::new()
        .name(format!("wait-{pid}"))
        .spawn(move || child.wait())?;
    Ok(pid)
}

/// The process under a process id, compared with one that was started for a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// No process, or a zombie.
    Gone,
    /// The process that was started for the directory.
    Ours,
    /// Another process, or one whose program is not loaded yet.
    Other,
}

fn find(pid: u32, directory: &Path) -> Found {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
        return Found::Gone;
    };
    if is_zombie(pid) && !has_threads(pid) {
        return Found::Gone;
    }
    // One that was killed loses its command line before its files are closed, and with them the locks on its directory.
    if is_for(&line, directory) || (line.is_empty() && is_ending(pid)) {
        Found::Ours
    } else {
        Found::Other
    }
}

/// True if the process runs and was started for `directory`: a pid alone may have been used again.
pub fn is_running(pid: u32, directory: &Path) -> bool {
    find(pid, directory) == Found::Ours
}

/// True if a command line, as /proc shows it, holds `start --dir DIRECTORY`. Kernel threads have an empty one.
fn is_for(line: &[u8], directory: &Path) -> bool {
    let wanted: [&[u8]; 3] = [b"start", b"--dir", directory.as_os_str().as_encoded_bytes()];
    let arguments: Vec<_> = line.split(|byte| *byte == 0).collect();
    arguments
        .windows(wanted.len())
        .any(|window| window == wanted)
}

fn is_zombie(pid: u32) -> bool {
    status_field(pid, 0).is_none_or(|state| state.starts_with(['Z', 'X']))
}

/// True if threads of the process are there beside its first one.
fn has_threads(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads.is_ok_and(|threads| threads.count() > 1)
}

/// True if the kernel is about to end the process.
fn is_ending(pid: u32) -> bool {
    /// `PF_EXITING` of the kernel.
    const ENDING: u64 = 4;
    let flags = status_field(pid, 6).and_then(|flags| flags.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & ENDING != 0)
}

/// A field of /proc/PID/stat, counted from the state on; none if the process is gone.
pub fn status_field(pid: u32, number: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The state follows the command in parentheses, which may itself hold some.
    let fields = stat.rsplit(')').next()?.split_whitespace();
    fields.map(str::to_owned).nth(number)
}

/// Sends a signal; a process that is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

/// Asks the processes to stop, waits, then kills what is left. Returns those that had to be killed.
pub fn stop(processes: &[(u32, &Path)], time_limit: Duration) -> Vec<u32> {
    let running = |(pid, directory): &&(u32, &Path)| is_running(*pid, directory);
    for (pid, _) in processes.iter().filter(running) {
        signal(*pid, Signal::TERM);
    }
    wait_until(time_limit, || {
        !processes.iter().any(|process| running(&process))
    });
    let stubborn: Vec<u32> = processes
        .iter()
        .filter(running)
        .map(|(pid, _)| *pid)
        .collect();
    for pid in &stubborn {
        signal(*pid, Signal::KILL);
    }
    wait_until(time_limit, || {
        !processes.iter().any(|process| running(&process))
    });
    stubborn
}

/// Polls until the condition holds or the time is over; true if it holds.
pub fn wait_until(time_limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= time_limit {
            return false;
        }
        std::thread::park_timeout(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_how_it_was_started() {
        let directory = Path::new("/net/validator-1");
        assert!(is_for(
            b"/bin/gridproof\0node\0start\0--dir\0/net/validator-1\0",
            directory
        ));
        assert!(is_for(
            b"gridproof\0node\0start\0--dir\0/net/validator-1\0--json\0",
            directory
        ));
        let others: [&[u8]; 6] = [
            b"",
            b"\0",
            b"gridproof\0node\0start\0--dir\0/net/validator-11\0",
            b"gridproof\0node\0start\0--dir\0/net/validator-1/x\0",
            b"ls\0/net/validator-1\0",
            b"gridproof\0node\0init\0--dir\0/net/validator-1\0",
        ];
        for line in others {
            assert!(
                !is_for(line, directory),
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }

    #[test]
    fn one_that_ends_at_once_is_not_running() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        for binary in ["/bin/true", "/bin/false"] {
            let pid = start(Path::new(binary), "node", folder.path(), &[], &log).unwrap();
            assert!(wait_until(LOAD_TIMEOUT, || !is_running(pid, folder.path())));
        }
        assert!(
            !is_running(std::process::id(), folder.path()),
            "a pid alone says nothing"
        );
        start(Path::new("/nonexistent"), "node", folder.path(), &[], &log).unwrap_err();
    }
}
