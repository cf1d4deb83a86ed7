//! Signers that misbehave: one that hangs, and one that a second node asks.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testnet::devnet::process::wait_until;

use crate::harness::{Net, Output, finish, gridproof, spawn, text};
use crate::signer::{NAME, TracedSigner, last_vote, ready_error, shown, wait_for_votes};

/// A devnet whose last validator is stopped and has its key with a signer that does not run yet.
fn with_signer() -> (Net, TracedSigner) {
    let net = Net::up(0);
    let dir = text(net.devnet.root()).to_owned();
    gridproof(&["devnet", "stop", NAME, "--dir", &dir]).success();
    let signer = TracedSigner::take_key(&net);
    (net, signer)
}

fn start_both(net: &mut Net, signer: &mut TracedSigner) {
    signer.start(net, &["-e", "trace=none"]);
    net.restart_by_command(NAME);
    net.wait("a ready node", 120, |net| ready_error(net).is_none());
    wait_for_votes(net, 3);
}

fn log_of(net: &Net) -> String {
    std::fs::read_to_string(net.devnet.root().join(NAME).join("output.log")).unwrap()
}

fn says(net: &Net, metric: &str) -> bool {
    shown(net, NAME).contains(&format!("\n{metric}\n"))
}

/// Nobody has a proof that a validator contradicted itself.
#[track_caller]
fn assert_no_evidence(net: &Net) {
    for process in &net.devnet.manifest.processes {
        let shown = shown(net, &process.name);
        let none = "\ngridproof_consensus_evidence_pieces 0.0\n";
        assert!(shown.contains(none), "{}: {shown}", process.name);
    }
}

#[test]
fn a_validator_serves_while_its_signer_hangs_and_votes_once_it_answers() {
    let (mut net, mut signer) = with_signer();
    // One that never answers from the start on: connections are taken by the system alone.
    let hanging = UnixListener::bind(signer.folder.join("s")).unwrap();
    let dir = net.devnet.root().join(NAME);
    let refused = gridproof(&["node", "start", "--dir", text(&dir)]);
    let hint = "start gridproof signer first";
    refused.fails(4, "signer_away", "no answer within 2 s", hint);
    assert_eq!(
        refused.json["error"]["retryable"], true,
        "a supervisor starts it again"
    );
    drop(hanging);

    start_both(&mut net, &mut signer);
    signer.signal("STOP");
    net.wait("a node that says that its signer hangs", 60, |net| {
        ready_error(net).is_some_and(|error| error.contains("no answer within 2 s"))
    });
    let line = "no signature, so no vote: the signer at";
    assert!(log_of(&net).contains(line), "{}", log_of(&net));
    assert!(says(&net, "gridproof_consensus_signer_away 1.0"));
    let status = gridproof(&["status", "--rpc", &net.devnet.manifest.rpc[3]]);
    status.fails(5, "not_ready", "signer_away", "node validators");
    // It answers, and follows the chain on which it does not vote.
    let silent = last_vote(&net);
    let own = |net: &Net| net.heights()[3].unwrap_or_default();
    let from = own(&net);
    net.wait("blocks of the others", 60, |net| own(net) > from + 5);
    assert_eq!(last_vote(&net), silent, "a vote that nobody signed");

    signer.signal("CONT");
    wait_for_votes(&net, 3);
    net.wait("a ready node", 60, |net| ready_error(net).is_none());
    assert!(log_of(&net).contains("the signer signs again"));
    assert!(says(&net, "gridproof_consensus_signer_away 0.0"));
    assert_no_evidence(&net);
}

/// Copies a directory of a node that does not run.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .args(["-a", text(from), text(to)])
        .status();
    assert!(status.unwrap().success());
}

/// What a second node of a directory says when it ends; one that goes on is killed.
fn start_second(directory: &Path) -> Output {
    let mut second = spawn(&[
        "node",
        "start",
        "--dir",
        text(directory),
        "--p2p-listen",
        "/ip4/127.0.0.1/tcp/0",
        "--rpc-listen",
        "127.0.0.1:0",
        "--set",
        "metrics.listen=127.0.0.1:0",
    ]);
    let ended = wait_until(Duration::from_secs(30), || {
        second.try_wait().unwrap().is_some()
    });
    if !ended {
        second.kill().unwrap();
    }
    finish(second)
}

#[test]
fn a_second_node_at_a_signer_does_not_start_and_the_first_goes_on() {
    let (mut net, mut signer) = with_signer();
    let second: PathBuf = net.scratch().join("second");
    copy(&net.devnet.root().join(NAME), &second);
    start_both(&mut net, &mut signer);
    for _ in 0..2 {
        let refused = start_second(&second);
        let message = "another node signs through the signer at";
        refused.fails(
            13,
            "second_signer",
            message,
            "run one process with this key",
        );
    }
    wait_for_votes(&net, 3);
    assert_eq!(ready_error(&net), None);
    // The signer itself goes on, too: the same node may come back at once.
    net.kill(NAME);
    net.restart(NAME);
    wait_for_votes(&net, 3);
    assert_no_evidence(&net);
}
