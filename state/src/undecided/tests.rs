//! Undecided diffs: siblings, branches, and what deciding keeps.

use proptest::prelude::*;

use super::*;
use crate::fixture::{id, key, root_of, seeded, store, writes};
use crate::{MemoryStore, Writes, compute_diff};

fn start() -> (MemoryStore, Undecided) {
    let store = store(&[(1, Some(1)), (2, Some(2))]);
    let undecided = Undecided::new(store.tip());
    (store, undecided)
}

fn insert(
    store: &MemoryStore,
    undecided: &mut Undecided,
    parent: BlockId,
    block: BlockId,
    entries: &[(u8, Option<u8>)],
) {
    let diff = compute_diff(
        &undecided.view(store, parent).unwrap(),
        block,
        writes(entries),
    )
    .unwrap();
    undecided.insert(diff).unwrap();
}

#[test]
fn siblings_do_not_see_each_other_and_descendants_see_their_branch() {
    let (store, mut undecided) = start();
    let base = undecided.tip().block;
    insert(
        &store,
        &mut undecided,
        base,
        id(10),
        &[(1, Some(11)), (3, Some(3))],
    );
    insert(&store, &mut undecided, base, id(20), &[(1, None)]);
    insert(
        &store,
        &mut undecided,
        id(10),
        id(11),
        &[(3, None), (2, Some(2))],
    );
    let read = |block, n| {
        undecided
            .view(&store, block)
            .unwrap()
            .read(&key(n))
            .unwrap()
    };
    assert_eq!(
        [read(id(10), 1), read(id(10), 3)],
        [Some(vec![11]), Some(vec![3])]
    );
    assert_eq!([read(id(20), 1), read(id(20), 3)], [None, None]);
    assert_eq!(
        [read(id(11), 1), read(id(11), 3), read(id(11), 2)],
        [Some(vec![11]), None, Some(vec![2])]
    );
    assert_eq!(read(base, 1), Some(vec![1]));
    // A write of what is there already is no write.
    assert_eq!(
        undecided.diff(&id(11)).unwrap().writes,
        writes(&[(3, None)])
    );
    assert_eq!(
        undecided.diff(&id(11)).unwrap().before,
        writes(&[(3, Some(3))])
    );
}

#[test]
fn deciding_keeps_descendants_and_drops_the_rest() {
    let (store, mut undecided) = start();
    let base = undecided.tip().block;
    for (parent, block) in [
        (base, 10),
        (base, 20),
        (id(10), 11),
        (id(10), 12),
        (id(20), 21),
        (id(11), 13),
    ] {
        insert(
            &store,
            &mut undecided,
            parent,
            id(block),
            &[(block, Some(1))],
        );
    }
    assert_eq!(
        undecided.decide(id(11)).unwrap_err(),
        StateError::UnknownBlock(id(11))
    );
    let decided = undecided.decide(id(10)).unwrap();
    assert_eq!((decided.block, undecided.tip()), (id(10), decided.tip()));
    let left: Vec<_> = (10..22)
        .filter(|n| undecided.diff(&id(*n)).is_some())
        .collect();
    assert_eq!(left, [11, 12, 13]);
    assert!(undecided.branch(id(21)).is_err() && undecided.branch(base).is_err());
    assert_eq!(undecided.branch(id(13)).unwrap().tip().height, Height(3));
}

#[test]
fn retaining_drops_what_is_not_named_and_what_descends_from_it() {
    let (store, mut undecided) = start();
    let base = undecided.tip().block;
    for (parent, block) in [
        (base, 10),
        (base, 20),
        (id(10), 11),
        (id(11), 12),
        (id(20), 21),
    ] {
        insert(
            &store,
            &mut undecided,
            parent,
            id(block),
            &[(block, Some(1))],
        );
    }
    undecided.retain(&[id(10), id(12), id(20), id(21)].into());
    let left: Vec<_> = (10..22)
        .filter(|n| undecided.diff(&id(*n)).is_some())
        .collect();
    assert_eq!((left, undecided.tip().block), (vec![10, 20, 21], base));
}

