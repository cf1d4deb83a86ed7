//! A network of four owners: each makes its keys and its entry in a folder of its own, and only entries, the network's file and
//! the genesis travel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use testnet::devnet::process;
use testnet::temporary::PortRange;

use crate::harness::{binary, gridproof, text};

const OWNERS: [&str; 4] = ["zurich", "basel", "sion", "nanterre"];

/// The validator of one owner.
struct Owner {
    name: &'static str,
    dir: PathBuf,
    p2p: String,
    rpc: String,
    pid: Option<u32>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            process::stop(&[(pid, &self.dir)], Duration::from_secs(20));
        }
    }
}

impl Owner {
    fn new(root: &Path, name: &'static str, port: u16) -> Self {
        Self {
            name,
            dir: root.join(name).join("validator"),
            p2p: format!("/ip4/127.0.0.1/tcp/{port}"),
            rpc: format!("127.0.0.1:{}", port + 1),
            pid: None,
        }
    }

    /// Makes keys and entry; gives the entry, which is what the owner sends.
    fn entry(&self, post: &Path) -> PathBuf {
        std::fs::create_dir_all(&self.dir).unwrap();
        let entry = post.join(format!("{}.toml", self.name));
        let made = [
            ["genesis", "entry", "validator", "--dir", text(&self.dir)],
            ["--network", "grid", "--owner", self.name, "--stake"],
            ["3", "--balance", "1000", "--address", &self.p2p],
        ];
        let made = [&made.concat()[..], &["--out", text(&entry)]].concat();
        gridproof(&made).success();
        entry
    }

    /// Checks the file that came back, and makes the validator's directory from it.
    fn init(&self, network: &Path) -> serde_json::Value {
        let genesis = self.dir.join("agreed.bin");
        let (dir, out) = (text(&self.dir), text(&genesis));
        let network = ["genesis", "check", "--network", text(network)];
        let checked = gridproof(&[&network[..], &["--dir", dir, "--out", out]].concat()).success();
        let peers = checked["bootstrap"].as_array().unwrap();
        assert_eq!(peers.len(), OWNERS.len() - 1, "its own address is left out");
        let listen = checked["listen"].as_str().unwrap();
        assert_eq!(listen, self.p2p, "where its entry says");
        let mut init = vec!["node", "init", "--dir", dir, "--genesis", out];
        init.extend(["--listen", listen]);
        for peer in peers {
            init.extend(["--bootstrap", peer.as_str().unwrap()]);
        }
        gridproof(&init).success();
        checked["chain_id"].clone()
    }

    fn start(&mut self) {
        let environment = [("GRIDPROOF_RPC__LISTEN".to_owned(), self.rpc.clone())];
        let log = self.dir.join("output.log");
        let pid = process::start(binary(), "node", &self.dir, &environment, &log).unwrap();
        self.pid = Some(pid);
    }

    fn height(&self) -> Option<u64> {
        let url = format!("http://{}", self.rpc);
        gridproof(&["node", "status", "--rpc", &url]).json["height"].as_u64()
    }

    /// The secrets in its key files.
    fn secrets(&self) -> Vec<String> {
        let keys = ["validator", "node", "vrf"].map(|key| format!("keys/{key}.key"));
        let secret = |key: &String| {
            let text = std::fs::read_to_string(self.dir.join(key)).unwrap();
            let line = text
                .lines()
                .find(|line| line.starts_with("secret"))
                .unwrap();
            line.split('"').nth(1).unwrap().to_owned()
        };
        keys.iter().map(secret).collect()
    }
}

#[test]
fn four_owners_make_a_network_and_none_shares_a_key() {
    let (ports, root) = (PortRange::take().unwrap(), tempfile::tempdir().unwrap());
    let post = root.path().join("post");
    std::fs::create_dir(&post).unwrap();
    let mut owners: Vec<_> = (ports.base_port()..)
        .step_by(2)
        .zip(OWNERS)
        .map(|(port, name)| Owner::new(root.path(), name, port))
        .collect();
    let network = post.join("network.toml");
    let new = ["genesis", "new", "--name", "grid", "--out", text(&network)];
    gridproof(&new).success();
    for owner in &owners {
        let add = ["genesis", "add", "--network", text(&network)];
        let entry = owner.entry(&post);
        gridproof(&[&add[..], &[text(&entry)]].concat()).success();
        // What was added once is not added again.
        gridproof(&[&add[..], &[text(&entry)]].concat()).fails(
            3,
            "genesis",
            "named before",
            "nothing was added",
        );
    }
    let shown = gridproof(&["genesis", "show", text(&network)]).success();
    let chains: Vec<_> = owners.iter().map(|owner| owner.init(&network)).collect();
    assert_eq!(chains, vec![shown["chain_id"].clone(); OWNERS.len()]);
    for owner in &mut owners {
        owner.start();
    }
    for owner in &owners {
        assert!(
            process::wait_until(Duration::from_mins(1), || owner.height() > Some(3)),
            "{} has final blocks: {:?}",
            owner.name,
            std::fs::read_to_string(owner.dir.join("output.log"))
        );
    }
    // Nothing that travelled holds a secret, and no owner holds another's.
    let secrets: Vec<_> = owners
        .iter()
        .map(|owner| (owner.name, owner.secrets()))
        .collect();
    for file in std::fs::read_dir(&post).unwrap() {
        let sent = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for secret in secrets.iter().flat_map(|(_, secrets)| secrets) {
            assert!(!sent.contains(secret.as_str()));
        }
    }
    let all: std::collections::BTreeSet<_> = secrets.iter().flat_map(|(_, all)| all).collect();
    assert_eq!(all.len(), 3 * OWNERS.len());
}

#[test]
fn a_network_s_file_that_was_changed_makes_no_genesis() {
    let root = tempfile::tempdir().unwrap();
    let owner = Owner::new(root.path(), "zurich", 1_024);
    let network = root.path().join("network.toml");
    let new = ["genesis", "new", "--name", "grid", "--out", text(&network)];
    gridproof(&new).success();
    gridproof(&new).fails(10, "genesis", "File exists", "another path");
    let entry = owner.entry(root.path());
    let changed = root.path().join("changed.toml");
    let signed = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(&changed, signed.replace("stake = 3", "stake = 4")).unwrap();
    let add =
        |entry: &Path| gridproof(&["genesis", "add", "--network", text(&network), text(entry)]);
    add(&changed).fails(
        3,
        "genesis",
        "is not signed by the keys in it",
        "nothing was added",
    );
    add(&entry).success();
    let check = || gridproof(&["genesis", "check", "--network", text(&network)]);
    assert_eq!(check().success()["validators"], json!(1));
    let text = std::fs::read_to_string(&network).unwrap();
    std::fs::write(
        &network,
        text.replace("balance = \"1000\"", "balance = \"9000\""),
    )
    .unwrap();
    check().fails(3, "genesis", "not signed", "do not start");
    std::fs::write(&network, text.replace("name = \"grid\"", "name = \"grad\"")).unwrap();
    check().fails(
        3,
        "genesis",
        "is for the network grid, this one is grad",
        "do not start",
    );
}
