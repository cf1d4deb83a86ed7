//! What a store keeps of the past: presets, what goes with each commit, and what is left wherever a process or the power
//! ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gridproof_store::{
    ChainStore, DecidedState, Durability, FamilySize, HistoryPreset, KeptHistory, LEAST_BLOCKS,
    MAX_PRUNED_HEIGHTS, StateError, Store, StoreSettings, VALIDATOR_HEIGHTS,
};
use state::{KeptHeights, MemoryStore};
use types::limits::KEPT_HEIGHTS;
use types::number::Height;

use crate::fixture::{KEYS, customer, genesis, genesis_writes, key, linear, random_number, seed};

const DIRECTORY: &str = "GRIDPROOF_TEST_STORE_PRUNE";
/// A node that keeps little.
const SHORT: KeptHistory = KeptHistory {
    state: Some(KEPT_HEIGHTS),
    blocks: Some(80),
    transactions: Some(20),
};

fn archive() -> KeptHistory {
    KeptHistory::of(HistoryPreset::Archive)
}

fn open(directory: &Path, history: KeptHistory) -> Store {
    let settings = StoreSettings {
        cache_bytes: 1 << 20,
        tree_bytes: 64 << 10,
        value_bytes: 64 << 10,
        write_buffer_bytes: 4 << 20,
        open_files: 64,
        history,
    };
    Store::open_with(directory, &genesis("history"), genesis_writes(), settings).unwrap()
}

fn memory() -> MemoryStore {
    MemoryStore::new(&genesis("history"), genesis_writes()).unwrap()
}

/// Extends a store by the chain that depends on heights alone.
fn extend(store: &dyn ChainStore, to: u64) {
    while store.tip().height.0 < to {
        let decision = linear(store);
        store.commit(&decision, Durability::Buffered).unwrap();
    }
}

/// The whole chain up to a height.
fn model(to: u64) -> MemoryStore {
    let memory = memory();
    extend(&memory, to);
    memory
}

/// Asserts that everything kept is as in a store that keeps all blocks, and that nothing else is there.
fn check(store: &Store, whole: &MemoryStore) {
    let (tip, kept) = (store.tip(), store.kept());
    assert_eq!(tip, whole.tip());
    assert!(kept.is_ordered(tip.height), "{kept:?}");
    for height in (0..=tip.height.0).map(Height) {
        let block = whole.block_at(height).unwrap().unwrap();
        let is_kept = height >= kept.blocks;
        let stored = is_kept.then(|| block.clone());
        assert_eq!(store.block_at(height), Ok(stored), "block {height}");
        assert_eq!(store.height_of(&block.id()), Ok(is_kept.then_some(height)));
        let receipts = whole.receipts_at(height).unwrap();
        assert_eq!(store.receipts_at(height), Ok(receipts.filter(|_| is_kept)));
        let pruned = StateError::Pruned {
            height,
            lowest: kept.blocks,
        };
        let proof = whole.finality_proof(height);
        assert_eq!(
            store.finality_proof(height),
            if is_kept { proof } else { Err(pruned) }
        );
        for transaction in &block.body.transactions {
            let found = (height >= kept.transactions).then_some((height, 0));
            assert_eq!(store.transaction(&transaction.id()), Ok(found));
        }
        assert_eq!(store.root_at(height).is_ok(), height >= kept.state);
        if height >= kept.state.max(whole.oldest()) {
            for n in 0..KEYS {
                assert_eq!(store.prove(height, &key(n)), whole.prove(height, &key(n)));
            }
        }
    }
    let jobs = whole.jobs_of(&customer(), usize::MAX).unwrap();
    let jobs = jobs
        .into_iter()
        .filter(|(height, _)| *height >= kept.transactions);
    assert_eq!(store.jobs_of(&customer(), usize::MAX), Ok(jobs.collect()));
    store.audit().unwrap();
}

