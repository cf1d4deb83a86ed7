//! The public test suite of WASI preview 1 (WebAssembly/wasi-testsuite) under the class: `scripts/wasi-suite DIR`.
//!
//! Takes every module below DIR that has the suite's form: `NAME.wasm`, and beside it, where the test needs them,
//! `NAME.json` with arguments, environment, expectations and the folder that is its root. Files of that folder become
//! inputs of the same path. Prints a line a test and a sum; fails if one fails that the model does not exclude, and if one
//! that it excludes passes. What is excluded, and why, is [`EXCLUDED`]; `docs/spec/executor.md` says it too.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

mod given;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use given::texts;
use gridproof_executor::{TaskEngine, TaskRun, run_task};
use serde_json::Value;
use types::attestation::Exit;
use types::codec::{Bounded, Text};
use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V2, StateOutputs, TaskLimits, TaskSet, Workload};
use types::limits::MAX_TASK_FUEL;
use types::number::{Fuel, TaskIndex};

/// Tests of what the model does not have, and why.
const EXCLUDED: [(&str, &str); 11] = [
    ("environ_get-multiple-variables", ENVIRONMENT),
    ("environ_sizes_get-multiple-variables", ENVIRONMENT),
    ("environ_sizes_get-no-variables", ENVIRONMENT),
    (
        "sock_shutdown-invalid_fd",
        "descriptor 3 is the root in every task, so the test's free number is taken",
    ),
    ("nofollow_errors", LINKS),
    ("path_exists", LINKS),
    ("path_link", LINKS),
    ("path_symlink_trailing_slashes", LINKS),
    ("readlink", LINKS),
    ("symlink_create", LINKS),
    ("symlink_filestat", LINKS),
];
const ENVIRONMENT: &str = "every task sees GRIDPROOF_TASK_INDEX and GRIDPROOF_TASK_COUNT too";
const LINKS: &str = "there are no links";

/// A test of the suite.
struct SuiteTest {
    name: String,
    module: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    root: Option<PathBuf>,
    exit_code: u32,
    stdout: Option<String>,
}

fn read_test(module: &Path) -> Result<SuiteTest> {
    let specification = module.with_extension("json");
    let spec: Value = match std::fs::read(&specification) {
        Ok(bytes) => serde_json::from_slice(&bytes).context("its JSON")?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Value::Null,
        Err(error) => return Err(error).with_context(|| specification.display().to_string()),
    };
    let environment = spec["env"].as_object().into_iter().flatten();
    let folder = module.parent().context("a module lies in a folder")?;
    Ok(SuiteTest {
        name: module
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        module: module.to_owned(),
        arguments: texts(&spec["args"]),
        environment: environment
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        root: spec["root"].as_str().map(|root| folder.join(root)),
        exit_code: spec["exit_code"].as_u64().map_or(Ok(0), u32::try_from)?,
        stdout: spec["stdout"].as_str().map(str::to_owned),
    })
}

/// Everything below a folder that ends in `.wasm`, but for tests of later versions, sorted.
fn modules(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let listed = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in listed {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "wasm32-wasip3" {
            modules(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

/// The files below a folder, by the path that a task sees.
fn files(folder: &Path, below: &str, found: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let listed = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in listed {
        let entry = entry?;
        let target = format!("{below}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            files(&entry.path(), &target, found)?;
        } else {
            found.insert(target, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn run(engine: &TaskEngine, test: &SuiteTest) -> Result<TaskRun> {
    let module = std::fs::read(&test.module)?;
    let mut held = BTreeMap::new();
    if let Some(root) = &test.root {
        files(root, "", &mut held)?;
    }
    let environment = test.environment.iter();
    let workload = Workload {
        class: CLASS_WASM_V2,
        module: BlobId::of(&module),
        arguments: given::bounded(&test.arguments)?,
        environment: environment
            .map(|(key, value)| Ok((Text::new(key.as_str())?, Text::new(value.as_str())?)))
            .collect::<Result<_>>()?,
        stdin: None,
        inputs: given::inputs(&held)?,
        outputs: Bounded::new(vec![])?,
        tasks: TaskSet::all(1),
        state: StateOutputs::default(),
        limits: TaskLimits {
            fuel: Fuel(MAX_TASK_FUEL),
            memory_bytes: 1 << 30,
            output_bytes: 64 << 20,
        },
        clock_start_ns: 1_000_000_000_000_000_000,
        random_seed: Hash32::ZERO,
    };
    let loaded = given::load(&workload, &held.values())?;
    Ok(run_task(
        &engine.compile(&module)?,
        &workload,
        TaskIndex::ZERO,
        &loaded,
    )?)
}

/// What is wrong with a run, if something is.
fn fault(test: &SuiteTest, run: &TaskRun) -> Option<String> {
    let said = String::from_utf8_lossy(&run.stderr);
    let said = said
        .lines()
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned();
    if run.outcome.exit
        != (Exit::Code {
            code: test.exit_code,
        })
    {
        return Some(format!("{:?}: {said}", run.outcome.exit));
    }
    match &test.stdout {
        Some(wanted) if run.stdout != wanted.as_bytes() => Some("another standard output".into()),
        _ => None,
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder] = arguments.as_slice() else {
        bail!("usage: wasi_suite DIR");
    };
    let mut found = Vec::new();
    modules(Path::new(folder), &mut found)?;
    ensure!(
        !found.is_empty(),
        "no module below {folder}: the suite's compiled form is its branch prod/testsuite-base"
    );
    let engine = TaskEngine::new(CLASS_WASM_V2)?;
    let (mut passed, mut excluded, mut failed) = (0, 0, 0);
    for path in &found {
        let test = read_test(path).with_context(|| path.display().to_string())?;
        let wrong = fault(
            &test,
            &run(&engine, &test).with_context(|| test.name.clone())?,
        );
        let reason = EXCLUDED.iter().find(|(name, _)| *name == test.name);
        match (wrong, reason) {
            (None, None) => {
                passed += 1;
                println!("passed    {}", test.name);
            }
            (Some(_), Some((_, reason))) => {
                excluded += 1;
                println!("excluded  {}: {reason}", test.name);
            }
            (Some(wrong), None) => {
                failed += 1;
                println!("FAILED    {}: {wrong}", test.name);
            }
            (None, Some(_)) => {
                failed += 1;
                println!("FAILED    {}: it is excluded, and passes", test.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed, {excluded} excluded");
    ensure!(failed == 0, "{failed} tests of the suite fail");
    Ok(())
}
