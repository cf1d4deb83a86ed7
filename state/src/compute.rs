//! Computing what a block changes: flat values and tree nodes over the state after its parent.

use std::collections::BTreeMap;

use types::block::Header;
use types::hash::{BlockId, Hash32};
use types::limits::MAX_STATE_VALUE_BYTES;
use types::number::Height;

use crate::diff::Diff;
use crate::tree::{self, value_hash};
use crate::undecided::StateView;
use crate::{StateError, StateRead, Writes};

/// The diff of a block whose parent is the last block of `parent`. Writes that change nothing are dropped.
pub fn compute_diff(
    parent: &StateView<'_>,
    block: BlockId,
    writes: Writes,
) -> Result<Diff, StateError> {
    let below = parent.tip();
    let height = below.height.next();
    let (writes, before) = effective(parent, writes)?;
    let tree = tree::update(parent, Some(below.root), height, &tree_changes(&writes))?;
    let diff = Diff {
        block,
        parent: below.block,
        height,
        writes,
        before,
        tree,
    };
    assert_whole(&diff);
    Ok(diff)
}

/// The diff that makes the state of height 0 out of nothing.
pub fn genesis_diff(header: &Header, writes: Writes) -> Result<Diff, StateError> {
    let (writes, before) = effective(&Writes::new(), writes)?;
    let tree = tree::update(&(), None, Height::ZERO, &tree_changes(&writes))?;
    let diff = Diff {
        block: header.id(),
        parent: header.parent,
        height: Height::ZERO,
        writes,
        before,
        tree,
    };
    assert_whole(&diff);
    Ok(diff)
}

/// Asserts what undo and pruning rely on: `before` undoes exactly `writes`, there is a new root node, and no node is
/// both new and stale.
fn assert_whole(diff: &Diff) {
    assert!(
        diff.writes.keys().eq(diff.before.keys()),
        "a diff replaces exactly the keys that it writes"
    );
    assert!(!diff.tree.new.is_empty(), "every version has a root node");
    assert!(
        diff.tree
            .stale
            .iter()
            .all(|node| !diff.tree.new.contains_key(node)),
        "a new node is not stale"
    );
}

/// Splits writes into those that change something and the values that they replace.
fn effective(state: &impl StateRead, writes: Writes) -> Result<(Writes, Writes), StateError> {
    let (mut after, mut before) = (Writes::new(), Writes::new());
    for (key, value) in writes {
        let length = value.as_ref().map_or(0, Vec::len);
        if length > MAX_STATE_VALUE_BYTES {
            return Err(StateError::ValueTooLong { key, length });
        }
        let old = state.read(&key)?;
        if old != value {
            before.insert(key, old);
            after.insert(key, value);
        }
    }
    Ok((after, before))
}

/// Flat writes in the form of the tree: hash of each key, and hash of its new value or nothing where it is deleted.
#[must_use]
pub fn tree_changes(writes: &Writes) -> BTreeMap<Hash32, Option<Hash32>> {
    writes
        .iter()
        .map(|(key, value)| (key.hash(), value.as_deref().map(value_hash)))
        .collect()
}

#[cfg(test)]
mod tests;
