//! Encrypted key files: made, read wherever a key is read, put in the place of plain ones, and keys replaced by new ones.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Net, binary, gridproof, histogram, text};

/// A file with a passphrase that nobody else may read.
fn passphrase(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, format!("{name} battery staple\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    text(&path).to_owned()
}

#[test]
fn keys_are_made_imported_exported_and_encrypted_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    let first = passphrase(folder.path(), "first");
    let second = passphrase(folder.path(), "second");
    let with = |file: &str, command: &[&str]| {
        gridproof(&[&["keys"][..], command, &["--passphrase-file", file]].concat())
    };
    for kind in ["account", "validator", "node", "vrf"] {
        let out = path(&format!("{kind}.key"));
        let made = with(&first, &["new", "--kind", kind, "--out", &out]).success();
        assert_eq!(
            (&made["kind"], &made["encrypted"]),
            (&json!(kind), &json!(true))
        );
    }
    let listed = gridproof(&["keys", "list", &path("")]).success();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 4);
    let (key, plain) = (path("account.key"), path("plain.pem"));
    let public = gridproof(&["wallet", "show", "--key", &key]).success()["public"].clone();
    let text_of = std::fs::read_to_string(&key).unwrap();
    assert!(
        !text_of
            .lines()
            .any(|line| line.starts_with("secret = ") && line.len() < 90),
        "{text_of}"
    );

    let wrong = with(&second, &["export", "--key", &key, "--out", &plain]);
    wrong.fails(9, "key_file", "the passphrase is wrong", "type it again");
    let nobody = gridproof(&["keys", "export", "--key", &key, "--out", &plain]);
    nobody.fails(9, "key_file", "nobody is there to ask", "--passphrase-file");
    let exported = with(&first, &["export", "--key", &key, "--out", &plain]).success();
    assert_eq!(
        (&exported["public"], &exported["encrypted"]),
        (&public, &json!(false))
    );
    let copy = path("copy.key");
    let imported = with(&second, &["import", "--from", &plain, "--out", &copy]).success();
    assert_eq!(
        (&imported["public"], &imported["encrypted"]),
        (&public, &json!(true))
    );
    with(&second, &["import", "--from", &plain, "--out", &copy]).fails(
        9,
        "key_file",
        "exists already",
        "never overwritten",
    );

    let encrypted = with(&first, &["encrypt", &plain]).success();
    assert_eq!(encrypted["keys"][0]["changed"], json!(true));
    let again = with(&first, &["encrypt", &plain]).success();
    assert_eq!(again["keys"][0]["changed"], json!(false));
    with(
        &first,
        &[
            "encrypt",
            &plain,
            "--again",
            "--new-passphrase-file",
            &second,
        ],
    )
    .success();
    with(&first, &["export", "--key", &plain, "--out", &path("x")])
        .fails(9, "key_file", "wrong", "");
    with(&second, &["export", "--key", &plain, "--out", &path("x")]).success();

    let damaged = text_of.replace("log_n = 17", "log_n = 18");
    std::fs::write(&key, damaged).unwrap();
    with(&first, &["export", "--key", &key, "--out", &path("y")])
        .fails(9, "key_file", "damaged", "");
}

/// A process killed at any write of `keys encrypt` leaves the plain key or the encrypted one, and a second try succeeds.
#[test]
fn a_kill_while_a_key_is_encrypted_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = text(&folder.path().join("a.key")).to_owned();
    let file = passphrase(folder.path(), "first");
    let made = gridproof(&["wallet", "new", "--key", &path]).success();
    let plain = std::fs::read_to_string(&path).unwrap();
    let mut seen = Vec::new();
    for call in ["openat", "fsync", "rename"] {
        for at in 1.. {
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, &plain).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let killed = Command::new("strace")
                .args([
                    "-f",
                    "-qq",
                    "-o",
                    "/dev/null",
                    "-P",
                    &path,
                    "-P",
                    &format!("{path}.new"),
                    "-P",
                    text(folder.path()),
                ])
                .arg("-e")
                .arg(format!("inject={call}:signal=KILL:when={at}"))
                .arg(binary())
                .args(["keys", "encrypt", &path, "--passphrase-file", &file])
                .output()
                .unwrap();
            let shown = gridproof(&["wallet", "show", "--key", &path]).success();
            assert_eq!(shown["address"], made["address"], "{call} {at}");
            let listed = gridproof(&["keys", "list", &path]).success();
            seen.push(listed["keys"][0]["encrypted"].as_bool().unwrap());
            let again = gridproof(&["keys", "encrypt", &path, "--passphrase-file", &file]);
            assert_eq!(again.success()["keys"][0]["encrypted"], json!(true));
            if killed.status.success() {
                break;
            }
        }
    }
    assert!(
        seen.contains(&true) && seen.contains(&false) && seen.len() > 6,
        "{seen:?}"
    );
}

