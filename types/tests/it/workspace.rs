//! The edges between crates: a new edge is a decision, made here and in `docs/adr/`. No other file may add one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// For each crate, the crates of this workspace that it may depend on. Dependencies point down only.
const EDGES: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("state", &["types"]),
    ("store", &["types", "state"]),
    ("light", &["types"]),
    ("warp", &["types"]),
    ("vm", &["types", "state"]),
    ("consensus", &["types"]),
    ("p2p", &["types"]),
    ("instrument", &[]),
    ("executor", &["types", "instrument"]),
    ("blobs", &["types"]),
    ("keys", &["types"]),
    ("rpc", &["types"]),
    ("rpc-server", &["types", "rpc"]),
    ("metrics", &["rpc-server"]),
    (
        "chain",
        &[
            "types",
            "state",
            "store",
            "vm",
            "blobs",
            "executor",
            "rpc",
            "rpc-server",
            "metrics",
        ],
    ),
    (
        "node",
        &[
            "types",
            "state",
            "vm",
            "chain",
            "consensus",
            "store",
            "p2p",
            "blobs",
            "keys",
            "rpc-server",
            "metrics",
        ],
    ),
    (
        "avalanche",
        &[
            "types",
            "state",
            "store",
            "vm",
            "chain",
            "blobs",
            "keys",
            "warp",
            "rpc-server",
        ],
    ),
    (
        "partner",
        &[
            "types", "executor", "light", "blobs", "keys", "rpc", "metrics",
        ],
    ),
    (
        "simulator",
        &[
            "types",
            "state",
            "vm",
            "chain",
            "consensus",
            "node",
            "partner",
        ],
    ),
    (
        "testnet",
        &[
            "types", "executor", "blobs", "keys", "rpc", "node", "partner",
        ],
    ),
    (
        "cli",
        &[
            "types",
            "light",
            "executor",
            "blobs",
            "keys",
            "warp",
            "rpc",
            "node",
            "avalanche",
            "partner",
            "testnet",
        ],
    ),
    (
        "benches",
        &[
            "types",
            "state",
            "store",
            "chain",
            "consensus",
            "node",
            "p2p",
            "executor",
            "keys",
            "rpc",
            "testnet",
        ],
    ),
];

/// For some crates, what their tests may use beside that.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("light", &["state"]),
    ("partner", &["state", "rpc-server"]),
    ("cli", &["rpc-server", "metrics"]),
    ("node", &["light", "rpc"]),
    ("avalanche", &["light"]),
];

/// Crates that only these others may name: the engines behind our own traits.
const ENGINES: &[(&str, &[&str])] = &[
    ("rocksdb", &["store"]),
    ("wasmtime", &["executor"]),
    ("libp2p", &["p2p"]),
    ("tonic", &["avalanche", "rpc-server"]),
    ("prost-reflect", &["rpc-server"]),
    ("blst", &["warp"]),
    ("axum", &["rpc-server"]),
    ("tower-http", &["rpc-server"]),
    ("prometheus-client", &["metrics"]),
];

/// The tables of dependencies that end up in a binary.
const FOR_USE: &[&str] = &["dependencies", "build-dependencies"];
/// The table of dependencies of tests.
const FOR_TESTS: &[&str] = &["dev-dependencies"];

/// The repository's root, where every crate has its directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("types has a parent")
        .to_path_buf()
}

/// The directories of the workspace's members.
pub fn members() -> Vec<String> {
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
fn the_table_holds_every_edge_and_no_other() {
    let names: BTreeSet<String> = members().into_iter().collect();
    let table: BTreeSet<String> = EDGES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, table, "each crate has one line in the table");
    let ours = |name: &str, kinds| -> BTreeSet<String> {
        let all = dependencies(name, kinds).into_iter();
        all.filter(|dependency| names.contains(dependency))
            .collect()
    };
    let owned = |edges: &[&str]| edges.iter().map(|edge| (*edge).to_owned()).collect();
    for (name, down) in EDGES {
        let allowed: BTreeSet<String> = owned(down);
        assert_eq!(allowed, ours(name, FOR_USE), "the edges of {name}");
        let in_tests = TEST_EDGES.iter().find(|(other, _)| other == name);
        let more: BTreeSet<String> = owned(in_tests.map_or(&[][..], |(_, more)| more));
        let found: BTreeSet<String> = &ours(name, FOR_TESTS) - &allowed;
        assert_eq!(more, found, "the edges of {name}'s tests");
    }
}

#[test]
fn each_engine_is_named_by_its_crates_alone() {
    for (engine, owners) in ENGINES {
        for (name, _) in EDGES {
            let uses = root().join(name).exists() && dependencies(name, FOR_USE).contains(*engine);
            assert!(
                !uses || owners.contains(name),
                "{name} names {engine}, which belongs to {owners:?}"
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
