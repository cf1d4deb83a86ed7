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
    ("node", &["types", "state", "light", "vm", "consensus", "store", "p2p", "blobs", "rpc"]),
    ("partner", &["types", "executor", "light", "blobs", "rpc"]),
    ("testnet", &["types", "state", "vm", "consensus", "light", "rpc", "blobs", "node", "partner"]),
    ("cli", &["types", "light", "executor", "blobs", "rpc", "node", "partner", "testnet"]),
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

/// Crates that only one other may name: the engines behind our own traits.
const ENGINES: &[(&str, &str)] = &[("rocksdb", "store"), ("jmt", "state"), ("wasmtime", "executor"), ("libp2p", "p2p")];

/// Longest source file, in lines.
const MAX_LINES: usize = 500;

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/types has a parent").to_path_buf()
}

fn manifest(name: &str) -> toml::Table {
    let text = std::fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
    text.parse().unwrap()
}

fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = manifest(name);
    manifest
        .get("dependencies")
        .and_then(|table| table.as_table())
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default()
}

#[test]
fn crates_depend_downward_only() {
    let allowed: BTreeMap<_, _> =
        EDGES.iter().map(|(name, down)| (*name, down.iter().copied().collect::<BTreeSet<_>>())).collect();
    for entry in std::fs::read_dir(crates()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let down =
            allowed.get(name.as_str()).unwrap_or_else(|| panic!("crate {name} has no line in the table of edges"));
        for dependency in dependencies(&name) {
            let ours = allowed.contains_key(dependency.as_str());
            assert!(!ours || down.contains(dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn each_engine_is_named_by_one_crate() {
    for (engine, owner) in ENGINES {
        for (name, _) in EDGES {
            let uses = crates().join(name).exists() && dependencies(name).contains(*engine);
            assert!(!uses || name == owner, "{name} names {engine}, which belongs to {owner}");
        }
    }
}

#[test]
fn the_table_has_no_cycle() {
    let position = |name: &str| EDGES.iter().position(|(other, _)| *other == name).unwrap();
    for (name, down) in EDGES {
        assert!(down.iter().all(|other| position(other) < position(name)), "{name} depends upward");
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
    sources(&crates(), &mut files);
    assert!(files.len() > 50, "the sources were not found");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines, more than {MAX_LINES}", file.display());
        assert!(text.starts_with("//!"), "{} does not say what it is for", file.display());
        let unstable = ["#[ignore", "todo!(", "unimplemented!("];
        let ours = file.ends_with("workspace.rs");
        assert!(ours || !unstable.iter().any(|mark| text.contains(mark)), "{} has an unfinished mark", file.display());
    }
}
