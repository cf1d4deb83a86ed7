//! The engine alone, beside commonware's: four validators of each as processes on loopback, over an application without
//! content and without a pace; all up, and one killed. One JSON object a line and run.

mod history;
mod validator;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use testnet::temporary::PortRange;

use crate::peer::rounded;
use crate::process::{ProcessCost, peak_memory_mb};
use crate::{progress, quantile};
pub use validator::EngineValidator;

/// Validators of a network, a process each.
const VALIDATORS: usize = 4;
/// From the start, or from a kill, to the measured time.
const SETTLE: Duration = Duration::from_secs(5);
/// How long system calls are counted, after the measured time: counting them slows the processes.
const COUNTED: Duration = Duration::from_secs(3);
/// From the last look to the end of the processes.
const MARGIN: Duration = Duration::from_secs(2);

/// The engines that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineKind {
    /// This project's.
    Gridproof,
    /// `commonware-consensus`.
    Commonware,
}

/// A line of the result.
#[derive(Debug, Serialize)]
struct EngineReport {
    system: &'static str,
    killed: usize,
    /// Finalizations per second that the first validator knew.
    views_per_s: f64,
    /// From the leader's proposal to the finalization at each validator.
    p50_ms: f64,
    p99_ms: f64,
    /// User and system time of all validators for 1,000 final views, in seconds.
    cpu_s_per_1000_views: f64,
    /// Calls of fsync and fdatasync of one validator for a final view; none without strace.
    syncs_per_view: Option<f64>,
    rss_mb: u64,
    bytes_written: u64,
    seconds: u32,
}

/// Measures each engine with all validators, then with one killed.
pub fn run(seconds: u32, engines: &[EngineKind], commonware: Option<&Path>) -> Result<()> {
    for killed in [0, 1] {
        for engine in engines {
            let (system, command) = match engine {
                EngineKind::Gridproof => (
                    "gridproof",
                    vec![std::env::current_exe()?, "engine-validator".into()],
                ),
                EngineKind::Commonware => {
                    let binary = commonware.context("--commonware names the binary of the peer")?;
                    ("commonware", vec![binary.to_path_buf()])
                }
            };
            progress(&format!("engine of {system}, {killed} killed"));
            let report = measure(system, &command, killed, seconds)?;
            crate::row(&serde_json::to_string(&report)?);
        }
    }
    Ok(())
}

/// Processes that end with this.
struct Processes(Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn measure(
    system: &'static str,
    command: &[PathBuf],
    killed: usize,
    seconds: u32,
) -> Result<EngineReport> {
    let (ports, folder) = (PortRange::take()?, tempfile::tempdir()?);
    let length = Duration::from_secs(u64::from(seconds));
    let life = 2 * SETTLE + length + COUNTED + MARGIN;
    let mut processes = Processes(Vec::new());
    for number in 0..VALIDATORS {
        let log = std::fs::File::create(folder.path().join(format!("{number}.log")))?;
        let mut start = Command::new(&command[0]);
        start.args(&command[1..]).args([
            number.to_string(),
            VALIDATORS.to_string(),
            ports.base_port().to_string(),
        ]);
        start.arg(folder.path()).arg(life.as_secs().to_string());
        start
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        processes.0.push(start.spawn()?);
    }
    wait(SETTLE);
    for process in processes.0.iter_mut().rev().take(killed) {
        process.kill()?;
    }
    wait(SETTLE);
    let living = VALIDATORS - killed;
    let pids: Vec<u32> = processes.0[..living].iter().map(Child::id).collect();
    let (from, before) = (unix_nanos(), ProcessCost::of(&pids));
    wait(length);
    let (to, cost) = (unix_nanos(), ProcessCost::of(&pids) - before);
    let rss_mb = peak_memory_mb(&pids);
    let syncs = count_syncs(pids[0], folder.path())?;
    for process in &mut processes.0[..living] {
        let status = process.wait()?;
        ensure!(
            status.success(),
            "a validator ended with {status}: {}",
            logs(folder.path())
        );
    }
    let views = Views::read(folder.path(), living)?;
    let latencies = views.latencies(from..to);
    let done = u32::try_from(views.finalized(0, from..to))?;
    ensure!(done > 0, "no view became final: {}", logs(folder.path()));
    let milliseconds = |nanos: u128| -> Result<f64> {
        Ok(rounded(
            f64::from(u32::try_from(nanos / 1_000)?) / 1_000.0,
            2,
        ))
    };
    let cpu_s = f64::from(u32::try_from(cost.cpu_ms)?) / 1_000.0;
    Ok(EngineReport {
        system,
        killed,
        views_per_s: rounded(f64::from(done) / length.as_secs_f64(), 1),
        p50_ms: milliseconds(quantile(&latencies, 50))?,
        p99_ms: milliseconds(quantile(&latencies, 99))?,
        cpu_s_per_1000_views: rounded(cpu_s * 1_000.0 / f64::from(done), 2),
        syncs_per_view: syncs.map(|(calls, time)| {
            let views = u32::try_from(views.finalized(0, time)).unwrap_or(u32::MAX);
            rounded(f64::from(calls) / f64::from(views.max(1)), 2)
        }),
        rss_mb,
        bytes_written: cost.bytes_written,
        seconds,
    })
}

fn wait(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock that the processes have in common"
)]
fn unix_nanos() -> u128 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}

