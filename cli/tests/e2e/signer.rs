//! A validator whose key is with a signer: what reaches the disk before a signature leaves, and what happens when the signer dies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rpc::model::ValidatorList;
use serde_json::Value;

use crate::doctor::outcomes;
use crate::harness::{Net, binary, gridproof, text};
use crate::metrics::get;

/// The validator that signs through a signer.
pub const NAME: &str = "validator-3";

/// A signer in a folder of its own, which dies with the test.
pub struct TracedSigner {
    /// Where its key, its socket and its trace are.
    pub folder: PathBuf,
    process: Option<Child>,
}

impl Drop for TracedSigner {
    fn drop(&mut self) {
        self.kill();
    }
}

impl TracedSigner {
    /// Takes the key out of a stopped validator's directory and tells its configuration where to ask.
    pub fn take_key(net: &Net) -> Self {
        let folder = net.scratch().join("signer");
        keys::folder::create(&folder).unwrap();
        let node = net.devnet.root().join(NAME);
        let key = folder.join("validator.key");
        std::fs::rename(node.join("keys/validator.key"), &key).unwrap();
        gridproof(&["signer", "--key", text(&key), "--init"]).success();
        let config = node.join("node.toml");
        let old = std::fs::read_to_string(&config).unwrap();
        let line = format!("signer = \"unix:{}/s\"", text(&folder));
        let is_example = |found: &str| found.starts_with("# signer = ");
        let lines = old
            .lines()
            .map(|found| if is_example(found) { &line } else { found });
        std::fs::write(&config, lines.collect::<Vec<_>>().join("\n")).unwrap();
        let process = None;
        Self { folder, process }
    }

    fn trace(&self) -> PathBuf {
        self.folder.join("trace")
    }

    /// The whole lines of its trace so far.
    fn traced(&self) -> String {
        let mut trace = std::fs::read_to_string(self.trace()).unwrap_or_default();
        trace.truncate(trace.rfind('\n').map_or(0, |end| end + 1));
        trace
    }

    /// Starts it under strace with some arguments, and waits until it listens.
    pub fn start(&mut self, net: &Net, strace: &[&str]) {
        let _ = std::fs::remove_file(self.folder.join("s"));
        let process = Command::new("strace")
            .args(["-f", "-qq", "-yy", "-o", text(&self.trace())])
            .args(strace)
            .arg(binary())
            .args(["signer", "--key", text(&self.folder.join("validator.key"))])
            .args(["--listen", &format!("unix:{}/s", text(&self.folder))])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        net.wait("the signer's socket", 30, |_| {
            self.folder.join("s").exists()
        });
    }

    /// Ends strace, which takes the signer with it.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal_children(&process, "KILL");
            let _ = process.wait();
        }
    }

    /// Sends the signer itself a signal.
    pub fn signal(&self, name: &str) {
        signal_children(self.process.as_ref().unwrap(), name);
    }

    fn is_gone(&mut self) -> bool {
        let process = self.process.as_mut().unwrap();
        process.try_wait().unwrap().is_some()
    }
}

/// Sends a signal to what strace runs.
fn signal_children(strace: &Child, name: &str) {
    let children = format!("/proc/{0}/task/{0}/children", strace.id());
    let signer = std::fs::read_to_string(children).unwrap_or_default();
    if signer.is_empty() {
        return;
    }
    let _ = Command::new("kill")
        .arg(format!("-{name}"))
        .args(signer.split_whitespace())
        .status();
}

/// The view of the validator's last vote, as another one saw it.
pub fn last_vote(net: &Net) -> u64 {
    let shown = gridproof(&["node", "validators", "--rpc", net.rpc(0)]).success();
    let list: ValidatorList = serde_json::from_value(shown.clone()).unwrap();
    let is_it = |view: &&rpc::model::ValidatorView| view.name.as_deref() == Some(NAME);
    let view = list.validators.iter().find(is_it).unwrap();
    view.last_vote.as_ref().map_or(0, |vote| vote.view.0)
}

pub fn height(net: &Net) -> u64 {
    net.heights()[0].unwrap_or_default()
}

pub fn wait_for_votes(net: &Net, more: u64) {
    let from = last_vote(net);
    net.wait("votes of the validator", 60, |net| {
        last_vote(net) >= from + more
    });
}

/// The metrics of a process.
pub fn shown(net: &Net, name: &str) -> String {
    let processes = &net.devnet.manifest.processes;
    let process = processes.iter().find(|process| process.name == name);
    get(&process.unwrap().metrics, "/metrics").unwrap().1
}

pub fn ready_error(net: &Net) -> Option<String> {
    let ready = net.block_on(net.client(3).ready());
    ready.err().map(|error| error.to_string())
}

