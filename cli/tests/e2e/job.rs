//! Jobs that survive the death of whoever works on them.

use std::path::Path;

use rpc::model::JobView;
use rustix::process::Signal;
use testnet::devnet::process::signal;
use testnet::devnet::{ProcessRole, plan};
use types::codec::encode;
use types::hash::Address;
use types::number::Timestamp;

use crate::harness::{Net, Output, finish, gridproof, histogram, text};

/// The newest job that is not over, as a validator knows it.
fn newest_job(net: &Net, validator: usize) -> Option<JobView> {
    let client = net.client(validator);
    net.block_on(async {
        let job = client.jobs(true).await.ok()?.jobs.last()?.id;
        client.job(job).await.ok()
    })
}

/// Waits until the newest job has a primary in one of some stages.
pub fn primary_in(net: &Net, what: &str, stages: &[&str]) -> Address {
    let mut primary = None;
    net.wait(what, 60, |net| {
        primary = newest_job(net, 0)
            .filter(|job| stages.contains(&job.stage.as_str()))
            .and_then(|job| job.primary);
        primary.is_some()
    });
    primary.unwrap()
}

fn verify_with(genesis: &Path, out: &Path) -> Output {
    let receipt = out.join("receipt.json");
    gridproof(&[
        "job",
        "verify",
        "--receipt",
        text(&receipt),
        "--genesis",
        text(genesis),
        "--outputs",
        text(out),
    ])
}

/// Changes one byte of a file and shows that the folder is refused; then changes it back.
fn tampered(genesis: &Path, out: &Path, file: &str, at: usize) {
    let path = out.join(file);
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[at] ^= 1;
    std::fs::write(&path, bad).unwrap();
    verify_with(genesis, out).fails(
        7,
        "not_verified",
        "not verified: ",
        "do not use these results",
    );
    std::fs::write(&path, good).unwrap();
}

/// Files with compiled code that the partners keep.
fn kept_code(net: &Net) -> usize {
    let code = |index: usize| net.devnet.root().join(format!("partner-{index}/code"));
    let folders = (0..).map(code).take_while(|folder| folder.exists());
    folders
        .map(|folder| std::fs::read_dir(folder).unwrap().count())
        .sum()
}

/// Where the first byte after a text stands in a file.
fn after(path: &Path, what: &str) -> usize {
    let content = std::fs::read_to_string(path).unwrap();
    content
        .find(what)
        .unwrap_or_else(|| panic!("no {what} in {}", path.display()))
        + what.len()
}

#[test]
fn a_job_settles_and_its_result_is_verified_offline() {
    let mut net = Net::up(4);
    let spec = histogram(&net.scratch().join("job"), 2, 2);
    let (first, second) = (net.scratch().join("first"), net.scratch().join("second"));
    let child = net.spawn_job(&spec, &first);
    net.wait("the job in a block", 60, |net| newest_job(net, 1).is_some());
    net.kill("validator-2");
    let one = finish(child).success();
    net.restart("validator-2");
    let two = net.run_job(&spec, &second).success();
    assert_eq!(
        one["unblinded_root"], two["unblinded_root"],
        "two runs of one job give the same result"
    );
    assert!(one["unblinded_root"].is_string());
    for path in ["0/hist", "1/hist", "0/stdout", "outcomes.bin"] {
        assert_eq!(
            std::fs::read(first.join(path)).unwrap(),
            std::fs::read(second.join(path)).unwrap(),
            "{path}"
        );
    }
    net.devnet.stop();
    assert!(kept_code(&net) > 0, "who ran the module keeps its code");

    let genesis = net.devnet.genesis();
    let verified = verify_with(&genesis, &first).success();
    assert_eq!(
        (&verified["verified"], &verified["receipt"]),
        (&true.into(), &one["receipt"])
    );
    let receipt = first.join("receipt.json");
    tampered(
        &genesis,
        &first,
        "receipt.json",
        after(&receipt, "\"primary\": \""),
    );
    tampered(
        &genesis,
        &first,
        "receipt.json",
        after(&receipt, "\"proof\": \"") + 100,
    );
    tampered(&genesis, &first, "outcomes.bin", 10);
    tampered(&genesis, &first, "workload.bin", 10);
    tampered(&genesis, &first, "1/hist", 0);
    std::fs::rename(first.join("0/hist"), first.join("0/other")).unwrap();
    verify_with(&genesis, &first).fails(7, "not_verified", "", "fetch the job");
    let other = other_genesis(&net);
    verify_with(&other, &second).fails(
        7,
        "not_verified",
        "not verified: ",
        "do not use these results",
    );
    verify_with(&genesis, &second).success();
}

/// The genesis of another network, made as this one was.
fn other_genesis(net: &Net) -> std::path::PathBuf {
    let folder = net.scratch().join("other");
    let options = plan::DevnetOptions {
        validators: 4,
        partners: 4,
        base_port: 20_000,
    };
    let path = folder.join("genesis.bin");
    let plan = plan::make(&folder, &options, Timestamp(1)).unwrap();
    std::fs::write(&path, encode(&plan.genesis)).unwrap();
    path
}

