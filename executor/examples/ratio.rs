//! What the class costs: programs under it and under wasmtime as it comes, in one run. `scripts/bench executor` runs it.
//!
//! `ratio DIR [ROUNDS]` runs every `*.wasm` of a folder (WASI command modules, without arguments and with empty input)
//! in turn under both and prints one JSON object a line: the program, `ratio` of the fastest runs, their milliseconds, those of
//! preparing and compiling for the class, and whether both wrote the same. Both engines have the same host functions and optimisation level;
//! the plain one uses all features of this processor. A sum by kind of program goes to standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints lines and a sum"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gridproof_executor::{Inputs, Program, TaskEngine, TaskRun, run_task};
use types::codec::Bounded;
use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V2, StateOutputs, TaskLimits, TaskSet, Workload};
use types::limits::MAX_TASK_FUEL;
use types::number::{Fuel, TaskIndex};

/// Programs of our own by kind, for the sums; all others are one more kind.
const KINDS: [(&str, &[&str]); 3] = [
    (
        "integers",
        &[
            "sha256",
            "sort",
            "sieve",
            "crc",
            "hashtable",
            "interpreter",
            "bigint",
        ],
    ),
    ("floats", &["nbody", "matrix", "mandelbrot", "special"]),
    ("recursion", &["recursion"]),
];
const OTHERS: &str = "others";

fn workload(module: &[u8]) -> Result<Workload> {
    Ok(Workload {
        class: CLASS_WASM_V2,
        module: BlobId::of(module),
        arguments: Bounded::new(vec![])?,
        environment: std::collections::BTreeMap::new(),
        stdin: None,
        inputs: Bounded::new(vec![])?,
        outputs: Bounded::new(vec![])?,
        tasks: TaskSet::all(1),
        state: StateOutputs::default(),
        limits: TaskLimits {
            fuel: Fuel(MAX_TASK_FUEL),
            memory_bytes: 1 << 30,
            output_bytes: 256 << 20,
        },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    })
}

/// A program under one engine, and what was measured of it.
struct Measured {
    program: Program,
    compiling: Duration,
    fastest: Duration,
    run: Option<TaskRun>,
}

impl Measured {
    fn compile(engine: &TaskEngine, module: &[u8]) -> Result<Self> {
        let started = Instant::now();
        let program = engine.compile(module)?;
        let compiling = started.elapsed();
        if let Some(flaw) = program.refusal() {
            anyhow::bail!("{flaw}");
        }
        Ok(Self {
            program,
            compiling,
            fastest: Duration::MAX,
            run: None,
        })
    }

    fn run(&mut self, workload: &Workload) -> Result<()> {
        let started = Instant::now();
        let run = run_task(&self.program, workload, TaskIndex::ZERO, &Inputs::default())?;
        self.fastest = self.fastest.min(started.elapsed());
        self.run = Some(run);
        Ok(())
    }

    /// What it wrote and how it ended.
    fn left(&self) -> Option<(&TaskRun, types::attestation::Exit)> {
        self.run.as_ref().map(|run| (run, run.outcome.exit))
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Measures one module, prints its line and gives the ratio of the runs and of compiling.
fn measure(engines: &[TaskEngine; 2], path: &Path, rounds: u32) -> Result<[f64; 2]> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let module = std::fs::read(path).with_context(|| format!("{}", path.display()))?;
    let workload = workload(&module)?;
    let mut class = Measured::compile(&engines[0], &module)?;
    let mut plain = Measured::compile(&engines[1], &module)?;
    for _ in 0..rounds {
        class.run(&workload)?;
        plain.run(&workload)?;
    }
    let same_output = match (class.left(), plain.left()) {
        (Some((one, ended)), Some((other, other_ended))) => {
            ended == other_ended && one.stdout == other.stdout && one.stderr == other.stderr
        }
        _ => false,
    };
    let [class_ms, plain_ms] = [class.fastest, plain.fastest].map(milliseconds);
    let line = serde_json::json!({
        "program": name,
        "ratio": (class_ms / plain_ms * 1_000.0).round() / 1_000.0,
        "class_ms": (class_ms * 1_000.0).round() / 1_000.0,
        "plain_ms": (plain_ms * 1_000.0).round() / 1_000.0,
        "compile_ms": milliseconds(class.compiling).round(),
        "same_output": same_output,
    });
    println!("{line}");
    let compiling = class.compiling.as_secs_f64() / plain.compiling.as_secs_f64();
    Ok([class_ms / plain_ms, compiling])
}

fn geometric_mean(ratios: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = u32::try_from(ratios.len()).map_or(1.0, f64::from);
    (ratios.map(f64::ln).sum::<f64>() / count).exp()
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("ratio DIR [ROUNDS]")?);
    let rounds: u32 = arguments
        .next()
        .map_or(Ok(5), |text| text.parse())
        .context("ROUNDS is a number")?;
    let mut modules: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(|| format!("{}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    modules.retain(|path| path.extension().is_some_and(|end| end == "wasm"));
    modules.sort();
    ensure!(!modules.is_empty(), "no *.wasm in {}", folder.display());
    let engines = [TaskEngine::new(CLASS_WASM_V2)?, TaskEngine::unmetered()?];
    let mut measured: Vec<(&str, [f64; 2])> = Vec::new();
    for path in &modules {
        match measure(&engines, path, rounds) {
            Ok(ratios) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let known = KINDS.iter().find(|(_, names)| names.contains(&&*name));
                measured.push((known.map_or(OTHERS, |(kind, _)| kind), ratios));
            }
            Err(error) => eprintln!("{}: {error:#}", path.display()),
        }
    }
    for kind in KINDS.iter().map(|(kind, _)| *kind).chain([OTHERS]) {
        let of_kind: Vec<[f64; 2]> = measured
            .iter()
            .filter(|(other, _)| *other == kind)
            .map(|(_, ratios)| *ratios)
            .collect();
        if !of_kind.is_empty() {
            let [run, compiling] =
                [0, 1].map(|at| geometric_mean(of_kind.iter().map(|ratios| ratios[at])));
            eprintln!(
                "{kind}: {run:.3} times plain to run, {compiling:.2} to compile, over {} programs",
                of_kind.len()
            );
        }
    }
    ensure!(!measured.is_empty(), "no program could be measured");
    Ok(())
}
