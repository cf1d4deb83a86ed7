//! Every mistake has its own message, exit code and hint.

mod printed;

use std::path::Path;

use crate::harness::{Net, Output, binary, gridproof, histogram, text};

#[test]
fn no_connection_and_bad_arguments() {
    let output = gridproof(&["node", "status", "--rpc", "http://127.0.0.1:9"]);
    output.fails(4, "no_connection", "127.0.0.1:9", "is the node running");
    let output = std::process::Command::new(binary())
        .args(["job", "frobnicate"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// What a customer writes into a spec.
struct Mistakes {
    net: Net,
    spec: std::path::PathBuf,
    good: String,
}

impl Mistakes {
    fn new() -> Self {
        let net = Net::up(2);
        let spec = histogram(&net.scratch().join("job"), 2, 1);
        let good = std::fs::read_to_string(&spec).unwrap();
        Self { net, spec, good }
    }

    fn run_as(&self, key: &str, spec: &str) -> Output {
        std::fs::write(&self.spec, spec).unwrap();
        let out = self.net.scratch().join("out");
        let rpc = self.net.rpc(0);
        gridproof(&[
            "job",
            "run",
            text(&self.spec),
            "--rpc",
            rpc,
            "--key",
            key,
            "--out",
            text(&out),
        ])
    }

    /// The good spec with one text for another.
    fn run(&self, from: &str, to: &str) -> Output {
        assert!(self.good.contains(from), "{from:?} is in the spec");
        self.run_as(self.net.customer(), &self.good.replace(from, to))
    }

    fn run_with(&self, more: &str) -> Output {
        self.run_as(self.net.customer(), &format!("{}{more}\n", self.good))
    }
}

#[test]
fn a_job_that_cannot_be_is_refused_with_the_reason() {
    let job = Mistakes::new();
    job.run("data.txt", "missing.txt").fails(
        3,
        "missing_input",
        "missing.txt",
        "start at the spec's folder",
    );
    let output = job.run("module: histogram.wasm", "module: data.txt");
    output.fails(
        3,
        "not_wasm",
        "data.txt is not a WebAssembly module",
        "compile it to WASI first",
    );
    job.run("array: 2", "array: 2000000")
        .fails(3, "bad_spec", "tasks.array", "docs/job-spec.md");
    job.run("outputs:", "outptus:")
        .fails(3, "bad_spec", "outptus", "docs/job-spec.md");
    job.run_with("resources: {fuel: 2000T}").fails(
        3,
        "bad_spec",
        "resources.fuel",
        "docs/job-spec.md",
    );

    let output = job.run_with("constraints: {attributes: {location: atlantis}}");
    output.fails(
        5,
        "constraints_unmet",
        "none of the 2 partners",
        "relax constraints.attributes",
    );
    let output = job.run_with("payment: {price: 0.000001}");
    output.fails(5, "price_too_low", "0.000001", "raise payment.price");
    let output = job.run("verifiers: 1,", "verifiers: 1, value_at_risk: 1000000,");
    output.fails(
        5,
        "bond_too_small",
        "locked bond of at least",
        "lower verification.value_at_risk",
    );
    let output = job.run("verifiers: 1,", "verifiers: 2,");
    output.fails(
        5,
        "not_enough_verifiers",
        "2 verifiers are demanded",
        "lower verification.verifiers",
    );
    nothing_was_sent(&job.net);

    let poor = job.net.scratch().join("poor.key");
    let address = gridproof(&["wallet", "new", "--key", text(&poor)]).success()["address"].clone();
    send(&job.net, address.as_str().unwrap(), "0.01");
    let output = job.run_as(text(&poor), &job.good);
    let message = format!("the account {} holds 0.01", address.as_str().unwrap());
    output.fails(5, "insufficient_balance", &message, "gridproof wallet send");
    send_all(&job.net, &poor).fails(5, "insufficient_balance", "0.01", "");
}

fn nothing_was_sent(net: &Net) {
    let balance = gridproof(&[
        "wallet",
        "balance",
        "--key",
        net.customer(),
        "--rpc",
        net.rpc(0),
    ])
    .success();
    assert_eq!(balance["nonce"], 0, "no mistake cost a fee");
}

fn send(net: &Net, to: &str, amount: &str) {
    let key = net.customer();
    gridproof(&[
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
    ])
    .success();
}

fn send_all(net: &Net, key: &Path) -> Output {
    let to = "00000000000000000000000000000000000000aa";
    gridproof(&[
        "wallet",
        "send",
        "--key",
        text(key),
        "--to",
        to,
        "--amount",
        "0.01",
        "--rpc",
        net.rpc(0),
    ])
}