#[test]
fn a_primary_that_dies_is_replaced_and_one_that_comes_back_reveals_in_time() {
    let mut net = Net::up(4);
    let spec = histogram(&net.scratch().join("job"), 1, 1);
    // Partners that stand still cannot commit before their primary is found and killed.
    let partners = net.names(ProcessRole::Partner);
    for partner in &partners {
        net.signal(partner, Signal::STOP);
    }
    let child = net.spawn_job(&spec, &net.scratch().join("replaced"));
    let dead = primary_in(&net, "a primary", &["assigned"]);
    net.kill(&net.partner_of(dead));
    for partner in &partners {
        net.signal(partner, Signal::CONT);
    }
    let receipt = finish(child).success()["receipt"].clone();
    assert_ne!(
        receipt["primary"],
        dead.to_string(),
        "another partner was paid"
    );
    assert!(receipt["attempt"].as_u64().unwrap() > 0, "{receipt}");
    net.restart(&net.partner_of(dead));

    let child = net.spawn_job(&spec, &net.scratch().join("returned"));
    let committed = primary_in(&net, "a commitment", &["announcing", "appointing"]);
    let name = net.partner_of(committed);
    net.kill(&name);
    net.restart(&name);
    let receipt = finish(child).success()["receipt"].clone();
    assert_eq!(
        receipt["primary"],
        committed.to_string(),
        "the primary that came back was paid"
    );
    assert_eq!(receipt["attempt"], 0);
}

#[test]
fn an_interrupted_job_goes_on_until_its_customer_cancels_it() {
    let mut net = Net::up(4);
    let spec = histogram(&net.scratch().join("job"), 1, 1);
    // Nobody acknowledges it: there is time to change one's mind.
    for partner in net.names(ProcessRole::Partner) {
        net.signal(&partner, Signal::STOP);
    }
    let child = net.spawn_job(&spec, &net.scratch().join("out"));
    primary_in(&net, "a primary", &["assigned"]);
    signal(child.id(), Signal::INT);
    let interrupted = finish(child);
    interrupted.fails(130, "interrupted", "goes on", "gridproof job cancel");
    let job = interrupted.json["job"].as_str().unwrap().to_owned();
    let status = gridproof(&["job", "status", &job, "--rpc", net.rpc(0)]).success();
    assert_eq!(status["live"], true);

    let genesis = net.devnet.genesis();
    let cancel = |key: &str| {
        let job = ["job", "cancel", &job, "--rpc", net.rpc(0), "--key", key];
        gridproof(&[&job[..], &["--genesis", text(&genesis)]].concat())
    };
    let stranger = net.scratch().join("stranger.key");
    gridproof(&["wallet", "new", "--key", text(&stranger)]).success();
    cancel(text(&stranger)).fails(5, "not_customer", "belongs to", "key of the account");
    let cancelled = cancel(net.customer()).success();
    assert_eq!(
        (&cancelled["stage"], &cancelled["failure"]),
        (&"failed".into(), &"cancelled".into())
    );
    cancel(net.customer()).fails(5, "too_late_to_cancel", "failed already", "nothing left");
    for partner in net.names(ProcessRole::Partner) {
        net.signal(&partner, Signal::CONT);
    }
}

/// A module that counts down from so many, for some seconds.
fn countdown(from: u32) -> Vec<u8> {
    let mut number = Vec::new();
    let mut rest = from;
    while rest >= 0x40 {
        number.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    number.push(u8::try_from(rest).unwrap());
    // One local i64: set it; loop, subtract 1, again unless it is 0.
    let before = [1, 1, 0x7e, 0x42];
    let after = [
        0x21, 0, 3, 0x40, 0x20, 0, 0x42, 1, 0x7d, 0x22, 0, 0x42, 0, 0x52, 0x0d, 0, 0x0b, 0x0b,
    ];
    let body = [&before[..], &number, &after].concat();
    let length = u8::try_from(body.len()).unwrap();
    let head = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01";
    let exports = b"\x07\x13\x02\x06memory\x02\0\x06_start\0\0";
    [&head[..], exports, &[0x0a, length + 2, 1, length], &body].concat()
}

#[test]
fn a_primary_that_dies_at_work_holds_its_job_for_seconds() {
    let mut net = Net::up(4);
    let folder = net.scratch().join("job");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("countdown.wasm"), countdown(400_000_000)).unwrap();
    let spec = folder.join("job.yaml");
    let text = "version: gridproof/v1\nname: long\nengine: {type: wasm, params: {module: countdown.wasm}}\n\
                tasks: {array: 6}\nverification: {verifiers: 1, tasks: 1}\n";
    std::fs::write(&spec, text).unwrap();
    let child = net.spawn_job(&spec, &net.scratch().join("out"));
    // It works once its time is that for executing, which is minutes.
    let mut found = None;
    net.wait("a primary at work", 60, |net| {
        found = newest_job(net, 0).filter(|job| {
            job.stage == "assigned" && job.deadline_in_ms.is_some_and(|left| left > 100_000)
        });
        found.is_some()
    });
    let dead = found.and_then(|job| job.primary).unwrap();
    net.kill(&net.partner_of(dead));
    let job = finish(child).success()["job"].as_str().unwrap().to_owned();
    let view = gridproof(&["job", "status", &job, "--rpc", net.rpc(0)]).success();
    assert_ne!(view["primary"], dead.to_string());
    let history = view["history"].as_array().unwrap();
    let entered = |stage: &str, attempt: u64| {
        let mut entries = history.iter();
        let entry = entries.find(|entry| entry["stage"] == stage && entry["attempt"] == attempt);
        entry.unwrap()["time"].as_u64().unwrap()
    };
    let held = entered("pending", 1) - entered("assigned", 0);
    assert!(held < 30_000, "the job was held for {held} ms");
    net.restart(&net.partner_of(dead));
}
