//! The store in memory against a full copy of the state per height.

use std::sync::Arc;

use proptest::prelude::*;
use types::number::Timestamp;
use types::vote::Subject;

use super::*;
use crate::ErrorClass;
use crate::fixture::{
    certificate, finalized, genesis, holds, key, next, root_of, seeded, store, writes,
};
use crate::tree;

impl MemoryStore {
    /// Commits the diff of a block that is made up.
    pub(crate) fn apply(&self, diff: &Arc<crate::Diff>) {
        let mut decision = next(self, Writes::new());
        decision.diff = Arc::clone(diff);
        self.inner_mut().put(&decision);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<(u8, Option<u8>)>),
    Undo,
}

fn step() -> impl Strategy<Value = Step> {
    let entry = (0..6u8, prop::option::weighted(0.7, any::<u8>()));
    prop_oneof![8 => prop::collection::vec(entry, 0..4).prop_map(Step::Commit), 1 => Just(Step::Undo)]
}

fn check(store: &MemoryStore, model: &[Writes]) {
    let tip = store.tip().height;
    assert_eq!(tip.0 + 1, u64::try_from(model.len()).unwrap());
    for (height, content) in (0u64..).map(Height).zip(model) {
        if height < store.oldest() {
            assert!(matches!(
                store.prove(height, &key(0)),
                Err(StateError::NotKept { .. })
            ));
            continue;
        }
        assert_eq!(store.root_at(height), Ok(root_of(content)));
        for n in 0..6 {
            let (value, proof) = store.prove(height, &key(n)).unwrap();
            assert_eq!(value, content.get(&key(n)).cloned().flatten());
            let (root, key) = (root_of(content), key(n).hash());
            assert!(holds(&root, &key, value.as_deref(), &proof));
        }
    }
    assert!(matches!(
        store.read_at(tip.next(), &key(0)),
        Err(StateError::NotKept { .. })
    ));
}

proptest! {
    #![proptest_config(seeded(24))]

    /// Against a full copy of the state per height: every kept height reads and proves, also after undo.
    #[test]
    fn kept_heights_read_as_they_were(steps in prop::collection::vec(step(), 1..40)) {
        let store = MemoryStore::new(&genesis(), Writes::from([(key(0), Some(vec![9]))])).unwrap();
        let mut model = vec![Writes::from([(key(0), Some(vec![9]))])];
        for step in steps {
            match step {
                Step::Commit(entries) => {
                    let writes: Writes = entries.into_iter().map(|(n, v)| (key(n), v.map(|v| vec![v]))).collect();
                    store.commit(&next(&store, writes.clone()), Durability::Synced).unwrap();
                    let mut content = model.last().cloned().unwrap();
                    content.extend(writes);
                    content.retain(|_, value| value.is_some());
                    model.push(content);
                }
                Step::Undo if model.len() > 1 => {
                    model.pop();
                    store.undo().unwrap();
                }
                Step::Undo => prop_assert_eq!(store.undo(), Err(StateError::NothingToUndo(Height::ZERO))),
            }
        }
        check(&store, &model);
    }
}

#[test]
fn sixty_four_heights_are_kept_and_no_more() {
    let store = MemoryStore::new(&genesis(), Writes::new()).unwrap();
    let mut model = vec![Writes::new()];
    let mut nodes = Vec::new();
    for n in 0..200u8 {
        let writes = Writes::from([(key(n % 6), Some(vec![n]))]);
        store
            .commit(&next(&store, writes.clone()), Durability::Synced)
            .unwrap();
        let mut content = model.last().cloned().unwrap();
        content.extend(writes);
        model.push(content);
        nodes.push(store.node_count());
    }
    assert_eq!(
        (store.tip().height, store.oldest()),
        (Height(200), Height(200 - KEPT_HEIGHTS))
    );
    check(&store, &model);
    assert!(
        nodes[199] <= nodes[100] + 2,
        "nodes grow: {} then {}",
        nodes[100],
        nodes[199]
    );
    for _ in 0..KEPT_HEIGHTS {
        store.undo().unwrap();
        model.pop();
    }
    check(&store, &model);
    assert_eq!(
        store.undo(),
        Err(StateError::NothingToUndo(Height(200 - KEPT_HEIGHTS)))
    );
}

