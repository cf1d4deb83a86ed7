//! Who may open which directory.

use std::process::Command;

use gridproof_store::{ChainStore, DecidedState, Durability, Store, StoreError, StoreSettings};
use types::number::Height;

use crate::fixture::{genesis, genesis_writes, linear};

const DIRECTORY: &str = "GRIDPROOF_TEST_STORE_IN_USE";

#[test]
fn a_second_process_is_refused() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let refused = Store::open(directory.as_ref(), &genesis("open"), genesis_writes());
        assert!(matches!(refused, Err(StoreError::InUse(at)) if at == directory));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), &genesis("open"), genesis_writes()).unwrap();
    let second = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "open::a_second_process_is_refused"])
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    assert!(
        second.status.success(),
        "{}",
        String::from_utf8_lossy(&second.stdout)
    );
    let again = Store::open(directory.path(), &genesis("open"), genesis_writes());
    assert!(matches!(again, Err(StoreError::InUse(_))));
    let clone = store.clone();
    drop(store);
    assert!(Store::open(directory.path(), &genesis("open"), genesis_writes()).is_err());
    drop(clone);
    assert!(Store::open(directory.path(), &genesis("open"), genesis_writes()).is_ok());
}

#[test]
fn a_store_of_another_chain_or_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name| Store::open(directory.path(), &genesis(name), genesis_writes());
    open("one")
        .unwrap()
        .commit(&linear(&open_memory()), Durability::Synced)
        .unwrap();
    let (expected, found) = (genesis("two").chain_id(), genesis("one").chain_id());
    let refused = open("two").unwrap_err();
    assert!(
        matches!(refused, StoreError::OtherChain { expected: e, found: f } if (e, f) == (expected, found))
    );
    assert_eq!(open("one").unwrap().tip().height, Height(1));
    {
        let mut options = rocksdb::Options::default();
        options.create_missing_column_families(true);
        let db = rocksdb::DB::open_cf(
            &options,
            directory.path().join("db"),
            gridproof_store::layout::FAMILIES,
        )
        .unwrap();
        let meta = db.cf_handle(gridproof_store::layout::META).unwrap();
        db.put_cf(
            meta,
            gridproof_store::layout::KEY_FORMAT,
            (gridproof_store::layout::FORMAT + 1).to_le_bytes(),
        )
        .unwrap();
    }
    assert!(matches!(
        open("one").unwrap_err(),
        StoreError::Format { found, supported } if found == supported + 1
    ));
}

fn open_memory() -> state::MemoryStore {
    state::MemoryStore::new(&genesis("one"), genesis_writes()).unwrap()
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let refused = Store::open_with(
        &file.join("store"),
        &genesis("open"),
        genesis_writes(),
        StoreSettings::default(),
    );
    assert!(matches!(refused, Err(StoreError::Directory { .. })));
}
