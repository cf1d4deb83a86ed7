//! Bytes that rot while the store is closed: found and named, or without effect, but never a wrong answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gridproof_store::{ChainStore, DecidedState, Durability, Store, StoreError, StoreSettings};
use state::MemoryStore;

use crate::fixture::{FULL, genesis, genesis_writes, linear, random_number, same, seed};

const SMALL: StoreSettings = StoreSettings {
    cache_bytes: 1 << 20,
    tree_bytes: 64 << 10,
    value_bytes: 64 << 10,
    write_buffer_bytes: 64 << 10,
    open_files: 64,
    history: FULL,
};
const HEIGHTS: u64 = 80;
const FLIPS: u64 = 120;

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory.join("db"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.metadata().unwrap().len() > 0
            && !path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("LOG")
    });
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("db")).unwrap();
    for file in files(from) {
        std::fs::copy(&file, to.join("db").join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_flipped_byte_never_gives_a_wrong_answer() {
    let seed = seed();
    let original = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new(&genesis("damage"), genesis_writes()).unwrap();
    let mut honest = BTreeMap::from([(0, memory.fork())]);
    {
        // A test beside this one may be starting a process: until that runs its own program, it holds our locks too.
        let end = Instant::now() + Duration::from_secs(10);
        let open = || loop {
            let path = original.path();
            match Store::open_with(path, &genesis("damage"), genesis_writes(), SMALL) {
                Err(StoreError::InUse(_)) if Instant::now() < end => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        let mut disk = open();
        for height in 1..=HEIGHTS {
            let decision = linear(&memory);
            memory.commit(&decision, Durability::Synced).unwrap();
            disk.commit(&decision, Durability::Synced).unwrap();
            honest.insert(height, memory.fork());
            if height % 30 == 0 {
                // Opening moves what the log holds into table files.
                drop(disk);
                disk = open();
            }
        }
    }
    let (mut found, mut shorter) = (0, 0);
    for flip in 0..FLIPS {
        let random = random_number(seed, flip);
        let damaged = tempfile::tempdir().unwrap();
        copy(original.path(), damaged.path());
        let files = files(damaged.path());
        let file = &files[usize::try_from(random % 1_000_003).unwrap() % files.len()];
        let mut bytes = std::fs::read(file).unwrap();
        let at = usize::try_from(random >> 20).unwrap() % bytes.len();
        bytes[at] ^= 1 << (random % 8);
        std::fs::write(file, bytes).unwrap();
        let Ok(store) =
            Store::open_with(damaged.path(), &genesis("damage"), genesis_writes(), SMALL)
        else {
            found += 1;
            continue;
        };
        if store.audit().is_err() {
            found += 1;
            continue;
        }
        let height = store.tip().height.0;
        shorter += u64::from(height < HEIGHTS);
        same(&honest[&height], &store);
    }
    println!("{found} of {FLIPS} named, {shorter} ended at an earlier block");
    assert!(found > FLIPS / 4, "only {found} of {FLIPS} were found");
}
