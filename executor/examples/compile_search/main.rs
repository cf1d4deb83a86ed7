//! The worst time that compiling takes per unit of fuel that is charged for it: a search. `scripts/bench compile` runs it.
//!
//! `compile_search [--steps N] [--seed FIRST] [--climbs N] [--bytes N] [--late]` climbs hills: each climb begins with a random genome and keeps the changes
//! that make a module dearer for its charge, in processor time of judging, preparing and compiling it. Before that it looks at the bombs
//! that the tests run. The time is what a worker takes: the optimising compiler's, or its limit and the baseline compiler's where that is
//! passed. It prints one JSON object for each bomb that compiles and each climb, with the seed and the worst genome, then the
//! worst of all, and fails if that is above 20 ns a unit. `--late` counts the limit as used up
//! without asking the optimising compiler, whose time for large bodies is minutes. `--again FILE` measures the genomes of an earlier run instead, and
//! `--modules DIR` the programs of a folder. Times are those of a release
//! build; the charge is what a job pays for the module before it runs, without what its blobs cost.

#![expect(clippy::print_stdout, reason = "a program that prints lines")]

mod body;
#[path = "../../tests/bombs/corpus/mod.rs"]
mod corpus;
mod genome;
mod module;
mod operators;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use genome::Genome;
use gridproof_executor::TaskEngine;
use gridproof_executor::class::Compiler;
use gridproof_executor::worker::CompileTime;
use instrument::accept::Complexity;
use serde::Deserialize;
use serde_json::{Value, json};
use types::job::{CLASS_WASM_V2, FUEL_PER_MODULE_BYTE};
use types::number::Fuel;
use types::testing::{self, Random};

/// What a unit of fuel may cost: the slowest machine that the devnet admits runs so many nanoseconds a unit.
const MOST_NS_PER_UNIT: f64 = 20.0;

/// An engine of the class for each compiler.
struct Engines {
    /// Nothing where its limit counts as used up by every module.
    optimizing: Option<TaskEngine>,
    baseline: TaskEngine,
}

/// A module's cost by one measurement.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// What a worker takes.
    nanoseconds: f64,
    /// What the optimising compiler takes without a limit, and the baseline compiler.
    optimizing: Option<f64>,
    baseline: f64,
    units: f64,
    complexity: Complexity,
}

impl Cost {
    fn per_unit(self) -> f64 {
        self.nanoseconds / self.units
    }
}

struct Options {
    steps: u32,
    climbs: u64,
    seed: u64,
    bytes: u32,
    again: Option<PathBuf>,
    modules: Option<PathBuf>,
    late: bool,
}

fn options() -> Result<Options> {
    let mut options = Options {
        steps: 60,
        climbs: 8,
        seed: 1,
        bytes: 60_000,
        again: None,
        modules: None,
        late: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--late" {
            options.late = true;
            continue;
        }
        let value = arguments.next().context("an option has a value")?;
        match name.as_str() {
            "--steps" => options.steps = value.parse()?,
            "--climbs" => options.climbs = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--bytes" => options.bytes = value.parse()?,
            "--modules" => options.modules = Some(value.into()),
            "--again" => options.again = Some(value.into()),
            _ => anyhow::bail!("unknown option {name}"),
        }
    }
    Ok(options)
}

/// Processor time of this thread so far.
fn processor_time() -> Result<Duration> {
    // The system counts to the last change of threads.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split(' ').next().context("three numbers")?;
    Ok(Duration::from_nanos(first.parse()?))
}

/// The least of a few measurements; nothing for a module that the class refuses.
fn measure(engines: &Engines, module: &[u8], times: u32) -> Result<Option<Cost>> {
    let Ok((parsed, complexity)) = instrument::accept::accept(module) else {
        return Ok(None);
    };
    let complexity = instrument::plan(&parsed, complexity)?.complexity();
    let bytes = u64::try_from(module.len())?;
    let units = complexity.fuel() + FUEL_PER_MODULE_BYTE * bytes;
    let mut workload = testing::workload(module, 1);
    workload.limits.fuel = Fuel(u64::MAX);
    let mut judging = Duration::MAX;
    let mut least = [Duration::MAX; 2];
    for _ in 0..times {
        let both = [engines.optimizing.as_ref(), Some(&engines.baseline)];
        for (engine, least) in both.into_iter().zip(&mut least) {
            let Some(engine) = engine else { continue };
            let begun = processor_time()?;
            let judged = engine.judge(&workload, module)?;
            let between = processor_time()?;
            let program = engine.finish(judged)?;
            let end = processor_time()?;
            if program.refusal().is_some() {
                return Ok(None);
            }
            judging = judging.min(between.saturating_sub(begun));
            *least = (*least).min(end.saturating_sub(between));
        }
    }
    let [optimizing, baseline] = least;
    // Where it is not asked this is the longest time.
    let limit = CompileTime::default().of(Fuel(units));
    let taken = if optimizing <= limit {
        judging + optimizing
    } else {
        judging + limit + judging + baseline
    };
    Ok(Some(Cost {
        nanoseconds: taken.as_secs_f64() * 1e9,
        optimizing: engines
            .optimizing
            .as_ref()
            .map(|_| optimizing.as_secs_f64() * 1e9),
        baseline: baseline.as_secs_f64() * 1e9,
        units: f64::from(u32::try_from(units / 1_000)?) * 1_000.0,
        complexity,
    }))
}