/// The last lines of the processes' output.
fn logs(folder: &Path) -> String {
    let ends = (0..VALIDATORS).map(|number| {
        let log = folder.join(format!("{number}.log"));
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().rev().take(5).collect();
        lines.reverse();
        format!("\n{number}: {}", lines.join("\n"))
    });
    ends.collect()
}

/// Counts a process's calls that wait for the disk, for a while; nothing if there is no strace.
fn count_syncs(pid: u32, folder: &Path) -> Result<Option<(u32, std::ops::Range<u128>)>> {
    let trace = folder.join("strace");
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-q",
            "-e",
            "trace=fsync,fdatasync,msync,sync_file_range",
        ])
        .args(["-p", &pid.to_string(), "-o"])
        .arg(&trace);
    let Ok(mut strace) = strace.stderr(Stdio::null()).spawn() else {
        return Ok(None);
    };
    let from = unix_nanos();
    wait(COUNTED);
    let to = unix_nanos();
    testnet::devnet::process::signal(strace.id(), rustix::process::Signal::INT);
    strace.wait()?;
    let text = std::fs::read_to_string(&trace)?;
    // A call that another thread interrupts has a second line that says `resumed`.
    let calls = text
        .lines()
        .filter(|line| line.contains("sync") && !line.contains("resumed"));
    let calls = u32::try_from(calls.count())?;
    Ok((calls > 0).then_some((calls, from..to)))
}

/// When views were proposed and known to be final.
struct Views {
    /// By view, by whichever validator led it.
    proposed: BTreeMap<u64, u128>,
    /// Of each validator, by view.
    finalized: Vec<BTreeMap<u64, u128>>,
}

impl Views {
    fn read(folder: &Path, validators: usize) -> Result<Self> {
        let mut views = Self {
            proposed: BTreeMap::new(),
            finalized: Vec::new(),
        };
        for number in 0..validators {
            let text = std::fs::read_to_string(folder.join(format!("{number}.events")))?;
            let mut finalized = BTreeMap::new();
            for line in text.lines() {
                let mut words = line.split(' ');
                let (kind, view) = (words.next(), words.next().context("a view")?.parse()?);
                let at = words.next().context("a time")?.parse()?;
                match kind {
                    Some("p") => views.proposed.entry(view).or_insert(at),
                    _ => finalized.entry(view).or_insert(at),
                };
            }
            views.finalized.push(finalized);
        }
        Ok(views)
    }

    /// The views whose finalization a validator learnt within a time.
    fn finalized(&self, validator: usize, time: std::ops::Range<u128>) -> usize {
        let times = self.finalized[validator].values();
        times.filter(|at| time.contains(at)).count()
    }

    /// From proposal to finalization at every validator, sorted, in nanoseconds.
    fn latencies(&self, time: std::ops::Range<u128>) -> Vec<u128> {
        let all = self.finalized.iter().flatten();
        let mut latencies: Vec<_> = all
            .filter(|(_, at)| time.contains(at))
            .filter_map(|(view, at)| Some(at.saturating_sub(*self.proposed.get(view)?)))
            .collect();
        latencies.sort_unstable();
        latencies
    }
}
