//! Modules that are small to send and dear to check, to compile or to start, each run in a real worker as a job is.
//!
//! What is tested: every one ends with a result, so that its sender pays, and with the result that stands here. What is
//! printed for each, one JSON object a line: its bytes, the fuel that it is charged, the time and the memory of the worker,
//! which `docs/benchmarks.md` quotes, and which compiler's code ran. `--worker PROGRAM` runs them in another build of `gridproof worker`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "a line for each bomb is what the run shows"
)]

mod corpus;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gridproof_executor::class::Compiler;
use gridproof_executor::worker::{CompileTime, WorkerJob};
use gridproof_executor::{NoResult, TaskRun, WorkerHandle, WorkerLimits};
use types::attestation::Exit;
use types::hash::BlobId;
use types::job::{TaskLimits, TaskState, Workload};
use types::number::{Fuel, TaskIndex};
use types::testing;

use corpus::{Bomb, BombEnd};

/// What each job may use at most: a cheap job, and memory as jobs have it.
const LIMITS: TaskLimits = TaskLimits {
    fuel: Fuel(800_000_000),
    memory_bytes: 256 << 20,
    output_bytes: 1 << 20,
};
/// No bomb may hold a worker for longer, on a slow machine with a slow build.
const WALL: Duration = Duration::from_mins(5);

/// What running a bomb took.
struct Cost {
    result: Result<(TaskRun, Compiler), NoResult>,
    time: Duration,
    memory_kib: u64,
}

fn run(worker: &Path, module: &[u8], compile: CompileTime) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module");
    std::fs::write(&path, module).unwrap();
    let workload = Workload {
        limits: LIMITS,
        ..testing::workload(module, 1)
    };
    let limits = WorkerLimits {
        compile,
        ..WorkerLimits::of(&workload, WALL)
    };
    let job = WorkerJob {
        files: BTreeMap::from([(BlobId::of(module), path)]),
        tasks: vec![TaskIndex(0)],
        state: TaskState::default(),
        witness_draw: None,
        workload,
    };
    let started = Instant::now();
    let handle = WorkerHandle::spawn(worker, &["worker"], limits).unwrap();
    let (id, has_ended) = (handle.id(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let peak = scope.spawn(|| peak_memory(id, &has_ended));
        let mut run = None;
        let ended = handle.run_job(&job, |_, answer| {
            run = Some(answer);
            Ok(())
        });
        let time = started.elapsed();
        has_ended.store(true, Ordering::SeqCst);
        Cost {
            result: ended.map(|compiler| (run.unwrap(), compiler)),
            time,
            memory_kib: peak.join().unwrap(),
        }
    })
}

/// The most memory that a process had, as long as it can be seen, in KiB.
fn peak_memory(process: u32, has_ended: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !has_ended.load(Ordering::SeqCst) {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let found = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(found.unwrap_or(0));
        std::thread::park_timeout(Duration::from_millis(2));
    }
    peak
}

fn end_of(run: &TaskRun) -> BombEnd {
    match run.outcome.exit {
        Exit::Invalid => BombEnd::Invalid,
        Exit::OutOfFuel => BombEnd::OutOfFuel,
        Exit::Trap { trap } => BombEnd::Traps(trap),
        Exit::Code { code: 0 } => BombEnd::Runs,
        _ => panic!("no bomb ends with {:?}", run.outcome.exit),
    }
}

/// Bombs that compile for eight times what they pay for: a second worker runs them, by the baseline compiler.
const LATE: [&str; 2] = [
    "sums of 6,000 globals, twice",
    "sums of 4,000 globals, and bytes at both ends of 15 MiB",
];

/// What is wrong with the compilers that ran a bomb, if anything is: one that is dear to compile is run by the baseline compiler, and by
/// the other one gives the same where it may take its time.
fn late(worker: &Path, bomb: &Bomb, cost: &Cost) -> Option<String> {
    let (run, compiler) = cost.result.as_ref().ok()?;
    if !LATE.contains(&bomb.name.as_str()) {
        return None;
    }
    if *compiler != Compiler::Baseline {
        return Some("ran by the optimising compiler".into());
    }
    match run_unlimited(worker, bomb) {
        Ok((other, Compiler::Optimizing)) if other == *run => None,
        other => Some(format!("without a limit: {other:?}")),
    }
}

fn run_unlimited(worker: &Path, bomb: &Bomb) -> Result<(TaskRun, Compiler), NoResult> {
    run(worker, &bomb.module, CompileTime::UNLIMITED).result
}

fn main() -> ExitCode {
    let mut wanted = Vec::new();
    let mut worker = PathBuf::from(env!("CARGO_BIN_EXE_worker"));
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--worker" => worker = arguments.next().unwrap().into(),
            option if option.starts_with('-') => {}
            _ => wanted.push(argument),
        }
    }
    let bombs = corpus::all();
    assert!(bombs.len() >= 60, "{} bombs", bombs.len());
    let is_wanted = |bomb: &&Bomb| {
        wanted.is_empty() || wanted.iter().any(|text| bomb.name.contains(text.as_str()))
    };
    let mut failed = Vec::new();
    for bomb in bombs.iter().filter(is_wanted) {
        let cost = run(&worker, &bomb.module, CompileTime::default());
        let (end, fuel) = match &cost.result {
            Ok((run, compiler)) => (
                format!("{:?}, {compiler:?}", end_of(run)),
                run.outcome.fuel.0,
            ),
            Err(reason) => (format!("no result: {reason}"), 0),
        };
        println!(
            r#"{{"bomb": {:?}, "bytes": {}, "end": {end:?}, "fuel": {fuel}, "ms": {}, "mib": {}}}"#,
            bomb.name,
            bomb.module.len(),
            cost.time.as_millis(),
            cost.memory_kib / 1024,
        );
        if let Some(problem) = late(&worker, bomb, &cost) {
            failed.push((&bomb.name, bomb.end, problem));
        }
        if !cost.result.is_ok_and(|(run, _)| end_of(&run) == bomb.end) {
            failed.push((&bomb.name, bomb.end, end));
        }
    }
    assert!(failed.is_empty(), "ended in another way: {failed:?}");
    ExitCode::SUCCESS
}