/// The worst genome that a climb finds.
fn climb(engines: &Engines, seed: u64, options: &Options) -> Result<(Genome, Cost)> {
    let mut random = Random::new(seed);
    let mut worst: Option<(Genome, Cost)> = None;
    let mut step = 0;
    while step < options.steps || worst.is_none() {
        let genome = match &worst {
            Some((genome, _)) if step >= options.steps / 6 => {
                genome.mutated(&mut random, options.bytes)
            }
            _ => Genome::random(&mut random, options.bytes),
        };
        step += 1;
        let module = module::draw(&genome);
        if module.len() > 3 * usize::try_from(options.bytes)? + 100_000 {
            continue;
        }
        let is_worse = |cost: Cost| {
            let before = worst.as_ref().map(|(_, cost)| cost.per_unit());
            before.is_none_or(|before| cost.per_unit() > before)
        };
        let Some(first) = measure(engines, &module, 1)? else {
            continue;
        };
        // What looks worse is looked at again.
        if is_worse(first)
            && let Some(again) = measure(engines, &module, 2)?
            && is_worse(again)
        {
            worst = Some((genome, again));
        }
    }
    worst.context("a climb has a first step")
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Compiles the bombs that the class takes; the most nanoseconds per unit.
fn bombs(engines: &Engines) -> Result<f64> {
    let mut worst = 0.0_f64;
    for bomb in corpus::all() {
        let Some(cost) = measure(engines, &bomb.module, 3)? else {
            continue;
        };
        let line = json!({ "bomb": bomb.name, "end": format!("{:?}", bomb.end) });
        println!("{}", shown(line, cost, bomb.module.len()));
        worst = worst.max(cost.per_unit());
    }
    Ok(worst)
}

/// A line of the output: what is measured, what it cost and what it is drawn by.
fn shown(mut line: Value, cost: Cost, bytes: usize) -> Value {
    line["ns_per_unit"] = hundredths(cost.per_unit()).into();
    line["compile_ms"] = hundredths(cost.nanoseconds / 1e6).into();
    if let Some(optimizing) = cost.optimizing {
        line["optimizing_ns_per_unit"] = hundredths(optimizing / cost.units).into();
    }
    line["baseline_ns_per_unit"] = hundredths(cost.baseline / cost.units).into();
    line["fuel"] = cost.units.into();
    line["module_bytes"] = bytes.into();
    line["complexity"] = format!("{:?}", cost.complexity).into();
    line
}

/// Compiles the modules of the genomes in an earlier run's output; the most nanoseconds per unit.
fn again(engines: &Engines, file: &Path) -> Result<f64> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut worst = 0.0_f64;
    for line in text.lines() {
        let before: Value = serde_json::from_str(line)?;
        let Some(genome) = before.get("genome") else {
            continue;
        };
        let module = module::draw(&Genome::deserialize(genome)?);
        let Some(cost) = measure(engines, &module, 3)? else {
            continue;
        };
        let line = json!({ "seed": before["seed"], "before": before["ns_per_unit"] });
        println!("{}", shown(line, cost, module.len()));
        worst = worst.max(cost.per_unit());
    }
    Ok(worst)
}

/// Compiles the `*.wasm` files of a folder; the most nanoseconds per unit.
fn modules(engines: &Engines, folder: &Path) -> Result<f64> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|end| end == "wasm"));
    files.sort();
    let mut worst = 0.0_f64;
    for file in files {
        let module = std::fs::read(&file)?;
        let Some(cost) = measure(engines, &module, 3)? else {
            continue;
        };
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        println!("{}", shown(json!({ "program": name }), cost, module.len()));
        worst = worst.max(cost.per_unit());
    }
    Ok(worst)
}

/// Climbs from each seed; the most nanoseconds per unit.
fn climbs(engines: &Engines, options: &Options) -> Result<f64> {
    let mut worst = 0.0_f64;
    for seed in options.seed..options.seed + options.climbs {
        let (genome, cost) = climb(engines, seed, options)?;
        let bytes = module::draw(&genome).len();
        let line = json!({ "seed": seed, "genome": genome });
        println!("{}", shown(line, cost, bytes));
        worst = worst.max(cost.per_unit());
    }
    Ok(worst)
}

fn main() -> Result<()> {
    let options = options()?;
    let engine = |compiler| TaskEngine::with_compiler(CLASS_WASM_V2, compiler);
    let optimizing = (!options.late).then(|| engine(Compiler::Optimizing));
    let engines = Engines {
        optimizing: optimizing.transpose()?,
        baseline: engine(Compiler::Baseline)?,
    };
    let worst = match (&options.again, &options.modules) {
        (Some(file), _) => again(&engines, file)?,
        (None, Some(folder)) => modules(&engines, folder)?,
        (None, None) => bombs(&engines)?.max(climbs(&engines, &options)?),
    };
    let line = json!({
        "worst_ns_per_unit": hundredths(worst),
        "most": MOST_NS_PER_UNIT,
        "climbs": options.climbs,
        "steps": options.steps,
        "first_seed": options.seed,
    });
    println!("{line}");
    ensure!(
        worst <= MOST_NS_PER_UNIT,
        "a unit of fuel buys {worst:.1} ns of compiling"
    );
    Ok(())
}
