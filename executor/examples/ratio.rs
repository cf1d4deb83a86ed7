//! What metering and determinism cost: three programs under the class and under wasmtime as it comes, in one run.
//!
//! `cargo run --release -p gridproof-executor --example ratio [RUNS]` prints a table. Both engines have the same host
//! functions and optimisation level. The plain one has no fuel and no canonical NaNs, and uses all features of this
//! processor. Compiling is timed apart; each program runs RUNS times (5) under both in turn and the fastest run counts.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gridproof_executor::{Inputs, Program, TaskEngine, run_task};
use types::attestation::Exit;
use types::codec::{Bounded, Text};
use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V2, Input, Output, TaskLimits, Workload};
use types::limits::MAX_TASK_FUEL;
use types::number::{Fuel, TaskIndex};

/// What is run: program, argument, number of lines in its input.
const PROGRAMS: [(&str, &str, u32); 3] = [
    ("kernel", "1000000", 0),
    ("histogram", "64", 1_000_000),
    ("words", "", 400_000),
];

fn workload(module: &[u8], argument: &str, data: &[u8]) -> Result<Workload> {
    let input = Input {
        blob: BlobId::of(data),
        target: Text::new("/in/data")?,
    };
    let outputs = ["hist", "words"].map(|name| -> Result<Output> {
        Ok(Output {
            name: Text::new(name)?,
            path: Text::new(format!("/out/{name}.csv"))?,
        })
    });
    let arguments = if argument.is_empty() {
        vec![]
    } else {
        vec![Text::new(argument)?]
    };
    Ok(Workload {
        class: CLASS_WASM_V2,
        module: BlobId::of(module),
        arguments: Bounded::new(arguments)?,
        environment: std::collections::BTreeMap::new(),
        stdin: None,
        inputs: Bounded::new(vec![input])?,
        outputs: Bounded::new(outputs.into_iter().collect::<Result<_>>()?)?,
        tasks: 1,
        limits: TaskLimits {
            fuel: Fuel(MAX_TASK_FUEL),
            memory_bytes: 1 << 30,
            output_bytes: 64 << 20,
        },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    })
}

fn data(lines: u32) -> Vec<u8> {
    let mut state = 1u32;
    let mut text = String::new();
    for _ in 0..lines {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        writeln!(text, "{}.{}", state >> 20, (state >> 8) & 0xff)
            .expect("writing to a text cannot fail");
    }
    text.into_bytes()
}

fn compile(engine: &TaskEngine, module: &[u8]) -> Result<(Program, Duration)> {
    let started = Instant::now();
    let program = engine.compile(module)?;
    Ok((program, started.elapsed()))
}

fn main() -> Result<()> {
    let runs: u32 = std::env::args()
        .nth(1)
        .map_or(Ok(5), |text| text.parse())
        .context("RUNS is a number")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::temp_dir().join("gridproof-programs");
    let built = Command::new(root.join("scripts/programs"))
        .arg(&folder)
        .status()?;
    ensure!(
        built.success(),
        "scripts/programs cannot build the programs"
    );
    let (class, plain) = (TaskEngine::new(CLASS_WASM_V2)?, TaskEngine::unmetered()?);
    println!(
        "| program | fuel | class, compile | class, run | plain, compile | plain, run | run, class / plain |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, argument, lines) in PROGRAMS {
        let module = std::fs::read(folder.join(format!("{name}.wasm")))?;
        let data = data(lines);
        let workload = workload(&module, argument, &data)?;
        let inputs = Inputs::load(&workload, |_| Ok(data.clone()))?;
        let engines = [compile(&class, &module)?, compile(&plain, &module)?];
        let mut fastest = [Duration::MAX; 2];
        let mut fuel = Fuel::ZERO;
        for _ in 0..runs {
            for (slot, (program, _)) in fastest.iter_mut().zip(&engines) {
                let started = Instant::now();
                let run = run_task(program, &workload, TaskIndex::ZERO, &inputs)?;
                *slot = started.elapsed().min(*slot);
                // The program that tries to write an input ends well only if it could not.
                ensure!(
                    run.outcome.exit == Exit::Code { code: 0 },
                    "{name} ended with {:?}",
                    run.outcome.exit
                );
                fuel = fuel.max(run.outcome.fuel);
            }
        }
        println!(
            "| {name} | {fuel} | {:.0?} | {:.1?} | {:.0?} | {:.1?} | {:.2} |",
            engines[0].1,
            fastest[0],
            engines[1].1,
            fastest[1],
            fastest[0].as_secs_f64() / fastest[1].as_secs_f64(),
        );
    }
    Ok(())
}
