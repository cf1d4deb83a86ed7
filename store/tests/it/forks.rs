//! Random trees of forks: siblings are inserted, one is decided, the others go; blocks are undone, the store is
//! closed and opened. The store on disk answers like the one in memory, after every step.

use std::collections::BTreeMap;

use gridproof_store::{ChainStore, DecidedState, Durability, StateError, Store};
use proptest::prelude::*;
use state::{Branch, MemoryStore, Undecided, compute_diff};
use tempfile::TempDir;
use types::block::Block;
use types::hash::BlockId;
use types::limits::KEPT_HEIGHTS;
use types::number::Height;

use crate::fixture::{block, decision, genesis, genesis_writes, linear, same, seeded, writes};

#[derive(Debug, Clone)]
enum Step {
    /// Executes a block on the tip or on an undecided block, picked by the first number.
    Insert(prop::sample::Index, Vec<(u8, Option<u8>)>),
    /// Decides one of the tip's children.
    Decide(prop::sample::Index, bool),
    Undo,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let entries = prop::collection::vec((0..6u8, prop::option::weighted(0.7, 0..40u8)), 0..4);
    prop_oneof![
        10 => (any::<prop::sample::Index>(), entries).prop_map(|(at, entries)| Step::Insert(at, entries)),
        6 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, sync)| Step::Decide(at, sync)),
        1 => Just(Step::Undo),
        1 => Just(Step::Reopen),
    ]
}

struct Run {
    memory: MemoryStore,
    disk: Option<Store>,
    undecided: Undecided,
    blocks: BTreeMap<BlockId, Block>,
    salt: u64,
    /// Goes last: what is open in it must be closed before.
    directory: TempDir,
}

fn open(directory: &TempDir) -> Store {
    Store::open(directory.path(), &genesis("forks"), genesis_writes()).unwrap()
}

impl Run {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new(&genesis("forks"), genesis_writes()).unwrap();
        let disk = Some(open(&directory));
        let undecided = Undecided::new(memory.tip());
        Self {
            memory,
            disk,
            undecided,
            blocks: BTreeMap::new(),
            salt: 0,
            directory,
        }
    }

    fn disk(&self) -> &Store {
        self.disk.as_ref().unwrap()
    }

    fn insert(&mut self, at: prop::sample::Index, entries: &[(u8, Option<u8>)]) {
        let tip = self.undecided.tip();
        let mut parents = vec![tip.block];
        parents.extend(
            self.blocks
                .keys()
                .filter(|id| self.undecided.diff(id).is_some()),
        );
        let parent = *at.get(&parents);
        let header = match self.blocks.get(&parent) {
            Some(block) => block.header.clone(),
            None => self.memory.header_at(tip.height).unwrap().unwrap(),
        };
        let root = self.undecided.at(&parent).unwrap().root;
        self.salt += 1;
        let block = block(&header, root, self.salt);
        let on_memory = compute_diff(
            &self.undecided.view(&self.memory, parent).unwrap(),
            block.id(),
            writes(entries),
        );
        let on_disk = compute_diff(
            &self.undecided.view(self.disk(), parent).unwrap(),
            block.id(),
            writes(entries),
        );
        assert_eq!(on_memory, on_disk);
        self.undecided.insert(on_memory.unwrap()).unwrap();
        self.blocks.insert(block.id(), block);
    }

    fn decide(&mut self, at: prop::sample::Index, sync: bool) {
        let tip = self.undecided.tip().block;
        let child = |block: &&Block| {
            block.header.parent == tip && self.undecided.diff(&block.id()).is_some()
        };
        let children: Vec<_> = self.blocks.values().filter(child).cloned().collect();
        if children.is_empty() {
            return;
        }
        let block = at.get(&children).clone();
        let decision = decision(
            block.clone(),
            self.undecided.diff(&block.id()).unwrap().clone(),
        );
        let durability = if sync {
            Durability::Synced
        } else {
            Durability::Buffered
        };
        self.memory.commit(&decision, durability).unwrap();
        self.disk().commit(&decision, durability).unwrap();
        self.undecided.decide(block.id()).unwrap();
    }

    fn undo(&mut self) {
        let (memory, disk) = (self.memory.undo(), self.disk().undo());
        assert_eq!(memory, disk);
        assert_eq!(
            memory.is_err(),
            memory == Err(StateError::NothingToUndo(Height::ZERO))
        );
        self.undecided = Undecided::new(self.memory.tip());
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Insert(at, entries) => self.insert(*at, entries),
            Step::Decide(at, sync) => self.decide(*at, *sync),
            Step::Undo => self.undo(),
            Step::Reopen => {
                self.disk = None;
                self.disk = Some(open(&self.directory));
            }
        }
    }
}

proptest! {
    #![proptest_config(seeded(24))]

    #[test]
    fn disk_and_memory_agree(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
            if !matches!(step, Step::Insert(..)) {
                same(&run.memory, run.disk());
            }
        }
        run.disk().audit().unwrap();
    }
}

#[test]
fn both_prune_and_undo_the_same_heights() {
    let mut run = Run::new();
    for _ in 0..150 {
        let decision = linear(&run.memory);
        run.memory.commit(&decision, Durability::Buffered).unwrap();
        run.disk().commit(&decision, Durability::Buffered).unwrap();
    }
    same(&run.memory, run.disk());
    let oldest = Height(150 - KEPT_HEIGHTS);
    assert_eq!(run.disk().oldest(), oldest);
    let rows = run.disk().audit().unwrap().rows;
    for _ in 0..KEPT_HEIGHTS {
        run.undo();
    }
    same(&run.memory, run.disk());
    assert_eq!(run.disk().undo(), Err(StateError::NothingToUndo(oldest)));
    while run.memory.tip().height < Height(150) {
        let decision = linear(&run.memory);
        run.memory.commit(&decision, Durability::Buffered).unwrap();
        run.disk().commit(&decision, Durability::Buffered).unwrap();
    }
    same(&run.memory, run.disk());
    assert_eq!(
        run.disk().audit().unwrap().rows,
        rows,
        "undoing and deciding again leaves nothing behind"
    );
}

#[test]
fn a_view_does_not_see_what_is_decided_after_it() {
    let run = Run::new();
    for _ in 0..5 {
        run.disk()
            .commit(&linear(run.disk()), Durability::Buffered)
            .unwrap();
    }
    let view = Undecided::new(run.disk().tip())
        .view(run.disk(), run.disk().tip().block)
        .unwrap();
    let read = || {
        (0..6)
            .map(|n| state::StateRead::read(&view, &crate::fixture::key(n)))
            .collect::<Vec<_>>()
    };
    let before = read();
    let branch = Branch::decided(run.disk().tip());
    for _ in 0..=KEPT_HEIGHTS {
        assert!(branch.clone().over(run.disk()).is_ok());
        run.disk()
            .commit(&linear(run.disk()), Durability::Buffered)
            .unwrap();
        assert_eq!(read(), before, "the view reads one moment, pruned or not");
    }
    assert!(matches!(
        branch.over(run.disk()).map(|view| view.tip()),
        Err(StateError::NotKept {
            height: Height(5),
            ..
        })
    ));
}
