//! Real programs under the class and under wasmtime's own WASI, files included: `scripts/real-programs`, which builds them.
//!
//! `real_programs SOURCES BUILT [NAME ...]` reads SOURCES/runs.json: programs, and what each is given and leaves. Files are
//! looked for in SOURCES, then in BUILT, where NAME.wasm is too. Exit code, standard output, standard error and outputs must be
//! the same. Prints a line a program and fails if one differs or does not end with exit code 0.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

mod given;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use given::texts;
use gridproof_executor::{TaskEngine, run_task};
use serde_json::Value;
use types::attestation::Exit;
use types::codec::{Bounded, Text};
use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V2, Output, StateOutputs, TaskLimits, TaskSet, Workload};
use types::limits::MAX_TASK_FUEL;
use types::number::{Fuel, TaskIndex};

/// A program, and what it is given and leaves.
struct RealRun {
    name: String,
    module: PathBuf,
    arguments: Vec<String>,
    stdin: Vec<u8>,
    inputs: BTreeMap<String, Vec<u8>>,
    outputs: Vec<String>,
}

/// What a run left.
#[derive(PartialEq, Eq)]
struct Left {
    exit: Option<u32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    outputs: Vec<Option<Vec<u8>>>,
}

fn read_run(value: &Value, folders: [&Path; 2]) -> Result<RealRun> {
    let name = value["program"]
        .as_str()
        .context("a run names its program")?
        .to_owned();
    let file = |name: &str| {
        let found = folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.exists());
        let path = found.with_context(|| format!("no file {name}"))?;
        std::fs::read(&path).with_context(|| path.display().to_string())
    };
    let inputs = value["inputs"].as_object().into_iter().flatten();
    Ok(RealRun {
        module: folders[1].join(format!("{name}.wasm")),
        arguments: texts(&value["arguments"]),
        stdin: value["stdin"].as_str().map_or(Ok(vec![]), file)?,
        inputs: inputs
            .map(|(target, source)| {
                Ok((target.clone(), file(source.as_str().unwrap_or_default())?))
            })
            .collect::<Result<_>>()?,
        outputs: texts(&value["outputs"]),
        name,
    })
}

fn workload(run: &RealRun, module: &[u8]) -> Result<Workload> {
    let outputs = run
        .outputs
        .iter()
        .enumerate()
        .map(|(number, path)| -> Result<Output> {
            Ok(Output {
                name: Text::new(number.to_string())?,
                path: Text::new(path.as_str())?,
            })
        });
    Ok(Workload {
        class: CLASS_WASM_V2,
        module: BlobId::of(module),
        arguments: given::bounded(&run.arguments)?,
        environment: BTreeMap::new(),
        stdin: Some(BlobId::of(&run.stdin)),
        inputs: given::inputs(&run.inputs)?,
        outputs: Bounded::new(outputs.collect::<Result<_>>()?)?,
        tasks: TaskSet::all(1),
        state: StateOutputs::default(),
        limits: TaskLimits {
            fuel: Fuel(MAX_TASK_FUEL),
            memory_bytes: 4 << 30,
            output_bytes: 256 << 20,
        },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    })
}

fn under_the_class(engine: &TaskEngine, run: &RealRun) -> Result<Left> {
    let module = std::fs::read(&run.module).with_context(|| run.module.display().to_string())?;
    let workload = workload(run, &module)?;
    let inputs = given::load(&workload, &run.inputs.values().chain([&run.stdin]))?;
    let program = engine.compile(&module)?;
    ensure!(program.refusal().is_none(), "{:?}", program.refusal());
    let left = run_task(&program, &workload, TaskIndex::ZERO, &inputs)?;
    let Exit::Code { code } = left.outcome.exit else {
        anyhow::bail!(
            "{:?}: {}",
            left.outcome.exit,
            String::from_utf8_lossy(&left.stderr)
        );
    };
    Ok(Left {
        exit: Some(code),
        stdout: left.stdout,
        stderr: left.stderr,
        outputs: left.outputs,
    })
}