#[test]
fn a_crash_loses_what_was_not_synced() {
    let store = MemoryStore::new(&genesis(), Writes::new()).unwrap();
    for durability in [
        Durability::Buffered,
        Durability::Synced,
        Durability::Buffered,
        Durability::Buffered,
    ] {
        store
            .commit(
                &next(&store, Writes::from([(key(1), Some(vec![1]))])),
                durability,
            )
            .unwrap();
    }
    let copy = store.fork();
    assert_eq!(store.crash().unwrap().height, Height(2));
    assert_eq!(store.crash().unwrap().height, Height(2));
    assert_eq!(copy.tip().height, Height(4));
}

#[test]
fn what_does_not_follow_the_tip_is_not_committed() {
    let store = MemoryStore::new(&genesis(), Writes::new()).unwrap();
    let good = next(&store, Writes::from([(key(1), Some(vec![1]))]));
    let commit = |decision: &Decision| store.commit(decision, Durability::Synced);
    let mut other = good.clone();
    Arc::make_mut(&mut other.block).header.timestamp = Timestamp(77);
    assert!(matches!(commit(&other), Err(StateError::WrongDiff { .. })));
    let mut other = good.clone();
    Arc::make_mut(&mut other.block).header.parent_state_root = Hash32([1; 32]);
    other.diff = Arc::new(crate::Diff {
        block: other.block.id(),
        ..(*good.diff).clone()
    });
    assert!(matches!(
        commit(&other),
        Err(StateError::WrongParentRoot { .. })
    ));
    let subject = Subject::Notarize {
        parent_view: types::number::View(0),
        block: good.block.id(),
    };
    let certificate = certificate(1, subject);
    let other = Decision {
        finality: Some(certificate),
        ..good.clone()
    };
    assert_eq!(
        commit(&other),
        Err(StateError::WrongCertificate(good.block.id()))
    );
    commit(&good).unwrap();
    assert!(matches!(commit(&good), Err(StateError::NotNext { .. })));
}

#[test]
fn a_flat_value_that_is_not_the_one_in_the_tree_is_never_proven() {
    let store = MemoryStore::new(&genesis(), Writes::from([(key(0), Some(vec![9]))])).unwrap();
    for flat in [Some(vec![8]), None] {
        match flat {
            Some(value) => store.inner_mut().flat.insert(key(0), value),
            None => store.inner_mut().flat.remove(&key(0)),
        };
        assert!(matches!(
            store.prove(Height::ZERO, &key(0)),
            Err(StateError::CorruptTree { .. })
        ));
    }
}

#[test]
fn pruning_drops_exactly_the_nodes_that_kept_heights_do_not_need() {
    let store = store(&[(0, Some(1)), (1, Some(2)), (2, Some(3))]);
    let mut made = vec![store.inner().nodes.keys().copied().collect::<BTreeSet<_>>()];
    let mut stale = vec![BTreeSet::new()];
    for n in 0..150u8 {
        let decision = next(&store, writes(&[(n % 5, (n % 7 > 0).then_some(n))]));
        made.push(decision.diff.tree.new.keys().copied().collect());
        stale.push(decision.diff.tree.stale.clone());
        store.commit(&decision, Durability::Synced).unwrap();
        let oldest = usize::try_from(store.oldest().0).unwrap();
        let mut expected: BTreeSet<NodeKey> = made.iter().flatten().copied().collect();
        for node in stale[..=oldest].iter().flatten() {
            assert!(expected.remove(node), "{node} became stale twice");
        }
        let held: BTreeSet<NodeKey> = store.inner().nodes.keys().copied().collect();
        assert_eq!(held, expected, "after height {}", store.tip().height);
    }
}

#[test]
fn a_pruned_root_is_gone_and_every_kept_one_is_there() {
    let store = store(&[(0, Some(1))]);
    for n in 0..80u8 {
        let decision = next(&store, writes(&[(1, Some(n))]));
        store.commit(&decision, Durability::Synced).unwrap();
    }
    let (oldest, tip) = (store.oldest(), store.tip().height);
    assert_eq!(tip.0 - oldest.0, KEPT_HEIGHTS);
    for height in (0..=tip.0 + 1).map(Height) {
        let proven = tree::prove(&store, height, &Hash32::ZERO, &key(1).hash());
        let is_kept = height >= oldest && height <= tip;
        let expected = if is_kept { "path" } else { "root" };
        match proven {
            Err(StateError::MissingRoot(at)) => assert_eq!((expected, at), ("root", height)),
            Err(StateError::CorruptTree { height: at, .. }) => {
                assert_eq!((expected, at), ("path", height), "the zero root is no root");
            }
            other => unreachable!("{other:?}"),
        }
        assert_eq!(store.root_at(height).is_ok(), is_kept);
        if !is_kept {
            let not_kept = StateError::NotKept {
                height,
                oldest,
                tip,
            };
            assert_eq!(store.root_at(height), Err(not_kept.clone()));
            assert_eq!(store.read_at(height, &key(1)), Err(not_kept));
        }
    }
}

