//! The recipes of `docs/operate` do what they say: every command in them is run, in the order of the page.

use std::path::{Path, PathBuf};
use std::process::Command;

use testnet::devnet::Devnet;
use testnet::temporary::PortRange;

use crate::harness::binary;

/// The port that the pages use as the first one of their devnet.
const FIRST_PORT: u16 = 26_600;
/// The ports that a page may name, from the first one on.
const PORTS: u16 = 10;

/// The folder in which a page's commands run; what runs in it stops with the test.
struct Home(tempfile::TempDir);

impl Drop for Home {
    fn drop(&mut self) {
        if let Ok(Some(devnet)) = Devnet::open(&self.0.path().join("net")) {
            devnet.stop();
        }
    }
}

fn page(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "docs", "operate", name]
        .iter()
        .collect();
    std::fs::read_to_string(path).unwrap()
}

/// The commands of a page: its blocks of shell.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("\n```sh\n").skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap().to_owned())
        .collect()
}

/// The commands with the ports of a test in place of those of the page.
fn with_ports(command: &str, base_port: u16) -> String {
    let mark = |offset: u16| format!("\u{1}{offset}\u{1}");
    let marked = (0..PORTS).fold(command.to_owned(), |text, offset| {
        text.replace(&(FIRST_PORT + offset).to_string(), &mark(offset))
    });
    (0..PORTS).fold(marked, |text, offset| {
        text.replace(&mark(offset), &(base_port + offset).to_string())
    })
}

/// Runs all commands of a page as one shell would that stops at the first failure.
fn run(name: &str) {
    let (ports, home) = (
        PortRange::take().unwrap(),
        Home(tempfile::tempdir().unwrap()),
    );
    let blocks = commands(&page(name));
    assert!(blocks.len() > 3, "{name} has recipes");
    let script = blocks
        .iter()
        .map(|block| with_ports(block, ports.base_port()))
        .collect::<Vec<_>>()
        .join("\n");
    let folder = binary().parent().unwrap().to_str().unwrap().to_owned();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("timeout")
        .args(["300", "bash", "-euxo", "pipefail", "-c", &script])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env_remove("XDG_DATA_HOME")
        .env("PATH", path)
        .env("HOME", home.0.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{name}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!Path::new(home.0.path()).join("old-disk").exists());
}

#[test]
fn every_command_of_the_validators_page_works() {
    run("validator.md");
}

#[test]
fn every_command_of_the_customers_page_works() {
    run("customer.md");
}

#[test]
fn every_command_of_the_devnets_page_works() {
    run("devnet.md");
}

#[test]
fn every_command_of_the_partners_page_works() {
    run("partner.md");
}

#[test]
fn ports_of_a_page_become_those_of_the_test() {
    let text = "--base-port 26600 http://127.0.0.1:26603 $((26601 + 2 * n))";
    let expected = "--base-port 26603 http://127.0.0.1:26606 $((26604 + 2 * n))";
    assert_eq!(with_ports(text, 26_603), expected);
}

#[test]
fn every_command_of_the_network_page_works() {
    run("network.md");
}
