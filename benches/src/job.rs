//! A job's overhead: the time from submission to settlement, less the execution, of a job whose execution takes about a
//! millisecond; by phase, from the timestamps of the blocks that entered each stage. What the execution takes is
//! measured in this process under the same engine class, compiling apart.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use executor::{Inputs, TaskEngine, run_task};
use types::attestation::Exit;
use types::codec::Bounded;
use types::hash::{BlobId, Hash32};
use types::job::{CLASS_WASM_V2, StateOutputs, TaskLimits, TaskSet, Workload};
use types::number::{Fuel, TaskIndex};

use crate::network::{MeasuredNetwork, binary};
use crate::{quantile, row};

/// Runs `runs` jobs one after the other and prints medians.
pub fn run(runs: u32, module: &Path) -> Result<()> {
    let network = MeasuredNetwork::up(4)?;
    let folder = tempfile::tempdir()?;
    std::fs::copy(module, folder.path().join("module.wasm")).context("the module")?;
    let spec = folder.path().join("job.yaml");
    let text = "version: gridproof/v1\nname: bench\nengine: {type: wasm, params: {module: module.wasm}}\n\
                verification: {verifiers: 2, tasks: all}\n";
    std::fs::write(&spec, text)?;
    let binary = binary()?;
    let mut walls = Vec::new();
    let mut phases: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    let (mut order, mut totals) = (Vec::new(), Vec::new());
    for run in 0..runs {
        let start = Instant::now();
        let output = Command::new(&binary)
            .args(["job", "run", "--json"])
            .arg(&spec)
            .args(["--rpc", &network.net.devnet.manifest.rpc[0]])
            .arg("--key")
            .arg(&network.net.devnet.manifest.customer_key)
            .arg("--out")
            .arg(folder.path().join(format!("out-{run}")))
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        walls.push(start.elapsed().as_millis());
        let result: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let mut total = 0;
        for phase in result["phases"]
            .as_array()
            .context("job run --json tells its phases")?
        {
            let name = phase["stage"].as_str().unwrap_or_default().to_owned();
            if !order.contains(&name) {
                order.push(name.clone());
            }
            let spent = u128::from(phase["milliseconds"].as_u64().unwrap_or_default());
            total += spent;
            phases.entry(name).or_default().push(spent);
        }
        totals.push(total);
    }
    walls.sort_unstable();
    let (compile, execution) = alone(module)?;
    row(&format!(
        "job overhead: a job of about 1 ms, 2 verifiers, medians of {runs} runs"
    ));
    row(&format!(
        "  the task alone        {execution:>7.1?} (compiling it {compile:.1?})"
    ));
    row(&format!(
        "  command start to end  {:>7} ms",
        quantile(&walls, 50)
    ));
    for name in order {
        let list = phases.entry(name.clone()).or_default();
        list.sort_unstable();
        row(&format!(
            "  in stage {name:<12} {:>7} ms",
            quantile(list, 50)
        ));
    }
    totals.sort_unstable();
    let overhead = quantile(&totals, 50).saturating_sub(execution.as_millis());
    row(&format!("  settled - execution   {overhead:>7} ms"));
    Ok(())
}

/// What compiling the module and running its task take here, each the median of several.
fn alone(module: &Path) -> Result<(Duration, Duration)> {
    let module = std::fs::read(module)?;
    let workload = Workload {
        class: CLASS_WASM_V2,
        module: BlobId::of(&module),
        arguments: Bounded::default(),
        environment: BTreeMap::new(),
        stdin: None,
        inputs: Bounded::default(),
        outputs: Bounded::default(),
        tasks: TaskSet::all(1),
        state: StateOutputs::default(),
        limits: TaskLimits {
            fuel: Fuel(5_000_000_000),
            memory_bytes: 256 << 20,
            output_bytes: 1 << 20,
        },
        clock_start_ns: 0,
        random_seed: Hash32::ZERO,
    };
    let engine = TaskEngine::new(CLASS_WASM_V2)?;
    let inputs = Inputs::load(&workload, |_| Ok(Vec::new()))?;
    let (mut compiles, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        let start = Instant::now();
        let program = engine.compile(&module)?;
        compiles.push(start.elapsed());
        let start = Instant::now();
        let run = run_task(&program, &workload, TaskIndex::ZERO, &inputs)?;
        runs.push(start.elapsed());
        ensure!(
            run.outcome.exit == Exit::Code { code: 0 },
            "the module ends with {:?}",
            run.outcome.exit
        );
    }
    compiles.sort_unstable();
    runs.sort_unstable();
    Ok((compiles[compiles.len() / 2], runs[runs.len() / 2]))
}
