//! `gridproof doctor` and `gridproof status` on a network that runs, and on one of which something is broken.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Net, gridproof, text};

/// The outcome of each check with a name.
pub fn outcomes(object: &Value, name: &str) -> Vec<String> {
    let checks = object["checks"].as_array().unwrap().iter();
    let named = checks.filter(|check| check["name"] == name);
    named
        .map(|check| check["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_doctor_finds_what_is_broken_and_says_what_to_do() {
    let mut net = Net::up(1);
    let root = net.devnet.root().to_owned();
    let doctor = |name: &str, more: &[&str]| {
        let dir = root.join(name);
        gridproof(&[&["doctor", "--dir", text(&dir)], more].concat())
    };
    net.wait("peers", 60, |_| {
        outcomes(&doctor("validator-0", &[]).json, "peers") == ["fine"]
    });
    // A clock may be called wrong here: this machine is busy.
    let runs = doctor("validator-0", &[]).json;
    for name in [
        "daemon",
        "chain",
        "genesis",
        "vote_log",
        "configuration",
        "metrics_port",
    ] {
        assert_eq!(outcomes(&runs, name), ["fine"], "{name}: {runs}");
    }
    assert_eq!(outcomes(&runs, "key"), ["fine"; 3]);
    let partner = doctor("partner-0", &[]).success();
    assert_eq!(outcomes(&partner, "registered").first().unwrap(), "fine");
    assert!(outcomes(&partner, "endpoint").len() > 1);
    assert_eq!(outcomes(&partner, "metrics_port"), ["fine"]);

    let servers = [net.rpc(0).to_owned(), net.rpc(1).to_owned()];
    let status = || gridproof(&["status", "--rpc", &servers[0], "--rpc", &servers[1]]);
    let all = status().success();
    assert_eq!(all["network"]["partners"], json!(1));
    assert_eq!(all["servers"][1]["state"], json!("ready"));

    net.signal("validator-0", Signal::TERM);
    let process = net.devnet.process_mut("validator-0").unwrap().clone();
    net.wait("the end of the validator", 60, |_| !process.is_running());
    let away = status();
    away.fails(4, "no_connection", "does not answer", "gridproof doctor");
    assert_eq!(away.json["servers"][0]["answers"], json!(false));
    let stopped = doctor("validator-0", &["--database"]).success();
    for name in ["database", "rpc_port", "p2p_port", "metrics_port"] {
        assert_eq!(outcomes(&stopped, name), ["fine"], "{name}: {stopped}");
    }
    let key = root.join("validator-0/keys/validator.key");
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let open = doctor("validator-0", &[]);
    open.fails(3, "doctor", "wrong: key", "mend the first one");
    assert!(open.json.to_string().contains("chmod 600"));
    doctor("nowhere", &[]).fails(
        2,
        "no_directory",
        "no validator, no partner",
        "partner init",
    );
}
