//! Diffs: they hold what changes and what it replaces, and nothing else.

use types::hash::Hash32;

use super::*;
use crate::fixture::{EMPTY, genesis, id, key, next, root_of, store, writes};
use crate::{ChainStore, DecidedState, Durability, MemoryStore, Undecided};

fn diff_of(store: &MemoryStore, entries: &[(u8, Option<u8>)]) -> Result<Diff, StateError> {
    let tip = store.tip();
    let view = Undecided::new(tip).view(store, tip.block)?;
    compute_diff(&view, id(1), writes(entries))
}

#[test]
fn a_diff_holds_what_changes_and_what_it_replaces() {
    let store = store(&[(0, Some(1)), (1, Some(2)), (2, Some(3))]);
    // Changed, removed, added; written as it was, removed though absent.
    let changes = [
        (0, Some(9)),
        (1, None),
        (3, Some(4)),
        (2, Some(3)),
        (4, None),
    ];
    let diff = diff_of(&store, &changes).unwrap();
    assert_eq!(
        diff.writes,
        writes(&[(0, Some(9)), (1, None), (3, Some(4))])
    );
    assert_eq!(
        diff.before,
        writes(&[(0, Some(1)), (1, Some(2)), (3, None)])
    );
    assert_eq!(diff.parent, store.tip().block);
    assert_eq!((diff.height, diff.tip().root), (Height(1), diff.root()));
    let after = writes(&[(0, Some(9)), (2, Some(3)), (3, Some(4))]);
    assert_eq!(diff.root(), root_of(&after));
}

#[test]
fn a_block_that_changes_nothing_keeps_the_root_and_replaces_its_node() {
    let store = store(&[(0, Some(1)), (1, Some(2))]);
    for entries in [&[][..], &[(0, Some(1))], &[(5, None), (1, Some(2))]] {
        let diff = diff_of(&store, entries).unwrap();
        assert!(diff.writes.is_empty() && diff.before.is_empty());
        assert_eq!(diff.root(), store.tip().root);
        assert_eq!((diff.tree.new.len(), diff.tree.stale.len()), (1, 1));
    }
}

#[test]
fn removing_everything_gives_the_empty_root() {
    let store = store(&[(0, Some(1)), (1, Some(2)), (2, Some(3))]);
    let diff = diff_of(&store, &[(0, None), (1, None), (2, None)]).unwrap();
    assert_eq!(diff.root(), EMPTY);
}

#[test]
fn writing_what_was_there_before_gives_the_root_of_before() {
    let store = store(&[(0, Some(1)), (1, Some(2))]);
    let root = store.tip().root;
    let decision = next(&store, writes(&[(0, None), (1, Some(7)), (2, Some(8))]));
    store.commit(&decision, Durability::Synced).unwrap();
    assert_ne!(store.tip().root, root);
    let back = next(&store, decision.diff.before.clone());
    assert_eq!(back.diff.root(), root);
    assert_eq!(back.diff.before, decision.diff.writes);
}

#[test]
fn a_diff_is_a_function_of_parent_and_writes() {
    let store = store(&[(0, Some(1))]);
    let entries = [(0, Some(2)), (1, Some(3))];
    let (first, second) = (diff_of(&store, &entries), diff_of(&store, &entries));
    assert_eq!(first, second);
    let mut reversed = entries;
    reversed.reverse();
    assert_eq!(diff_of(&store, &reversed), first);
}

#[test]
fn the_longest_value_is_taken_and_no_longer_one() {
    let store = store(&[]);
    let view = Undecided::new(store.tip()).view(&store, store.tip().block);
    let view = view.unwrap();
    let longest = Writes::from([(key(0), Some(vec![1; MAX_STATE_VALUE_BYTES]))]);
    assert!(compute_diff(&view, id(1), longest).is_ok());
    let length = MAX_STATE_VALUE_BYTES + 1;
    let longer = Writes::from([(key(0), Some(vec![1; length]))]);
    let refused = StateError::ValueTooLong {
        key: key(0),
        length,
    };
    assert_eq!(compute_diff(&view, id(1), longer), Err(refused));
}

#[test]
fn genesis_is_height_zero_over_nothing() {
    let header = genesis().header();
    let values = writes(&[(0, Some(1)), (1, Some(2)), (2, None)]);
    let diff = genesis_diff(&header, values.clone()).unwrap();
    assert_eq!((diff.block, diff.height), (header.id(), Height::ZERO));
    assert_eq!(diff.root(), root_of(&values));
    assert!(diff.tree.stale.is_empty());
    assert!(
        !diff.writes.contains_key(&key(2)),
        "an absent key is not removed"
    );
    let empty = genesis_diff(&header, Writes::new()).unwrap();
    assert_eq!((empty.root(), empty.tree.new.len()), (EMPTY, 1));
}

#[test]
fn a_parent_whose_root_is_not_the_tree_s_is_refused() {
    let store = store(&[(0, Some(1))]);
    let mut tip = store.tip();
    let found = tip.root;
    tip.root = Hash32([5; 32]);
    let view = crate::Branch::decided(tip).over(&store).unwrap();
    let mismatch = StateError::RootMismatch {
        height: Height::ZERO,
        expected: tip.root,
        found,
    };
    let refused = compute_diff(&view, id(1), writes(&[(0, Some(2))]));
    assert_eq!(refused, Err(mismatch));
}

#[test]
fn the_tree_takes_hashes_of_keys_and_values() {
    let changes = tree_changes(&writes(&[(0, Some(1)), (1, None)]));
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[&key(0).hash()], Some(value_hash(&[1])));
    assert_eq!(changes[&key(1).hash()], None);
}

/// What undo and pruning rely on stops the program where it does not hold: nothing of such a diff may reach a disk.
#[test]
fn a_diff_that_cannot_be_undone_or_pruned_is_no_diff() {
    let store = store(&[(0, Some(1)), (1, Some(2))]);
    let whole = diff_of(&store, &[(0, Some(9)), (1, None)]).unwrap();
    assert_whole(&whole);
    let broken = |change: fn(&mut Diff), reason: &str| {
        let mut diff = whole.clone();
        change(&mut diff);
        let panic = std::panic::catch_unwind(|| assert_whole(&diff)).unwrap_err();
        let said = panic.downcast_ref::<&str>().copied();
        assert_eq!(said, Some(reason));
    };
    let keys = "a diff replaces exactly the keys that it writes";
    broken(|diff| drop(diff.before.pop_first()), keys);
    broken(|diff| drop(diff.writes.pop_last()), keys);
    let root = "every version has a root node";
    broken(|diff| diff.tree.new.clear(), root);
    let stale = |diff: &mut Diff| {
        let (node, _) = diff.tree.new.first_key_value().unwrap();
        diff.tree.stale.insert(*node);
    };
    broken(stale, "a new node is not stale");
}