/// Encrypts the keys of a directory and tells its configuration where the passphrase is.
fn encrypt_all(directory: &Path, config: &str, file: &str) {
    let command = [
        "keys",
        "encrypt",
        text(directory),
        "--passphrase-file",
        file,
    ];
    let keys = gridproof(&command).success();
    let mut keys = keys["keys"].as_array().unwrap().iter();
    assert!(keys.all(|key| key["changed"] == json!(true)));
    let config = directory.join(config);
    let old = std::fs::read_to_string(&config).unwrap();
    let set = format!("passphrase_file = \"{file}\"");
    let is_example = |line: &str| line.starts_with("# passphrase_file = ");
    let lines = old
        .lines()
        .map(|line| if is_example(line) { &set } else { line });
    std::fs::write(&config, lines.collect::<Vec<_>>().join("\n")).unwrap();
}

/// True if a validator has a connection to the one with a name.
fn sees(net: &Net, number: usize, name: &str) -> bool {
    let shown = gridproof(&["node", "validators", "--rpc", net.rpc(number)]).json;
    let list = shown["validators"].as_array().cloned().unwrap_or_default();
    let is_it = |view: &Value| view["name"] == name && view["connected"] == json!(true);
    list.iter().any(is_it)
}

/// A validator and a partner whose keys were encrypted run on, and the validator's node gets a new identity.
#[test]
fn daemons_start_from_encrypted_keys_and_a_node_key_is_replaced() {
    let mut net = Net::up(3);
    let root = net.devnet.root().to_owned();
    let file = passphrase(net.scratch(), "first");
    let (node, partner) = (root.join("validator-3"), root.join("partner-0"));
    encrypt_all(&node, "node.toml", &file);
    encrypt_all(&partner, "partner.toml", &file);
    let doctor = gridproof(&["doctor", "--dir", text(&node)]).json;
    let mut checks = doctor["checks"].as_array().unwrap().iter();
    let found = checks.find(|check| check["name"] == "key_files");
    assert_eq!(found.unwrap()["outcome"], json!("fine"), "{doctor}");
    let rotate = ["keys", "rotate", "node", "--dir", text(&node)];
    let rotated = gridproof(&[&rotate[..], &["--passphrase-file", &file]].concat()).success();
    assert_ne!(rotated["old"], rotated["new"]);
    for name in ["validator-3", "partner-0"] {
        net.restart_by_command(name);
    }
    net.wait("every validator to take the new identity", 90, |net| {
        (0..3).all(|number| sees(net, number, "validator-3"))
            && (0..3).all(|other| sees(net, 3, &format!("validator-{other}")))
    });
    let status = gridproof(&["partner", "status", "--dir", text(&partner)]).success();
    assert!(status["partner"]["bond"].is_string(), "{status}");

    let key = net.scratch().join("customer.key");
    std::fs::copy(net.customer(), &key).unwrap();
    gridproof(&["keys", "encrypt", text(&key), "--passphrase-file", &file]).success();
    a_job_is_paid_with_an_encrypted_key(&net, text(&key), &file);
    an_accounts_money_moves_to_a_new_key(&net, text(&key), &file);
}

fn a_job_is_paid_with_an_encrypted_key(net: &Net, key: &str, file: &str) {
    let spec = histogram(&net.scratch().join("job"), 2, 1);
    let (out, genesis) = (
        net.scratch().join("out"),
        net.devnet.root().join("genesis.bin"),
    );
    let what = ["job", "run", text(&spec), "--out", text(&out)];
    let how = ["--key", key, "--passphrase-file", file];
    let whom = ["--rpc", net.rpc(0), "--genesis", text(&genesis)];
    gridproof(&[&what[..], &how, &whom].concat()).success();
}

fn an_accounts_money_moves_to_a_new_key(net: &Net, key: &str, file: &str) {
    let new = net.scratch().join("second.key");
    let genesis = net.devnet.root().join("genesis.bin");
    let rotated = gridproof(&[
        "keys",
        "rotate",
        "account",
        "--key",
        key,
        "--out",
        text(&new),
        "--passphrase-file",
        file,
        "--genesis",
        text(&genesis),
        "--rpc",
        net.rpc(0),
    ])
    .success();
    let balance = |key: &str| {
        gridproof(&["wallet", "balance", "--key", key, "--rpc", net.rpc(0)]).success()["balance"]
            .clone()
    };
    assert_eq!(balance(key), json!("0"));
    assert_eq!(balance(text(&new)), rotated["amount"]);
    let partner = net.devnet.root().join("partner-1/keys/account.key");
    gridproof(&[
        "keys",
        "rotate",
        "account",
        "--key",
        text(&partner),
        "--out",
        text(&net.scratch().join("third.key")),
        "--rpc",
        net.rpc(0),
    ])
    .fails(5, "bonded", "is a partner with a bond", "unbond");
}