#[test]
fn a_vote_is_on_disk_before_its_signature_leaves_and_the_node_outlives_its_signer() {
    let mut net = Net::up(0);
    let dir = text(net.devnet.root()).to_owned();
    gridproof(&["devnet", "stop", NAME, "--dir", &dir]).success();
    let mut signer = TracedSigner::take_key(&net);
    let calls = "trace=openat,write,fsync,fdatasync,rename,renameat,renameat2,sendto";
    signer.start(&net, &["-e", calls]);
    net.restart_by_command(NAME);
    // Votes alone would not do: a validator that comes in late has missed the views before.
    net.wait("signatures after a write", 120, |_| {
        signatures(&signer.traced(), &signer.folder).0 > 20
    });
    signer.kill();
    let (_, others) = signatures(&signer.traced(), &signer.folder);
    // Records of where the node is found are signed too, and contradict nothing.
    assert!(others < 6, "{others} signatures without a write");

    net.wait("a node that says what it lacks", 60, |net| {
        ready_error(net).is_some_and(|error| error.contains("the signer at"))
    });
    let doctor = |net: &Net| gridproof(&["doctor", "--dir", text(&net.devnet.root().join(NAME))]);
    let away = doctor(&net);
    assert_eq!(outcomes(&away.json, "signer"), ["wrong"], "{}", away.json);
    assert_eq!(
        outcomes(&away.json, "key"),
        ["fine", "fine"],
        "node and VRF key"
    );
    assert!(shown(&net, NAME).contains("\ngridproof_consensus_signer_away 1.0\n"));
    let from = height(&net);
    net.wait("blocks without it", 60, |net| height(net) > from + 3);
    signer.start(&net, &["-e", "trace=none"]);
    wait_for_votes(&net, 3);
    net.wait("a ready node", 60, |net| ready_error(net).is_none());
    // Other findings are this machine's: a clock may be called wrong on a busy one.
    let there = doctor(&net).json;
    assert_eq!(outcomes(&there, "signer"), ["fine"], "{there}");
    assert!(shown(&net, NAME).contains("\ngridproof_consensus_signer_away 0.0\n"));

    // Killed at each step of a signature, again and again.
    for call in ["openat", "write", "fsync", "rename", "sendto"] {
        signer.kill();
        let inject = format!("inject={call}:signal=KILL:when=7");
        let fresh = format!("{}/validator.key.signed.new", text(&signer.folder));
        let of_file = ["-P", fresh.as_str(), "-e", inject.as_str()];
        // What is sent has no path.
        let first = if call == "sendto" { 2 } else { 0 };
        signer.start(&net, &of_file[first..]);
        net.wait("the death of the signer", 60, |_| signer.is_gone());
        assert!(signer.folder.join("validator.key.signed").exists());
    }
    signer.start(&net, &["-e", "trace=none"]);
    wait_for_votes(&net, 5);
    for process in &net.devnet.manifest.processes {
        let shown = shown(&net, &process.name);
        let none = "\ngridproof_consensus_evidence_pieces 0.0\n";
        assert!(shown.contains(none), "{}: {shown}", process.name);
    }
}

/// Counts the answers with signatures in a trace: after a whole write of what was signed, and without a write. Fails if one left
/// between the beginning of a write and its end.
fn signatures(trace: &str, folder: &Path) -> (usize, usize) {
    let (mut kept, mut others) = (0, 0);
    let mut stages: BTreeMap<&str, usize> = BTreeMap::new();
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    let fresh = format!("{}/validator.key.signed.new", text(folder));
    let signed = format!("{}/validator.key.signed", text(folder));
    for line in trace.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let mut call = rest.trim_start().to_owned();
        if let Some(start) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, start.to_owned());
            continue;
        }
        if let Some((_, end)) = call.split_once(" resumed>") {
            call = begun.remove(thread).unwrap_or_default() + end;
        }
        let stage = stages.entry(thread).or_default();
        let ended_well = !call.contains(" = -1 ");
        let next = match *stage {
            0 => call.starts_with("openat(") && call.contains(&format!("\"{fresh}\"")),
            1 => call.starts_with("write(") && call.contains(&fresh),
            2 => call.starts_with("fsync(") && call.contains(&fresh),
            3 => {
                call.starts_with("rename")
                    && call.contains(&format!("\"{fresh}\""))
                    && call.contains(&format!("\"{signed}\""))
            }
            4 => call.starts_with("openat(") && call.contains(&format!("\"{}\"", text(folder))),
            5 => call.starts_with("fsync(") && call.contains(&format!("<{}>", text(folder))),
            _ => false,
        };
        if next && ended_well {
            *stage += 1;
        }
        // An answer with a signature has 73 bytes or more, the others have fewer or begin otherwise.
        if sent_bytes(&call).is_some_and(|bytes| bytes >= 73) && is_signed(&call) {
            match *stage {
                0 => others += 1,
                6 => kept += 1,
                part => panic!("a signature left after step {part} of 6: {call}"),
            }
            *stage = 0;
        }
    }
    (kept, others)
}

/// Bytes that a call sent over a socket.
fn sent_bytes(call: &str) -> Option<usize> {
    let sends =
        call.starts_with("sendto(") || (call.starts_with("write(") && call.contains("<UNIX"));
    let count = call.rsplit_once(" = ")?.1.trim().parse().ok()?;
    sends.then_some(count)
}

/// True if what was sent is an answer with signatures: its fifth byte, after the length, is 1.
fn is_signed(call: &str) -> bool {
    call.contains("\\0\\0\\0\\1\\")
}

/// What `--json` printed, for a signer that must not start.
fn refused(arguments: &[&str]) -> Value {
    gridproof(arguments).json["error"]["code"].clone()
}

#[test]
fn a_signer_needs_its_past_and_makes_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    let key = path("v.key");
    gridproof(&[
        "keys",
        "new",
        "--kind",
        "validator",
        "--plain",
        "--out",
        &key,
    ])
    .success();
    let listen = format!("unix:{}", path("s"));
    let start = ["signer", "--key", &key, "--listen", &listen];
    assert_eq!(refused(&start), "signed_gone");
    gridproof(&["signer", "--key", &key, "--init"]).success();
    assert_eq!(
        refused(&["signer", "--key", &key, "--init"]),
        "signed_exists"
    );
    std::fs::write(path("v.key.signed"), "nothing").unwrap();
    assert_eq!(refused(&start), "signed");
}