#[test]
fn a_diff_that_does_not_fit_is_refused() {
    let (store, mut undecided) = start();
    let base = undecided.tip().block;
    let view = undecided.view(&store, base).unwrap();
    let diff = compute_diff(&view, id(10), writes(&[(1, None)])).unwrap();
    let stranger = Diff {
        parent: id(99),
        ..diff.clone()
    };
    assert_eq!(
        undecided.insert(stranger),
        Err(StateError::UnknownBlock(id(99)))
    );
    let high = Diff {
        height: Height(2),
        ..diff.clone()
    };
    assert!(matches!(
        undecided.insert(high),
        Err(StateError::WrongHeight {
            height: Height(2),
            ..
        })
    ));
    let other = compute_diff(&view, id(10), writes(&[(2, None)])).unwrap();
    undecided.insert(diff.clone()).unwrap();
    undecided.insert(diff).unwrap();
    assert!(matches!(
        undecided.insert(other),
        Err(StateError::Diverged { .. })
    ));
    assert_eq!(undecided.len(), 1);
}

#[test]
fn values_above_the_limit_are_refused() {
    let (store, undecided) = start();
    let view = undecided.view(&store, undecided.tip().block).unwrap();
    let long = types::limits::MAX_STATE_VALUE_BYTES + 1;
    let result = compute_diff(&view, id(1), Writes::from([(key(1), Some(vec![0; long]))]));
    assert_eq!(
        result,
        Err(StateError::ValueTooLong {
            key: key(1),
            length: long
        })
    );
    assert!(
        compute_diff(
            &view,
            id(1),
            Writes::from([(key(1), Some(vec![0; long - 1]))])
        )
        .is_ok()
    );
}

#[test]
fn a_branch_moves_to_another_thread() {
    let (store, mut undecided) = start();
    let base = undecided.tip().block;
    insert(&store, &mut undecided, base, id(10), &[(1, Some(7))]);
    let (branch, copy) = (undecided.branch(id(10)).unwrap(), store.clone());
    let read = std::thread::spawn(move || branch.over(&copy).unwrap().read(&key(1)))
        .join()
        .unwrap();
    assert_eq!(read, Ok(Some(vec![7])));
}

/// A step of a random life of undecided blocks.
#[derive(Debug, Clone)]
enum Step {
    /// Executes a block on the tip or on an undecided block.
    Insert(prop::sample::Index, Vec<(u8, Option<u8>)>),
    /// Moves the tip to one of its children; the store has committed it before.
    Decide(prop::sample::Index),
    /// Keeps the blocks whose bit is set, and drops the others.
    Retain(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let entries = prop::collection::vec((0..5u8, prop::option::weighted(0.7, any::<u8>())), 0..4);
    prop_oneof![
        8 => (any::<prop::sample::Index>(), entries).prop_map(|(at, entries)| Step::Insert(at, entries)),
        2 => any::<prop::sample::Index>().prop_map(Step::Decide),
        1 => any::<u64>().prop_map(Step::Retain),
    ]
}

/// The naive model: for each block that is known, its parent and a full copy of the state after it.
struct Model {
    tip: BlockId,
    blocks: BTreeMap<BlockId, (BlockId, Writes)>,
}

impl Model {
    fn descends(&self, block: BlockId) -> bool {
        block == self.tip
            || self
                .blocks
                .get(&block)
                .is_some_and(|(parent, _)| *parent != block && self.descends(*parent))
    }

    /// Drops what does not descend from the tip.
    fn prune(&mut self) {
        let kept: BTreeSet<_> = self
            .blocks
            .keys()
            .filter(|block| self.descends(**block))
            .copied()
            .collect();
        self.blocks.retain(|block, _| kept.contains(block));
    }