#[test]
fn undo_takes_everything_of_the_block_back() {
    let store = store(&[(0, Some(1)), (1, Some(1))]);
    store
        .commit(&next(&store, writes(&[(0, Some(2))])), Durability::Synced)
        .unwrap();
    let before = store.fork();
    let decision = finalized(next(
        &store,
        writes(&[(0, None), (1, Some(3)), (2, Some(4))]),
    ));
    store.commit(&decision, Durability::Synced).unwrap();
    let block = decision.block.id();
    assert_eq!(store.height_of(&block), Ok(Some(Height(2))));
    assert_eq!(store.newest_certificate().unwrap().unwrap().0, Height(2));
    assert_eq!(store.receipts_at(Height(2)), Ok(Some(Vec::new())));
    assert_eq!(store.undo(), Ok(before.tip()));
    assert_eq!(store.height_of(&block), Ok(None));
    assert_eq!(store.block_at(Height(2)), Ok(None));
    assert_eq!(store.receipts_at(Height(2)), Ok(None));
    assert_eq!(store.newest_certificate(), Ok(None));
    for n in 0..4 {
        assert_eq!(store.read(&key(n)), before.read(&key(n)));
        assert_eq!(
            store.prove(Height(1), &key(n)),
            before.prove(Height(1), &key(n))
        );
    }
    assert_eq!(store.inner().nodes, before.inner().nodes);
    store.commit(&decision, Durability::Synced).unwrap();
    assert_eq!(store.tip(), decision.diff.tip());
}

#[test]
fn a_fork_goes_its_own_way_and_a_clone_does_not() {
    let store = store(&[(0, Some(1))]);
    let (clone, fork) = (store.clone(), store.fork());
    store
        .commit(&next(&store, writes(&[(0, Some(2))])), Durability::Synced)
        .unwrap();
    fork.commit(&next(&fork, writes(&[(0, Some(3))])), Durability::Synced)
        .unwrap();
    assert_eq!(clone.read(&key(0)), Ok(Some(vec![2])));
    assert_eq!(fork.read(&key(0)), Ok(Some(vec![3])));
    assert_eq!(clone.tip(), store.tip());
    assert_ne!(fork.tip().root, store.tip().root);
}

#[test]
fn a_refused_decision_changes_nothing() {
    let store = store(&[(0, Some(1))]);
    let good = next(&store, writes(&[(0, Some(2)), (1, Some(2))]));
    let before = store.fork();
    let mut late = good.clone();
    Arc::make_mut(&mut late.block).header.height = Height(2);
    assert!(store.commit(&late, Durability::Synced).is_err());
    assert_eq!(store.tip(), before.tip());
    assert_eq!(store.inner().nodes, before.inner().nodes);
    assert_eq!(store.inner().flat, before.inner().flat);
}

/// Every kind of damage is named, and of the class that tells an operator to replace the store.
#[test]
fn damaged_nodes_are_of_the_class_of_damage() {
    let store = store(&[(0, Some(1)), (1, Some(2)), (2, Some(3)), (3, Some(4))]);
    let nodes: Vec<_> = store.inner().nodes.keys().copied().collect();
    for node in nodes.iter().copied() {
        let others = nodes.iter().filter(|other| **other != node);
        let other = |name: &NodeKey| store.inner().nodes.get(name).cloned();
        for replaced in others.map(other).chain([None]) {
            let damaged = store.fork();
            match replaced {
                Some(other) => damaged.inner_mut().nodes.insert(node, other),
                None => damaged.inner_mut().nodes.remove(&node),
            };
            let errors: Vec<_> = (0..4)
                .filter_map(|n| damaged.prove(Height::ZERO, &key(n)).err())
                .collect();
            assert!(!errors.is_empty(), "{node} is on the path of a key");
            for error in errors {
                assert_eq!(error.class(), ErrorClass::Damaged, "{error}");
            }
        }
    }
}
