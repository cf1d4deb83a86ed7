//! Every command of a customer and of a partner, on one devnet that `devnet up` made, before and after `devnet down`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use testnet::devnet::ProcessRole;

use crate::harness::{Net, gridproof, histogram, text};

/// An account that only receives.
const RECEIVER: &str = "00000000000000000000000000000000000000aa";

#[test]
fn every_command_works_and_all_state_outlives_down_and_up() {
    let net = Net::up_by_command(5);
    assert!(
        net.heights()
            .iter()
            .all(|height| height.is_some_and(|h| h > 0)),
        "the first block is final everywhere"
    );
    the_manifest_has_its_documented_shape(&net);
    assert_eq!(states(&net), ["running"; 9]);
    partner_commands(&net);
    let alice = wallet_commands(&net);
    let job = job_commands(&net);
    failed_tasks(&net);
    let height = node_status(&net)["height"].as_u64().unwrap();
    let before = lasting(&net, &alice, &job);

    let root = net.devnet.root();
    let down = gridproof(&["devnet", "down", "--dir", text(root)]).success();
    assert_eq!(down, json!({ "stopped": 9, "killed": 0 }));
    assert_eq!(states(&net), ["stopped"; 9]);
    gridproof(&["node", "status", "--rpc", net.rpc(0)]).fails(4, "no_connection", net.rpc(0), "");

    let manifest = gridproof(&["devnet", "up", "--dir", text(root), "--detach"]).success();
    assert_eq!(manifest["chain_id"], json!(net.devnet.manifest.chain_id));
    assert_eq!(states(&net), ["running"; 9]);
    net.wait("a height above that before", 60, |net| {
        net.heights().iter().all(|h| h.is_some_and(|h| h > height))
    });
    assert_eq!(lasting(&net, &alice, &job), before);
    the_customers_jobs_are_listed(&net, &job);
    gridproof(&["devnet", "down", "--dir", text(root)]).success();
}

/// A job is found by its customer, also after a restart of every node, and named by its first digits.
fn the_customers_jobs_are_listed(net: &Net, job: &str) {
    let list = |more: &[&str]| {
        let command = ["job", "list", "--rpc", net.rpc(0), "--key", net.customer()];
        let listed = gridproof(&[&command[..], more].concat()).success();
        let jobs = listed["jobs"].as_array().unwrap().clone();
        jobs.iter().any(|listed| listed["id"] == json!(job))
    };
    assert!(list(&[]) && list(&["--ended"]) && !list(&["--live"]));
    let status = gridproof(&["job", "status", &job[..12], "--rpc", net.rpc(0)]).success();
    assert_eq!(status["id"], json!(job));
    assert!(status["cost"].is_string(), "{status}");
}

/// The sorted names of an object's fields.
fn fields(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn the_manifest_has_its_documented_shape(net: &Net) {
    let path = net.devnet.root().join("devnet.json");
    let manifest: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        fields(&manifest),
        ["chain_id", "customer_key", "processes", "rpc"]
    );
    assert_eq!(manifest["chain_id"], node_status(net)["chain_id"]);
    assert_eq!(manifest["rpc"].as_array().unwrap().len(), 4);
    let processes = manifest["processes"].as_array().unwrap();
    let [validators, partners] =
        [ProcessRole::Validator, ProcessRole::Partner].map(|role| net.names(role));
    let named: Vec<_> = processes
        .iter()
        .map(|process| process["name"].as_str().unwrap())
        .collect();
    assert_eq!(named, [&validators[..], &partners[..]].concat());
    for (index, process) in processes.iter().enumerate() {
        assert_eq!(
            fields(process),
            ["dir", "metrics", "name", "pid", "role", "rpc"]
        );
        let (role, rpc) = match manifest["rpc"].get(index) {
            Some(rpc) => ("validator", rpc.clone()),
            None => ("partner", Value::Null),
        };
        assert_eq!((&process["role"], &process["rpc"]), (&json!(role), &rpc));
        assert!(Path::new(&format!("/proc/{}", process["pid"])).exists());
        assert!(Path::new(process["dir"].as_str().unwrap()).is_dir());
    }
}

