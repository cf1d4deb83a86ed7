//! What kept code saves: whole jobs in real workers, the cage included. `scripts/bench again DIR` runs it.
//!
//! `again WORKER DIR [ROUNDS]` runs every `*.wasm` of a folder (WASI command modules, without arguments and with empty input) as
//! a job of one task that has fuel for compiling and little more, and prints one JSON object a line: the fastest milliseconds
//! from starting the worker to the job's end without kept code, of a first worker that gives its code, and of one that is given
//! it; bytes of module and code; and whether all three ended alike.

#![expect(clippy::print_stdout, reason = "a program that prints lines")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gridproof_executor::fuel::upfront;
use gridproof_executor::worker::{CodeExchange, WorkerJob};
use gridproof_executor::{TaskRun, WorkerHandle, WorkerLimits};
use instrument::accept::accept;
use types::codec::Bounded;
use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V2, StateOutputs, TaskLimits, TaskSet, TaskState, Workload};
use types::number::{Fuel, TaskIndex};

/// What a program may run once it is compiled: some 10 ms.
const RUN_FUEL: u64 = 10_000_000;
/// Longest time of a task.
const WALL: Duration = Duration::from_mins(5);

fn job(path: &Path, bytes: &[u8]) -> Result<WorkerJob> {
    let module = BlobId::of(bytes);
    let mut workload = Workload {
        class: CLASS_WASM_V2,
        module,
        arguments: Bounded::new(vec![])?,
        environment: BTreeMap::new(),
        stdin: None,
        inputs: Bounded::new(vec![])?,
        outputs: Bounded::new(vec![])?,
        tasks: TaskSet::all(1),
        state: StateOutputs::default(),
        limits: TaskLimits {
            fuel: Fuel(0),
            memory_bytes: 1 << 30,
            output_bytes: 16 << 20,
        },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    };
    let (_, complexity) = accept(bytes)?;
    workload.limits.fuel = Fuel(upfront(&workload) + complexity.fuel() + RUN_FUEL);
    Ok(WorkerJob {
        workload,
        tasks: vec![TaskIndex(0)],
        state: TaskState::default(),
        witness_draw: None,
        files: BTreeMap::from([(module, path.to_owned())]),
    })
}

/// A job's run, how long it took, and the code that its worker gave.
struct Measured {
    took: Duration,
    run: TaskRun,
    code: Option<Vec<u8>>,
}

fn measure(worker: &Path, job: &WorkerJob, keeps: bool, file: Option<&Path>) -> Result<Measured> {
    let started = Instant::now();
    let limits = WorkerLimits::of(&job.workload, WALL);
    let handle = WorkerHandle::spawn(worker, &["worker"], limits)?;
    let (mut code, mut ended) = (None, None);
    let mut keep = |given| code = Some(given);
    let exchange = keeps.then_some(CodeExchange {
        file,
        keep: &mut keep,
    });
    handle.run_job_with_code(job, exchange, |_, run| {
        ended = Some(run);
        Ok(())
    })?;
    let took = started.elapsed();
    let run = ended.context("no task was run")?;
    Ok(Measured { took, run, code })
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: again WORKER DIR [ROUNDS]";
    let worker = PathBuf::from(arguments.next().context(usage)?);
    let folder = arguments.next().context(usage)?;
    let rounds: u32 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    ensure!(rounds > 0, usage);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "wasm"));
    paths.sort();
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("code");
    for path in paths {
        let module = std::fs::read(&path)?;
        let job = job(&path, &module)?;
        let mut fastest = [Duration::MAX; 3];
        let (mut is_same, mut kept_bytes) = (true, 0);
        for _ in 0..rounds {
            let without = measure(&worker, &job, false, None)?;
            let first = measure(&worker, &job, true, None)?;
            let code = first.code.context("a first worker gives its code")?;
            kept_bytes = code.len();
            std::fs::write(&file, code)?;
            let again = measure(&worker, &job, true, Some(&file))?;
            is_same &= without.run == first.run && first.run == again.run && again.code.is_none();
            for (fastest, took) in fastest
                .iter_mut()
                .zip([without.took, first.took, again.took])
            {
                *fastest = took.min(*fastest);
            }
        }
        let [without, first, again] = fastest.map(|time| time.as_millis());
        let line = serde_json::json!({
            "program": path.file_stem().map(|name| name.to_string_lossy()),
            "module_bytes": module.len(), "code_bytes": kept_bytes,
            "without_ms": u64::try_from(without)?, "first_ms": u64::try_from(first)?, "again_ms": u64::try_from(again)?,
            "same_outcome": is_same,
        });
        println!("{line}");
    }
    Ok(())
}
