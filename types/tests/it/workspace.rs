//! The allowed edges between crates, and the limits on files: a new edge is a decision, made here and in `docs/adr/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each crate, the crates of this workspace that it may depend on. Dependencies point down only.
const EDGES: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("state", &["types"]),
    ("store", &["types", "state"]),
    ("light", &["types"]),
    ("vm", &["types", "state"]),
    ("consensus", &["types"]),
    ("p2p", &["types"]),
    ("executor", &["types"]),
    ("blobs", &["types"]),
    ("rpc", &["types"]),
    (
        "node",
        &[
            "types",
            "state",
            "vm",
            "consensus",
            "store",
            "p2p",
            "blobs",
            "rpc",
        ],
    ),
    ("partner", &["types", "executor", "light", "blobs", "rpc"]),
    (
        "testnet",
        &[
            "types",
            "state",
            "vm",
            "consensus",
            "light",
            "rpc",
            "blobs",
            "node",
            "partner",
        ],
    ),
    (
        "cli",
        &[
            "types", "light", "executor", "blobs", "rpc", "node", "partner", "testnet",
        ],
    ),
    (
        "benches",
        &[
            "types",
            "state",
            "store",
            "vm",
            "consensus",
            "light",
            "executor",
            "blobs",
            "rpc",
            "node",
            "partner",
            "testnet",
        ],
    ),
];

/// For some crates, what their tests may use beside that.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("light", &["state"]),
    ("partner", &["state"]),
    ("node", &["light"]),
];

/// Crates that only one other may name: the engines behind our own traits.
const ENGINES: &[(&str, &str)] = &[
    ("rocksdb", "store"),
    ("jmt", "state"),
    ("wasmtime", "executor"),
    ("libp2p", "p2p"),
];

/// The tables of dependencies that end up in a binary.
const FOR_USE: &[&str] = &["dependencies", "build-dependencies"];
/// The table of dependencies of tests.
const FOR_TESTS: &[&str] = &["dev-dependencies"];

/// Longest source file, in lines.
const MAX_LINES: usize = 750;

/// The repository's root, where every crate has its directory.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("types has a parent")
        .to_path_buf()
}

/// The directories of the workspace's members.
fn members() -> Vec<String> {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| member.as_str().unwrap().to_owned())
        .collect()
}

fn manifest(name: &str) -> toml::Table {
    let text = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
    text.parse().unwrap()
}

/// What a crate depends on for any target, by the name of the package; ours without their prefix.
fn dependencies(name: &str, kinds: &[&str]) -> BTreeSet<String> {
    let manifest = manifest(name);
    let mut scopes = vec![&manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    scopes.extend(
        targets
            .iter()
            .flat_map(|targets| targets.values())
            .filter_map(toml::Value::as_table),
    );
    let tables = scopes
        .iter()
        .flat_map(|scope| kinds.iter().filter_map(|kind| scope.get(*kind)?.as_table()));
    let entries = tables.flat_map(|table| table.iter());
    entries
        .map(|(key, value)| {
            let package = value
                .get("package")
                .and_then(toml::Value::as_str)
                .unwrap_or(key);
            package
                .strip_prefix("gridproof-")
                .unwrap_or(package)
                .to_owned()
        })
        // A crate's own features for its tests.
        .filter(|dependency| dependency != name)
        .collect()
}

#[test]
fn dependencies_of_every_kind_are_seen() {
    assert!(dependencies("types", FOR_TESTS).contains("toml"));
    assert!(dependencies("node", FOR_USE).contains("types"));
}

#[test]
fn crates_depend_downward_only() {
    let allowed: BTreeMap<_, _> = EDGES
        .iter()
        .map(|(name, down)| (*name, down.iter().copied().collect::<BTreeSet<_>>()))
        .collect();
    for name in members() {
        let down = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("crate {name} has no line in the table of edges"));
        let ours = |dependency: &String| allowed.contains_key(dependency.as_str());
        for dependency in dependencies(&name, FOR_USE).into_iter().filter(ours) {
            assert!(
                down.contains(dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
        let in_tests = TEST_EDGES
            .iter()
            .filter(|(crate_name, _)| *crate_name == name);
        let in_tests: BTreeSet<_> = in_tests
            .flat_map(|(_, more)| more.iter().copied())
            .collect();
        for dependency in dependencies(&name, FOR_TESTS).into_iter().filter(ours) {
            let allowed =
                down.contains(dependency.as_str()) || in_tests.contains(dependency.as_str());
            assert!(
                allowed,
                "{name} must not depend on {dependency} in its tests"
            );
        }
    }
}

#[test]
fn each_engine_is_named_by_one_crate() {
    for (engine, owner) in ENGINES {
        for (name, _) in EDGES {
            let uses = root().join(name).exists() && dependencies(name, FOR_USE).contains(*engine);
            assert!(
                !uses || name == owner,
                "{name} names {engine}, which belongs to {owner}"
            );
        }
    }
}

#[test]
fn the_table_has_no_cycle() {
    let position = |name: &str| EDGES.iter().position(|(other, _)| *other == name).unwrap();
    for (name, down) in EDGES {
        assert!(
            down.iter().all(|other| position(other) < position(name)),
            "{name} depends upward"
        );
    }
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_tells_one_story() {
    let mut files = Vec::new();
    for member in members() {
        sources(&root().join(member), &mut files);
    }
    assert!(files.len() > 50, "the sources were not found");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        assert!(
            lines <= MAX_LINES,
            "{} has {lines} lines, more than {MAX_LINES}",
            file.display()
        );
        assert!(
            text.starts_with("//!"),
            "{} does not say what it is for",
            file.display()
        );
        let unstable = ["#[ignore", "todo!(", "unimplemented!("];
        let ours = file.ends_with("workspace.rs");
        assert!(
            ours || !unstable.iter().any(|mark| text.contains(mark)),
            "{} has an unfinished mark",
            file.display()
        );
    }
}