#[test]
fn presets_keep_what_they_say() {
    let [archive, full, validator] = [
        HistoryPreset::Archive,
        HistoryPreset::Full,
        HistoryPreset::Validator,
    ]
    .map(KeptHistory::of);
    assert_eq!(KeptHistory::default(), full);
    let all = [archive, full, validator].map(|history| history.blocks);
    assert_eq!(all, [None, None, Some(VALIDATOR_HEIGHTS)]);
    let all = [archive, full, validator].map(|history| history.state);
    assert_eq!(all, [None, Some(KEPT_HEIGHTS), Some(KEPT_HEIGHTS)]);
    for history in [archive, full, validator] {
        assert_eq!(history.transactions, history.blocks);
        let long_enough = |kept: Option<u64>| kept.is_none_or(|kept| kept >= LEAST_BLOCKS);
        assert!(long_enough(history.blocks) && long_enough(history.transactions));
    }
}

#[test]
fn what_is_old_goes_and_what_is_kept_answers_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), SHORT);
    let mut rows = BTreeMap::new();
    for height in 1..=300u64 {
        extend(&store, height);
        let below = |kept: u64| Height(height.saturating_sub(kept));
        let expected = KeptHeights {
            state: below(KEPT_HEIGHTS),
            blocks: below(80),
            transactions: below(20),
        };
        assert_eq!(store.kept(), expected);
        if height % 100 == 0 {
            let counted = store.audit().unwrap().rows;
            let sizes = store.sizes().unwrap();
            assert_eq!(sizes.iter().map(|size| size.rows).sum::<u64>(), counted);
            let bytes = |size: &FamilySize| size.rows == 0 || size.bytes > size.rows;
            assert!(sizes.iter().all(bytes));
            rows.insert(height, counted);
        }
    }
    check(&store, &model(300));
    assert!(
        rows[&300] <= rows[&200] + 8,
        "rows grow while nothing more is kept: {rows:?}"
    );
}

/// A smaller history than before is reached over many commits, each of which drops a bounded piece.
#[test]
fn less_history_is_reached_a_bounded_piece_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    extend(&open(directory.path(), archive()), 250);
    let store = open(directory.path(), SHORT);
    let most = u64::from(MAX_PRUNED_HEIGHTS);
    let mut commits = 0;
    while store.kept().blocks.0 + 80 < store.tip().height.0 {
        let before = store.kept();
        extend(&store, store.tip().height.0 + 1);
        let after = store.kept();
        let moved = |before: Height, after: Height| after.0 - before.0;
        assert!(moved(before.state, after.state) <= most);
        let blocks = moved(before.blocks, after.blocks);
        let transactions = moved(before.transactions, after.transactions);
        assert!(blocks.max(transactions) <= most && blocks + transactions > 0);
        commits += 1;
        if commits % 5 == 0 {
            check(&store, &model(store.tip().height.0));
        }
    }
    assert!(commits >= (250 - 80) / most, "{commits} commits");
    extend(&store, store.tip().height.0 + 40);
    check(&store, &model(store.tip().height.0));
    assert_eq!(store.kept().state.0 + KEPT_HEIGHTS, store.tip().height.0);
}

#[test]
fn an_archive_reads_and_proves_every_height() {
    let directory = tempfile::tempdir().unwrap();
    let (store, memory) = (open(directory.path(), archive()), memory());
    let mut honest = Vec::new();
    for height in 0..=200u64 {
        extend(&memory, height);
        extend(&store, height);
        let proofs = (0..KEYS).map(|n| memory.prove(Height(height), &key(n)).unwrap());
        honest.push((memory.tip().root, proofs.collect::<Vec<_>>()));
    }
    drop(store);
    let store = open(directory.path(), archive());
    assert_eq!(store.oldest(), Height::ZERO);
    for (height, (root, proofs)) in (0u64..).map(Height).zip(honest) {
        assert_eq!(store.root_at(height), Ok(root));
        for (n, proof) in (0..KEYS).zip(proofs) {
            assert_eq!(store.prove(height, &key(n)), Ok(proof), "height {height}");
        }
    }
    check(&store, &memory);
}

#[test]
fn what_was_dropped_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    extend(&open(directory.path(), SHORT), 200);
    let store = open(directory.path(), archive());
    let kept = store.kept();
    extend(&store, 300);
    assert_eq!(store.kept(), kept, "from here on everything stays");
    check(&store, &model(300));
}

