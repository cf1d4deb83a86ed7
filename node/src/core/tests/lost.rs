//! The power goes, with everything that the store had not synced: what was decided comes back from the vote log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use consensus::log::{FileStorage, Log};
use state::DecidedState;
use store::Store;
use tempfile::TempDir;

use super::*;

/// A validator alone, with its store and its vote log on disk.
struct Disk {
    directory: TempDir,
    genesis: Genesis,
    setup: NodeSetup,
}

/// What a run left.
struct Life {
    /// The store's end when the run began, and when it ended.
    begin: state::Tip,
    end: state::Tip,
    /// All decided blocks.
    blocks: BTreeMap<u64, BlockId>,
    /// The store's log at its last sync: file, length, and the height that was safe then.
    synced: Option<(PathBuf, u64, u64)>,
}

impl Disk {
    fn new() -> Self {
        let genesis = genesis(1);
        let setup = NodeSetup::new(&genesis, key(1), vrf(1), Hash32([3; 32])).unwrap();
        let disk = Self {
            directory: tempfile::tempdir().unwrap(),
            genesis,
            setup,
        };
        Log::init(disk.log_files(), disk.setup.log_identity()).unwrap();
        disk
    }

    fn log_files(&self) -> FileStorage {
        FileStorage::new(&self.directory.path().join("log")).unwrap()
    }

    /// Runs the validator until its store ends at a height.
    fn live(&self, now_ms: &mut u64, until: u64) -> Life {
        let writes = vm::genesis_writes(&self.genesis).unwrap();
        let store = Store::open(self.directory.path(), &self.genesis, writes).unwrap();
        let (log, records) = Log::open(self.log_files(), self.setup.log_identity()).unwrap();
        // Small segments, so that the log lets go of what the store has synced.
        let mut log = log.with_segment_bytes(8 << 10);
        let (begin, mut synced, mut timer) = (store.tip(), None, None);
        let now = |ms: u64| Now {
            monotonic: Monotonic(ms),
            unix: Timestamp(BEGIN + ms),
        };
        let started = Node::start(
            self.setup.clone(),
            now(*now_ms),
            &store,
            records,
            BTreeSet::new(),
        );
        let (mut node, effects) = started.unwrap();
        let mut waiting = VecDeque::from(effects);
        loop {
            while let Some(effect) = waiting.pop_front() {
                match effect {
                    Effect::Persist(records) => log.append(&records).unwrap(),
                    Effect::Release(view) => log.release(view).unwrap(),
                    Effect::SetTimer(at) => timer = Some(at.0),
                    Effect::Stop(stop) => panic!("{stop}"),
                    Effect::Work(work) => {
                        let answer = work.perform(node.rules(), &store).unwrap();
                        if let Done::Committed { synced: true, .. } = answer {
                            let (file, length) = store_log(self.directory.path());
                            synced = Some((file, length, store.tip().height.0));
                        }
                        waiting.extend(node.step(now(*now_ms), &store, super::done(answer)));
                    }
                    _ => {}
                }
            }
            if store.tip().height.0 >= until {
                break;
            }
            assert!(*now_ms < 600_000, "it stands at {:?}", store.tip());
            *now_ms = (*now_ms).max(timer.take().expect("there is always a next block"));
            waiting.extend(node.step(now(*now_ms), &store, Event::Timer));
        }
        let end = store.tip();
        let block = |height| store.block_at(Height(height)).unwrap().unwrap().id();
        Life {
            begin,
            end,
            blocks: (0..=end.height.0).map(|at| (at, block(at))).collect(),
            synced,
        }
    }
}

/// The store's write-ahead log, and its length.
fn store_log(directory: &Path) -> (PathBuf, u64) {
    let files = std::fs::read_dir(directory.join("db")).unwrap();
    let logs = files.map(|entry| entry.unwrap().path());
    let log = logs
        .filter(|path| path.extension().is_some_and(|name| name == "log"))
        .max();
    let log = log.expect("the store has a log");
    let length = log.metadata().unwrap().len();
    (log, length)
}

#[test]
fn what_the_store_had_not_synced_comes_back_from_the_vote_log() {
    let disk = Disk::new();
    let mut now_ms = 0;
    let first = disk.live(&mut now_ms, 41);
    let (log, length, safe) = first.synced.expect("some blocks were synced");
    assert!(safe < 41, "the last blocks were not: {safe} are safe");
    assert_eq!(
        store_log(disk.directory.path()).0,
        log,
        "one log was written"
    );
    let log = std::fs::OpenOptions::new().write(true).open(log).unwrap();
    log.set_len(length).unwrap();
    drop(log);
    now_ms += 1;
    let second = disk.live(&mut now_ms, first.end.height.0);
    assert_eq!(second.begin.height.0, safe, "the power took the rest");
    for (height, block) in &first.blocks {
        assert_eq!(second.blocks.get(height), Some(block), "block {height}");
    }
    if second.end.height == first.end.height {
        assert_eq!(second.end, first.end, "to the same root");
    }
    let third = disk.live(&mut now_ms, second.end.height.0 + 20);
    assert_eq!(third.begin, second.end);
}
