//! A job's overhead: the time from submission to settlement of a job whose execution takes about a millisecond, by
//! phase, from the timestamps of the blocks that entered each stage.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::network::Network;
use crate::{quantile, row};

/// Runs `runs` jobs one after the other and prints medians.
pub fn run(runs: u32, base_port: u16, module: &Path) -> Result<()> {
    let network = Network::up(4, base_port)?;
    let folder = tempfile::tempdir()?;
    std::fs::copy(module, folder.path().join("module.wasm")).context("the module")?;
    let spec = folder.path().join("job.yaml");
    let text = "version: gridproof/v1\nname: bench\nengine: {type: wasm, params: {module: module.wasm}}\n\
                verification: {verifiers: 2, tasks: all}\n";
    std::fs::write(&spec, text)?;
    let binary = std::env::var_os("GRIDPROOF_BIN").context("GRIDPROOF_BIN names the binary")?;
    let mut walls = Vec::new();
    let mut phases: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    let mut order = Vec::new();
    for run in 0..runs {
        let start = Instant::now();
        let output = Command::new(&binary)
            .args(["job", "run", "--json"])
            .arg(&spec)
            .args(["--rpc", &network.devnet.manifest.rpc[0]])
            .arg("--key")
            .arg(&network.devnet.manifest.customer_key)
            .arg("--out")
            .arg(folder.path().join(format!("out-{run}")))
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        walls.push(start.elapsed().as_millis());
        let result: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        for phase in result["phases"].as_array().context("job run --json tells its phases")? {
            let name = phase["stage"].as_str().unwrap_or_default().to_owned();
            if !order.contains(&name) {
                order.push(name.clone());
            }
            phases.entry(name).or_default().push(u128::from(phase["milliseconds"].as_u64().unwrap_or_default()));
        }
    }
    walls.sort_unstable();
    row(&format!("job overhead: a job of about 1 ms, 2 verifiers, medians of {runs} runs"));
    row(&format!("  command start to end  {:>7} ms", quantile(&walls, 50)));
    for name in order {
        let list = phases.entry(name.clone()).or_default();
        list.sort_unstable();
        row(&format!("  in stage {name:<12} {:>7} ms", quantile(list, 50)));
    }
    Ok(())
}