#[test]
fn undo_goes_down_to_the_lowest_kept_state() {
    let directory = tempfile::tempdir().unwrap();
    let least = KeptHistory {
        state: Some(0),
        blocks: Some(0),
        transactions: Some(0),
    };
    let store = open(directory.path(), least);
    extend(&store, 150);
    let lowest = Height(150 - KEPT_HEIGHTS);
    let kept = KeptHeights {
        state: lowest,
        blocks: lowest,
        transactions: Height(150),
    };
    assert_eq!(store.kept(), kept, "less than undo needs cannot be kept");
    for _ in 0..KEPT_HEIGHTS {
        store.undo().unwrap();
        assert!(store.kept().is_ordered(store.tip().height));
    }
    assert_eq!(store.undo(), Err(StateError::NothingToUndo(lowest)));
    extend(&store, 200);
    store.audit().unwrap();
}

/// The process dies at any point of any commit while it drops what is old.
#[test]
fn a_process_that_is_killed_while_it_prunes_loses_nothing_else() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let store = open(directory.as_ref(), SHORT);
        loop {
            extend(&store, store.tip().height.0 + 1);
            println!("decided {}", store.tip().height);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    extend(&open(directory.path(), archive()), 200);
    let seed = seed();
    for round in 0..6u64 {
        let before = open(directory.path(), SHORT).tip().height.0;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "history::a_process_that_is_killed_while_it_prunes_loses_nothing_else",
                "--nocapture",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let decided = lines
            .map_while(Result::ok)
            .filter_map(|line| line.rsplit_once("decided ")?.1.parse::<u64>().ok());
        let until = before + 1 + random_number(seed, round) % 9;
        let said = decided.take_while(|height| *height <= until).last();
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(directory.path(), SHORT);
        assert!(store.tip().height.0 >= said.unwrap_or(before));
        check(&store, &model(store.tip().height.0));
    }
}

/// The newest write-ahead log, and its length.
fn log_file(directory: &Path) -> (PathBuf, u64) {
    let files = std::fs::read_dir(directory.join("db")).unwrap();
    let logs = files.map(|entry| entry.unwrap().path());
    let newest = logs
        .filter(|path| path.extension().is_some_and(|name| name == "log"))
        .max()
        .unwrap();
    let length = newest.metadata().unwrap().len();
    (newest, length)
}

/// The power goes: of what was not synced any part may be there. The store then ends in a whole block at or above the
/// last synced one, and the lost blocks can be executed and decided again.
#[test]
fn a_log_that_is_cut_above_its_last_sync_loses_unsynced_blocks_alone() {
    const SYNC_EVERY: u64 = 16;
    let original = tempfile::tempdir().unwrap();
    let store = open(original.path(), SHORT);
    let mut synced = vec![(log_file(original.path()).1, 0)];
    for height in 1..=150u64 {
        let durability = if height % SYNC_EVERY == 0 {
            Durability::Synced
        } else {
            Durability::Buffered
        };
        store.commit(&linear(&store), durability).unwrap();
        if durability == Durability::Synced {
            synced.push((log_file(original.path()).1, height));
        }
    }
    let (log, length) = log_file(original.path());
    let whole = model(150);
    let seed = seed();
    let mut lost = 0;
    for cut in 0..30u64 {
        let keep = random_number(seed, cut) % (length + 1);
        let keep = keep.max(synced[0].0);
        let least = synced
            .iter()
            .rfind(|(length, _)| *length <= keep)
            .unwrap()
            .1;
        let copy = tempfile::tempdir().unwrap();
        let db = copy.path().join("db");
        std::fs::create_dir_all(&db).unwrap();
        for entry in std::fs::read_dir(original.path().join("db")).unwrap() {
            let from = entry.unwrap().path();
            if from.is_file() {
                std::fs::copy(&from, db.join(from.file_name().unwrap())).unwrap();
            }
        }
        let log = db.join(log.file_name().unwrap());
        let log = std::fs::OpenOptions::new().write(true).open(log).unwrap();
        log.set_len(keep).unwrap();
        let store = open(copy.path(), SHORT);
        let tip = store.tip().height.0;
        assert!(tip >= least, "{least} was synced, {tip} is there");
        check(&store, &model(tip));
        lost += 150 - tip;
        extend(&store, 150);
        check(&store, &whole);
    }
    assert!(lost > 0, "no cut lost a block");
}
