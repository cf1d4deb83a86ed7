//! `devnet up` that cannot go on leaves nothing behind.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use testnet::devnet::plan::DevnetOptions;
use testnet::devnet::process::{signal, wait_until};
use testnet::devnet::{Devnet, Process};
use testnet::temporary::PortRange;

use crate::harness::{Output, finish, gridproof, spawn, text};

/// The arguments of `devnet up` for two validators.
fn up<'a>(root: &'a Path, base_port: &'a str) -> [&'a str; 10] {
    [
        "devnet",
        "up",
        "--dir",
        text(root),
        "--validators",
        "2",
        "--partners",
        "0",
        "--base-port",
        base_port,
    ]
}

fn up_detached(root: &Path, base_port: u16) -> Output {
    gridproof(&[&up(root, &base_port.to_string())[..], &["--detach"]].concat())
}

fn running(root: &Path) -> Vec<String> {
    let processes = Devnet::open(root).unwrap().unwrap().manifest.processes;
    processes
        .into_iter()
        .filter(Process::is_running)
        .map(|process| process.name)
        .collect()
}

#[test]
fn a_port_that_is_taken_is_named_and_another_devnet_is_not_taken_for_this_one() {
    let (ports, folder) = (PortRange::take().unwrap(), tempfile::tempdir().unwrap());
    let base_port = ports.base_port() + 2;
    let taken = base_port + 3;
    let port = format!("port {taken} ");

    let first = folder.path().join("first");
    let holder = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    up_detached(&first, base_port).fails(3, "port_taken", &port, "--base-port");
    assert!(!first.exists(), "nothing was made");
    drop(holder);
    up_detached(&first, base_port).success();
    assert_eq!(running(&first).len(), 2);
    let other = format!("--base-port {base_port}, not {}", base_port - 2);
    up_detached(&first, base_port - 2).fails(3, "devnet", &other, "a new --dir");

    let second = folder.path().join("second");
    up_detached(&second, base_port - 2).fails(
        3,
        "port_taken",
        &format!("port {base_port} "),
        "--base-port",
    );
    gridproof(&["devnet", "down", "--dir", text(&first)]).success();
    assert_eq!(running(&first), [""; 0]);

    let _holder = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    up_detached(&first, base_port).fails(3, "port_taken", &port, "a new --dir");
    assert_eq!(running(&first), [""; 0]);
}

#[test]
fn processes_that_started_are_stopped_when_a_later_one_cannot() {
    let (ports, folder) = (PortRange::take().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path().join("net");
    let options = DevnetOptions {
        validators: 2,
        partners: 0,
        base_port: ports.base_port(),
    };
    let devnet = Devnet::create(&root, &options).unwrap();
    std::fs::create_dir(devnet.manifest.processes[1].log()).unwrap();
    up_detached(&root, ports.base_port()).fails(1, "other", "validator-1", "stopped again");
    assert_eq!(running(&root), [""; 0]);
    let manifest = Devnet::open(&root).unwrap().unwrap().manifest;
    let started: Vec<_> = manifest
        .processes
        .iter()
        .map(|process| process.pid != 0)
        .collect();
    assert_eq!(
        started,
        [true, false],
        "each was in the manifest before the next was started"
    );
}

#[test]
fn up_that_is_told_to_stop_while_it_starts_stops_everything() {
    let (ports, folder) = (PortRange::take().unwrap(), tempfile::tempdir().unwrap());
    for (name, what) in [
        ("interrupt", Signal::INT),
        ("terminate", Signal::TERM),
        ("hangup", Signal::HUP),
    ] {
        let root = folder.path().join(name);
        let command = spawn(&up(&root, &ports.base_port().to_string()));
        let one_runs = || {
            // Before the folder holds a manifest there is none to read.
            let devnet = Devnet::open(&root).ok().flatten();
            devnet.is_some_and(|devnet| devnet.manifest.processes.iter().any(Process::is_running))
        };
        assert!(
            wait_until(Duration::from_mins(1), one_runs),
            "no process starts"
        );
        signal(command.id(), what);
        let output = finish(command);
        assert_eq!(running(&root), [""; 0], "after {name}");
        assert!(
            matches!(output.code, 0 | 1),
            "{name} is handled: {output:?}"
        );
        if output.code == 1 {
            output.fails(1, "interrupted", "nothing runs", "devnet up");
        }
    }
}

#[test]
fn an_attached_devnet_stops_with_its_terminal() {
    let (ports, folder) = (PortRange::take().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path().join("net");
    let mut command = spawn(&up(&root, &ports.base_port().to_string()));
    // What it prints when the first block is final.
    let mut printed = [0];
    command
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut printed)
        .unwrap();
    assert_eq!((&printed, running(&root).len()), (b"{", 2));
    signal(command.id(), Signal::HUP);
    assert_eq!(finish(command).code, 0);
    assert_eq!(running(&root), [""; 0]);
}
