//! A wrong result that settled, since everybody who checked it lied: whoever runs the job again has the receipt revoked.

use std::path::{Path, PathBuf};

use testnet::temporary::TemporaryDevnet;

use crate::harness::{Net, binary, gridproof, histogram, text};

/// The program whose partners can be told to lie, beside the binary under test.
fn peer() -> PathBuf {
    let peer = binary().with_file_name("testnet-peer");
    assert!(peer.exists(), "cargo build --workspace --bins makes it");
    peer
}

/// A devnet of four partners, of which all but the last flip a byte of what they find; the last one does not run.
fn of_liars() -> Net {
    let environment = |name: &str| {
        let lies = name.starts_with("partner-") && name != "partner-3";
        let variable = ("TESTNET_FAULT".to_owned(), "flip-byte".to_owned());
        lies.then_some(variable).into_iter().collect()
    };
    let mut net = Net::of(TemporaryDevnet::start(&peer(), 4, environment).unwrap());
    net.kill("partner-3");
    net
}

fn challenge(dir: &Path, job: &str, more: &[&str]) -> crate::harness::Output {
    let command = ["partner", "challenge", "--dir", text(dir), job];
    gridproof(&[&command[..], more].concat())
}

#[test]
fn a_wrong_result_that_settled_is_found_and_revoked() {
    let net = of_liars();
    let honest = net.devnet.root().join("partner-3");
    let spec = histogram(&net.scratch().join("job"), 2, 1);
    let out = net.scratch().join("out");
    let settled = net.run_job(&spec, &out).success();
    let job = settled["job"].as_str().unwrap();
    assert_eq!(settled["standing"]["final"], false);
    let primary = &settled["receipt"]["primary"].as_str().unwrap();
    let bond = |net: &Net| {
        let view = net.block_on(net.client(0).partner(primary.parse().unwrap()));
        view.unwrap().bond
    };
    let before = bond(&net);

    let found = challenge(&honest, job, &["--dry-run", "--task", "1"]).success();
    assert_eq!(found["differing"][0]["task"], 1);
    assert_eq!(found["challenged"], false);
    let job_by_digits = &job[..12];
    challenge(&honest, job_by_digits, &["--fee", "0.000001"]).fails(
        5,
        "transaction_refused",
        "fee",
        "at least the fee",
    );
    let revoked = challenge(&honest, job_by_digits, &["--fee", "0.5"]).success();
    assert_eq!(
        (&revoked["stage"], &revoked["failure"]),
        (&"failed".into(), &"revoked".into())
    );
    assert!(bond(&net) < before, "its primary lost what it had locked");

    // Nobody can have a file any more that says the receipt stands, and nobody can challenge it again.
    let again = net.scratch().join("again");
    let fetched = [
        "job",
        "fetch",
        job,
        "--rpc",
        net.rpc(1),
        "--out",
        text(&again),
    ];
    gridproof(&fetched).fails(
        6,
        "revoked",
        "the receipt is revoked",
        "do not use the results",
    );
    challenge(&honest, job, &[]).fails(5, "wrong_stage", "only a settled one", "job status");
    assert!(!honest.join("challenges").join(job).exists());
}
