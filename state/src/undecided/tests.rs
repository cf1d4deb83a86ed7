//! Undecided diffs: siblings, branches, and what deciding keeps.

use types::hash::{Address, Hash32};

use super::*;
use crate::{MemoryStore, Writes, compute_diff};

fn key(n: u8) -> StateKey {
    StateKey::Account(Address([n; 20]))
}

fn id(n: u8) -> BlockId {
    BlockId(Hash32([n; 32]))
}

fn writes(entries: &[(u8, Option<u8>)]) -> Writes {
    entries
        .iter()
        .map(|(n, value)| (key(*n), value.map(|v| vec![v])))
        .collect()
}

fn start() -> (MemoryStore, Undecided) {
    let store = MemoryStore::new(
        &crate::memory::tests::genesis(),
        writes(&[(1, Some(1)), (2, Some(2))]),
    )
    .unwrap();
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
    let read = std::thread::spawn(move || branch.over(&copy).read(&key(1)))
        .join()
        .unwrap();
    assert_eq!(read, Ok(Some(vec![7])));
}
