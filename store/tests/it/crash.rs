//! Deaths of the process and of the disk, in a child that is this same test binary.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use gridproof_store::{ChainStore, DecidedState, Durability, StateError, Store, StoreSettings};
use state::{ErrorClass, StateStorageError};

use crate::fixture::{FULL, genesis, genesis_writes, linear};

const DIRECTORY: &str = "GRIDPROOF_TEST_STORE_CRASH";
const SMALL: StoreSettings = StoreSettings {
    cache_bytes: 1 << 20,
    tree_bytes: 64 << 10,
    value_bytes: 64 << 10,
    write_buffer_bytes: 128 << 10,
    open_files: 64,
    history: FULL,
};

fn open(directory: &Path) -> Store {
    Store::open_with(directory, &genesis("crash"), genesis_writes(), SMALL).unwrap()
}

/// Extends the chain from the tip on, saying each height after its commit returned.
fn extend(store: &Store) -> StateError {
    loop {
        let decision = linear(store);
        match store.commit(&decision, Durability::Synced) {
            Ok(()) => println!("decided {}", decision.diff.height),
            Err(error) => return error,
        }
    }
}

#[test]
fn a_killed_process_leaves_whole_blocks_and_every_synced_one() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        extend(&open(directory.as_ref()));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut said = 0u64;
    for round in 1..=6u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::a_killed_process_leaves_whole_blocks_and_every_synced_one",
                "--nocapture",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let heights = lines.filter_map(|line| line.rsplit_once("decided ")?.1.parse::<u64>().ok());
        said = heights
            .take_while(|height| *height <= 37 * round)
            .last()
            .unwrap_or(said);
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(directory.path());
        assert!(
            store.tip().height.0 >= said,
            "{said} was synced, {} is there",
            store.tip().height
        );
        store.audit().unwrap();
        store.commit(&linear(&store), Durability::Synced).unwrap();
    }
    assert!(said >= 37 * 5);
}

#[test]
fn a_full_disk_stops_the_writer_and_loses_nothing() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        // Buffers larger than the limit, so that the log is the first file to reach it.
        let settings = StoreSettings::default();
        let store = Store::open_with(
            directory.as_ref(),
            &genesis("crash"),
            genesis_writes(),
            settings,
        )
        .unwrap();
        let error = extend(&store);
        assert_eq!(error.class(), ErrorClass::DiskFull, "{error}");
        let again = store.commit(&linear(&store), Durability::Synced);
        assert!(
            matches!(again, Err(StateError::Storage(StateStorageError::Stopped))),
            "{again:?}"
        );
        assert!(matches!(
            store.undo(),
            Err(StateError::Storage(StateStorageError::Stopped))
        ));
        println!("stopped at {}", store.tip().height);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // A limit on the size of files fails writes as a full disk does; the signal that comes with it is ignored.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 512; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::a_full_disk_stops_the_writer_and_loses_nothing",
            "--nocapture",
        ])
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success(),
        "{output} {}",
        String::from_utf8_lossy(&child.stderr)
    );
    let stopped = output
        .lines()
        .find_map(|line| line.rsplit_once("stopped at ")?.1.parse::<u64>().ok())
        .unwrap();
    let store = open(directory.path());
    assert!(stopped > 3 && store.tip().height.0 >= stopped);
    store.audit().unwrap();
    store.commit(&linear(&store), Durability::Synced).unwrap();
}