/// What `devnet status` says of each process.
fn states(net: &Net) -> Vec<String> {
    let status = gridproof(&["devnet", "status", "--dir", text(net.devnet.root())]).success();
    assert_eq!(status["chain_id"], json!(net.devnet.manifest.chain_id));
    let processes = status["processes"].as_array().unwrap().iter();
    processes
        .map(|process| {
            let validator = process["name"].as_str().unwrap().starts_with("validator");
            let running = process["state"] == "running";
            assert_eq!(
                process["height"].is_u64(),
                validator && running,
                "{process}"
            );
            process["state"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn node_status(net: &Net) -> Value {
    let status = gridproof(&["node", "status", "--rpc", net.rpc(0)]).success();
    assert_eq!(
        (&status["committee_size"], &status["network"]),
        (&json!(4), &json!("devnet"))
    );
    status
}

/// A bond that is raised by 5 and lowered by 3.
fn partner_commands(net: &Net) {
    let dir = net.devnet.root().join("partner-0");
    let partner =
        |arguments: &[&str]| gridproof(&[&["partner"], arguments, &["--dir", text(&dir)]].concat());
    let status = partner(&["status"]).success();
    assert_eq!(
        (&status["daemon_runs"], &status["partner"]["bond"]),
        (&json!(true), &json!("10000"))
    );
    let layers = status["cage"]["layers"].as_array().unwrap();
    let state = |name: &str| layers.iter().find(|layer| layer["layer"] == name).unwrap();
    assert_eq!(state("seccomp")["state"], "held");
    assert_eq!(state("limits")["reason"], Value::Null);
    let bonded = partner(&["bond", "--amount", "5"]).success();
    assert_eq!(bonded["partner"]["bond"], "10005");
    let unbonded = partner(&["unbond", "--amount", "3"]).success();
    assert_eq!(unbonded["partner"]["bond"], "10002");
    assert_eq!(unbonded["partner"]["unbonding"][0]["amount"], "3");
    assert_eq!(partner(&["status"]).success()["partner"]["bond"], "10002");
    partner(&["unbond", "--amount", "20000"]).fails(
        5,
        "bond_locked",
        "10002 SQUARE of the bond are free",
        "nothing was changed but the fee",
    );
    let mode = |mode| std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o755);
    partner(&["start"]).fails(9, "folder", "has mode 755", "chmod 700");
    mode(0o700);
}

fn balance(net: &Net, address: &str) -> String {
    let account = gridproof(&[
        "wallet",
        "balance",
        "--address",
        address,
        "--rpc",
        net.rpc(1),
    ])
    .success();
    account["balance"].as_str().unwrap().to_owned()
}

/// An account that received 12.5 and sent 2. Gives its address.
fn wallet_commands(net: &Net) -> String {
    let key = net.scratch().join("alice.key");
    let made = gridproof(&["wallet", "new", "--key", text(&key)]).success();
    let shown = gridproof(&["wallet", "show", "--key", text(&key)]).success();
    assert_eq!(made["address"], shown["address"]);
    let address = shown["address"].as_str().unwrap().to_owned();
    assert_eq!(balance(net, &address), "0");
    let send = |key: &str, to: &str, amount: &str| {
        let arguments = [
            "wallet",
            "send",
            "--key",
            key,
            "--to",
            to,
            "--amount",
            amount,
            "--rpc",
            net.rpc(0),
        ];
        let sent = gridproof(&arguments).success();
        assert_eq!(
            (&sent["to"], &sent["amount"], &sent["fee"]),
            (&json!(to), &json!(amount), &json!("0.001"))
        );
        let height = sent["height"].as_u64().unwrap();
        net.wait("the transfer at another validator", 30, |net| {
            net.heights()[1].is_some_and(|h| h >= height)
        });
    };
    send(net.customer(), &address, "12.5");
    send(text(&key), RECEIVER, "2");
    assert_eq!(
        (balance(net, &address), balance(net, RECEIVER)),
        ("10.499".to_owned(), "2".to_owned())
    );
    gridproof(&["wallet", "new", "--key", text(&key)]).fails(
        9,
        "key_file",
        "alice.key",
        "never overwritten",
    );
    address
}

/// A job, step by step. Gives its id.
fn job_commands(net: &Net) -> String {
    let spec = histogram(&net.scratch().join("job"), 2, 2);
    let (spec, rpc, genesis, out) = (
        text(&spec),
        net.rpc(0),
        net.devnet.genesis(),
        net.scratch().join("fetched"),
    );
    let valid = gridproof(&["job", "validate", spec]).success();
    assert_eq!(
        (&valid["name"], &valid["tasks"], &valid["price_cap"]),
        (&json!("e2e"), &json!(2), &json!("0.2"))
    );
    let estimate = gridproof(&["job", "estimate", spec, "--rpc", rpc]).success();
    assert_eq!(estimate["eligible"], 5);
    assert!(
        estimate["refusal"].is_null() && estimate["total"].is_string(),
        "{estimate}"
    );

    let submitted =
        gridproof(&["job", "submit", spec, "--rpc", rpc, "--key", net.customer()]).success();
    let job = submitted["job"].as_str().unwrap();
    let status = gridproof(&["job", "status", job, "--rpc", rpc]).success();
    assert_eq!(
        (&status["id"], &status["spec"]["price_cap"]),
        (&json!(job), &json!("0.2"))
    );
    let waited = gridproof(&["job", "wait", job, "--rpc", rpc, "--timeout", "120"]).success();
    assert_eq!(
        (&waited["stage"], &waited["live"]),
        (&json!("settled"), &json!(false))
    );
    assert!(waited["receipt"]["verifiers"].as_array().unwrap().len() >= 2);

    let fetch = [
        "job",
        "fetch",
        job,
        "--rpc",
        rpc,
        "--genesis",
        text(&genesis),
        "--out",
        text(&out),
    ];
    let fetched = gridproof(&fetch).success();
    assert_eq!(
        (&fetched["job"], &fetched["verified"]),
        (&json!(job), &json!(true))
    );
    assert_eq!(fetched["receipt"], waited["receipt"]);
    assert_eq!(gridproof(&fetch).success()["receipt"], waited["receipt"]);
    std::fs::write(out.join("job.id"), "00".repeat(32)).unwrap();
    gridproof(&fetch).fails(3, "out_folder", "not empty", "--resume");
    std::fs::write(out.join("job.id"), job).unwrap();
    assert!(
        std::fs::read_to_string(out.join("1/hist"))
            .unwrap()
            .starts_with("from,to,count\n")
    );
    verified_alone(&out, &genesis, &waited);
    spec_again(net, job, &valid);
    job.to_owned()
}

/// A folder verifies offline, and so does its receipt alone.
fn verified_alone(out: &Path, genesis: &Path, waited: &Value) {
    let receipt = out.join("receipt.json");
    let verify = [
        "job",
        "verify",
        "--receipt",
        text(&receipt),
        "--genesis",
        text(genesis),
        "--outputs",
        text(out),
    ];
    assert_eq!(gridproof(&verify).success()["receipt"], waited["receipt"]);
    let alone = gridproof(&verify[..6]).success();
    assert_eq!(
        (&alone["receipt"], &alone["files"]),
        (&waited["receipt"], &Value::Null)
    );
}

/// What the chain holds of a job is a spec again, and of the same job.
fn spec_again(net: &Net, job: &str, valid: &Value) {
    let again = net.scratch().join("again.yaml");
    let written = gridproof(&["job", "spec", job, "--rpc", net.rpc(0)]).success();
    std::fs::write(&again, written["yaml"].as_str().unwrap()).unwrap();
    let again = gridproof(&["job", "validate", text(&again)]).success();
    assert_eq!(again["workload"], valid["workload"]);
}

/// Tasks whose program fails are settled and paid, and told with an exit code of their own.
fn failed_tasks(net: &Net) {
    let spec = histogram(&net.scratch().join("bad"), 2, 1);
    let good = std::fs::read_to_string(&spec).unwrap();
    std::fs::write(&spec, good.replace("/in/data", "/in/elsewhere")).unwrap();
    let (spec, out) = (text(&spec), net.scratch().join("bad-out"));
    let (rpc, genesis) = (net.rpc(0), net.devnet.genesis());
    let run = |out: &std::path::Path, more: &[&str]| {
        let mut command = vec!["job", "run", spec, "--rpc", rpc, "--key", net.customer()];
        command.extend(["--genesis", text(&genesis), "--out", text(out)]);
        command.extend(more);
        gridproof(&command)
    };
    run(&out, &["--max-cost", "0.01"]).fails(5, "above_max_cost", "0.01", "job estimate");
    let failed = run(&out, &[]);
    failed.fails(15, "tasks_failed", "2 of 2 tasks failed", "--allow-failed");
    let tasks = failed.json["failed_tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 2, "{}", failed.json);
    assert_eq!(tasks[1]["missing_outputs"], json!(["hist"]));
    assert_eq!(failed.json["verified"], json!(true));
    let allowed = run(&net.scratch().join("bad-allowed"), &["--allow-failed"]).success();
    assert_eq!(allowed["failed_tasks"], failed.json["failed_tasks"]);
}

/// What must be the same after a restart: the job's record and receipt, and balances.
fn lasting(net: &Net, alice: &str, job: &str) -> Value {
    let status = gridproof(&["job", "status", job, "--rpc", net.rpc(2)]).success();
    let customer = gridproof(&["wallet", "show", "--key", net.customer()]).success();
    json!({
        "stage": status["stage"], "history": status["history"], "receipt": status["receipt"],
        "spec": status["spec"], "escrow": status["escrow"], "burned": status["burned"],
        "alice": balance(net, alice), "receiver": balance(net, RECEIVER),
        "customer": balance(net, customer["address"].as_str().unwrap()),
    })
}
