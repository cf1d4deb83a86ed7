//! The tasks of a job that failed, run again under the indices that they had.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Net, gridproof, text};

/// Writes a job of four tasks, of which those with the given indices fail, and returns its spec.
fn unlucky(folder: &Path, failing: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let module = types::testing::program_path(env!("CARGO_TARGET_TMPDIR"), "unlucky");
    std::fs::copy(module, folder.join("unlucky.wasm")).unwrap();
    let spec = folder.join("job.yaml");
    let text = format!(
        "version: gridproof/v1\nname: unlucky\n\
         engine: {{type: wasm, params: {{module: unlucky.wasm, args: [{failing}]}}}}\n\
         tasks: {{array: 4}}\nverification: {{verifiers: 1, tasks: all}}\n"
    );
    std::fs::write(&spec, text).unwrap();
    spec
}

/// Runs a command about a job with the customer's endpoint and genesis.
fn job(net: &Net, command: &str, job: &Value, more: &[&str]) -> crate::harness::Output {
    let (job, genesis) = (job.as_str().unwrap(), net.devnet.genesis());
    let mut all = vec!["job", command, job, "--rpc", net.rpc(0)];
    if command != "wait" {
        all.extend(["--genesis", text(&genesis)]);
    }
    all.extend(more);
    gridproof(&all)
}

#[test]
fn failed_tasks_are_run_again_under_their_own_indices() {
    let net = Net::up(4);
    let bad = unlucky(&net.scratch().join("bad"), "'3', '1'");
    let first = net.run_job(&bad, &net.scratch().join("first"));
    first.fails(15, "tasks_failed", "2 of 4 tasks failed", "--allow-failed");

    let good = unlucky(&net.scratch().join("good"), "");
    let more = ["--failed", "--spec", text(&good), "--key", net.customer()];
    let rerun = |id: &Value| job(&net, "rerun", id, &more).success();
    let cheap = [&more[..], &["--fee", "0.000001"]].concat();
    job(&net, "rerun", &first.json["job"], &cheap).fails(
        5,
        "transaction_refused",
        "fee",
        "at least the fee",
    );
    let again = rerun(&first.json["job"]);
    assert_eq!(
        (&again["tasks"], &again["of"]),
        (&json!([1, 3]), &first.json["job"])
    );
    job(&net, "wait", &again["job"], &["--timeout", "120"]).success();

    let out = net.scratch().join("second");
    let fetched = job(&net, "fetch", &again["job"], &["--out", text(&out)]).success();
    assert_eq!(fetched["receipt"]["tasks"], json!(2));
    for task in ["1", "3"] {
        let said = std::fs::read_to_string(out.join(task).join("stdout")).unwrap();
        assert_eq!(said, format!("task {task} of 4\n"));
    }
    assert!(!out.join("0").exists() && !out.join("2").exists());
    let nothing = rerun(&again["job"]);
    assert_eq!(
        (&nothing["job"], &nothing["tasks"]),
        (&Value::Null, &json!([]))
    );
}
