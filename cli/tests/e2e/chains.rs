//! Chains of tasks in real processes: each task goes on where the one before it ended, some are checked from the middle, and a
//! partner that lies about one of them does not settle it.

use std::path::{Path, PathBuf};

use testnet::temporary::TemporaryDevnet;

use crate::harness::{Net, binary, gridproof, text};

const TASKS: usize = 4;

/// A spec of a chain whose tasks each go 200 steps further.
fn orbit(folder: &Path, verifiers: u32, checked: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let module = types::testing::program_path(env!("CARGO_TARGET_TMPDIR"), "orbit");
    std::fs::copy(module, folder.join("orbit.wasm")).unwrap();
    let spec = folder.join("job.yaml");
    let text = format!(
        "version: gridproof/v1\nname: orbit\nengine: {{type: wasm, params: {{module: orbit.wasm, args: [\"200\"]}}}}\n\
         outputs: [{{name: orbit, path: /out/orbit}}]\ntasks: {{chain: {TASKS}, state: [orbit]}}\n\
         resources: {{fuel: 1G, memory: 16MiB, output: 64KiB}}\n\
         verification: {{verifiers: {verifiers}, tasks: {checked}}}\npayment: {{price: 5}}\n"
    );
    std::fs::write(&spec, text).unwrap();
    spec
}

/// Asserts that every task of a fetched job went on from the one before it.
fn assert_went_on(out: &Path) {
    for task in 0..TASKS {
        let said = std::fs::read_to_string(out.join(format!("{task}/stdout"))).unwrap();
        let steps = format!("task {task}: {} steps", (task + 1) * 200);
        assert!(said.starts_with(&steps), "{said}");
    }
}

#[test]
fn a_chain_settles_and_is_run_again_from_its_start() {
    let net = Net::up(4);
    let spec = orbit(&net.scratch().join("job"), 2, "2");
    let out = net.scratch().join("out");
    let settled = net.run_job(&spec, &out).success();
    assert_went_on(&out);
    let receipt = &settled["receipt"];
    assert_eq!(receipt["attempt"], 0, "{receipt}");
    assert_eq!(receipt["tasks_rerun"], 4, "two verifiers of two tasks each");
    let genesis = net.devnet.genesis();
    let document = out.join("receipt.json");
    let verify = [
        "job",
        "verify",
        "--receipt",
        text(&document),
        "--genesis",
        text(&genesis),
        "--outputs",
        text(&out),
    ];
    assert_eq!(gridproof(&verify).success()["verified"], true);
    let job = settled["job"].as_str().unwrap();
    let dir = net.devnet.root().join("partner-0");
    let again = [
        "partner",
        "challenge",
        "--dir",
        text(&dir),
        job,
        "--dry-run",
    ];
    let again = gridproof(&[&again[..], &["--task", "2"]].concat()).success();
    assert_eq!(again["differing"].as_array().map(Vec::len), Some(0));
    assert_eq!(
        again["tasks"], 3,
        "from the start up to the one that was asked for"
    );
}

/// The program whose partners can be told to lie, beside the binary under test.
fn peer() -> PathBuf {
    let peer = binary().with_file_name("testnet-peer");
    assert!(peer.exists(), "cargo build --workspace --bins makes it");
    peer
}

#[test]
fn a_wrong_state_costs_its_primary_and_does_not_settle() {
    // Two of five lie, in the same way: whoever is primary, one honest verifier at least runs all of its tasks again.
    let environment = |name: &str| {
        let lies = name == "partner-0" || name == "partner-1";
        let variable = ("TESTNET_FAULT".to_owned(), "flip-state".to_owned());
        lies.then_some(variable).into_iter().collect()
    };
    let net = Net::of(TemporaryDevnet::start(&peer(), 5, environment).unwrap());
    let spec = orbit(&net.scratch().join("job"), 2, "all");
    let out = net.scratch().join("out");
    let settled = net.run_job(&spec, &out).success();
    assert_went_on(&out);
    let primary = settled["receipt"]["primary"].as_str().unwrap();
    let primary = net.partner_of(primary.parse().unwrap());
    assert!(
        primary != "partner-0" && primary != "partner-1",
        "{primary}"
    );
}