fn under_wasmtimes_own(run: &RealRun, script: &Path) -> Result<Left> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root");
    for name in ["in", "out", "tmp"] {
        std::fs::create_dir_all(root.join(name))?;
    }
    for (target, bytes) in &run.inputs {
        let path = root.join(target.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().context("a target has a parent")?)?;
        std::fs::write(path, bytes)?;
    }
    let [stdin, stdout, stderr] =
        ["stdin", "stdout", "stderr"].map(|name| folder.path().join(name));
    std::fs::write(&stdin, &run.stdin)?;
    let mut python = Command::new("python3");
    python
        .arg(script)
        .args([&run.module, &root, &stdin, &stdout, &stderr]);
    let ended = python.args(&run.arguments).status().context("python3")?;
    let outputs = run.outputs.iter();
    Ok(Left {
        exit: ended.code().and_then(|code| u32::try_from(code).ok()),
        stdout: std::fs::read(stdout)?,
        stderr: std::fs::read(stderr)?,
        outputs: outputs
            .map(|path| std::fs::read(root.join(path.trim_start_matches('/'))).ok())
            .collect(),
    })
}

/// How two runs of a program differ, or that it failed under both; nothing if all is well.
fn difference(run: &RealRun, ours: &Left, theirs: &Left) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
    if ours.exit != theirs.exit || ours.exit != Some(0) {
        return Some(format!(
            "exit {:?} and {:?}: {} and {}",
            ours.exit,
            theirs.exit,
            text(&ours.stderr),
            text(&theirs.stderr)
        ));
    }
    for (what, one, other) in [
        ("output", &ours.stdout, &theirs.stdout),
        ("error", &ours.stderr, &theirs.stderr),
    ] {
        if one != other {
            return Some(format!(
                "standard {what}: {} and {}",
                text(one),
                text(other)
            ));
        }
    }
    let files = run
        .outputs
        .iter()
        .zip(ours.outputs.iter().zip(&theirs.outputs));
    let mut wrong = files.filter(|(_, (one, other))| one != other || one.is_none());
    wrong.next().map(|(path, _)| format!("file {path}"))
}

fn check(engine: &TaskEngine, run: &RealRun, script: &Path) -> Result<bool> {
    let started = Instant::now();
    let ours = under_the_class(engine, run).with_context(|| run.name.clone())?;
    let ours_took = started.elapsed();
    let started = Instant::now();
    let theirs = under_wasmtimes_own(run, script).with_context(|| run.name.clone())?;
    let times = format!(
        "{:.1} s and {:.1} s",
        ours_took.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    let wrong = difference(run, &ours, &theirs);
    match &wrong {
        None => println!(
            "same      {} ({times}): {} files, {} bytes of output",
            run.name,
            run.outputs.len(),
            ours.stdout.len()
        ),
        Some(wrong) => println!("DIFFERENT {} ({times}): {wrong}", run.name),
    }
    Ok(wrong.is_none())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: real_programs SOURCES BUILT [NAME ...]";
    let sources = PathBuf::from(arguments.next().context(usage)?);
    let built = PathBuf::from(arguments.next().context(usage)?);
    let names: Vec<String> = arguments.collect();
    let listed: Value = serde_json::from_slice(&std::fs::read(sources.join("runs.json"))?)?;
    let listed = listed.as_array().context("runs.json is a list")?;
    let runs = listed
        .iter()
        .map(|value| read_run(value, [&sources, &built]));
    let mut runs = runs.collect::<Result<Vec<_>>>()?;
    runs.retain(|run| names.is_empty() || names.contains(&run.name));
    ensure!(!runs.is_empty(), "no such program");
    // The largest first: two at a time.
    runs.sort_by_key(|run| {
        std::cmp::Reverse(std::fs::metadata(&run.module).map_or(0, |found| found.len()))
    });
    let (engine, script, next, wrong) = (
        TaskEngine::new(CLASS_WASM_V2)?,
        sources.join("plain.py"),
        AtomicUsize::new(0),
        Mutex::new(Vec::new()),
    );
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match check(&engine, run, &script) {
                        Ok(true) => {}
                        Ok(false) => wrong
                            .lock()
                            .expect("no thread panics")
                            .push(run.name.clone()),
                        Err(error) => {
                            println!("FAILED    {error:#}");
                            wrong
                                .lock()
                                .expect("no thread panics")
                                .push(run.name.clone());
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no thread panics");
    println!("{} the same, {} not", runs.len() - wrong.len(), wrong.len());
    ensure!(
        wrong.is_empty(),
        "{} of {} programs: {}",
        wrong.len(),
        runs.len(),
        wrong.join(", ")
    );
    Ok(())
}