    fn check(&self, undecided: &Undecided, store: &MemoryStore) {
        let open = self.blocks.keys().filter(|block| **block != self.tip);
        assert_eq!(undecided.len(), open.count());
        for (block, (_, content)) in &self.blocks {
            let view = undecided.view(store, *block).unwrap();
            assert_eq!(view.tip().root, root_of(content));
            for n in 0..5 {
                let expected = content.get(&key(n)).cloned().flatten();
                assert_eq!(view.read(&key(n)), Ok(expected));
            }
        }
    }
}

/// A block's id that says which insertion it was.
fn numbered(n: usize) -> BlockId {
    let mut hash = types::hash::Hash32([0xb0; 32]);
    hash.0[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
    BlockId(hash)
}

proptest! {
    #![proptest_config(seeded(48))]

    /// Against full copies: every view reads and hashes as its own history says, whatever happens beside it.
    #[test]
    fn forks_are_what_their_own_history_says(steps in prop::collection::vec(step(), 1..40)) {
        let store = store(&[(0, Some(1)), (1, Some(2))]);
        let mut undecided = Undecided::new(store.tip());
        let tip = store.tip().block;
        let start = writes(&[(0, Some(1)), (1, Some(2))]);
        let mut model = Model { tip, blocks: BTreeMap::from([(tip, (tip, start))]) };
        for (n, step) in steps.into_iter().enumerate() {
            let known: Vec<_> = model.blocks.keys().copied().collect();
            match step {
                Step::Insert(at, entries) => {
                    let parent = *at.get(&known);
                    let view = undecided.view(&store, parent).unwrap();
                    let diff = compute_diff(&view, numbered(n), writes(&entries)).unwrap();
                    prop_assert!(diff.writes.iter().all(|(key, value)| diff.before[key] != *value));
                    undecided.insert(diff).unwrap();
                    let mut content = model.blocks[&parent].1.clone();
                    content.extend(writes(&entries));
                    content.retain(|_, value| value.is_some());
                    model.blocks.insert(numbered(n), (parent, content));
                }
                Step::Decide(at) => {
                    let is_child = |block: &&BlockId| **block != model.tip && model.blocks[*block].0 == model.tip;
                    let children: Vec<_> = known.iter().filter(is_child).copied().collect();
                    if children.is_empty() {
                        continue;
                    }
                    let block = *at.get(&children);
                    let diff = undecided.decide(block).unwrap();
                    store.apply(&diff);
                    model.tip = block;
                    model.prune();
                }
                Step::Retain(bits) => {
                    let kept: BTreeSet<_> = known.iter().zip(0..64).filter(|(_, n)| bits >> n & 1 == 1).map(|(block, _)| *block).collect();
                    undecided.retain(&kept);
                    let tip = model.tip;
                    model.blocks.retain(|block, _| *block == tip || kept.contains(block));
                    model.prune();
                }
            }
            model.check(&undecided, &store);
        }
    }
}

#[test]
fn a_view_outlives_the_decision_of_its_blocks() {
    let (store, mut undecided) = start();
    let base = undecided.tip().block;
    insert(&store, &mut undecided, base, id(10), &[(1, Some(11))]);
    insert(&store, &mut undecided, id(10), id(11), &[(2, None)]);
    let view = undecided.view(&store, id(11)).unwrap();
    let of_base = undecided.view(&store, base).unwrap();
    let diff = undecided.decide(id(10)).unwrap();
    store.apply(&diff);
    assert_eq!(view.read(&key(1)), Ok(Some(vec![11])));
    assert_eq!(view.read(&key(2)), Ok(None));
    assert_eq!(of_base.read(&key(1)), Ok(Some(vec![1])), "as it was then");
    assert_eq!(undecided.branch(id(11)).unwrap().base_height(), Height(1));
    assert_eq!(view.tip(), undecided.at(&id(11)).unwrap());
}

#[test]
fn a_branch_without_diffs_is_the_decided_state() {
    let (store, undecided) = start();
    let branch = Branch::decided(store.tip());
    assert_eq!(branch.tip(), store.tip());
    let view = branch.over(&store).unwrap();
    for n in 0..4 {
        assert_eq!(view.read(&key(n)), store.read(&key(n)));
    }
    assert!(undecided.is_empty());
    assert_eq!(undecided.at(&store.tip().block), Some(store.tip()));
    assert_eq!(undecided.at(&id(99)), None);
}
