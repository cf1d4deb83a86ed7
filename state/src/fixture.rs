//! Fixtures of this crate's tests: a genesis, keys, decisions, and the naive model that the store is compared with.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::block::{Block, Body, Header};
use types::genesis::Genesis;
use types::hash::{Address, BlockId, Domain, Hash32};
use types::number::{Epoch, View};
use types::proof::StateProof;
use types::state_key::StateKey;
pub use types::testing::seeded;
use types::vote::{Certificate, Statement, Subject};

use crate::tree::value_hash;
use crate::{ChainStore, DecidedState, Decision, MemoryStore, Undecided, Writes, compute_diff};

/// Hash of a subtree without keys.
pub const EMPTY: Hash32 = Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// A genesis of one validator, without accounts.
pub fn genesis() -> Genesis {
    types::testing::genesis(&[1])
}

/// The `n`th of the keys that tests write to.
pub fn key(n: u8) -> StateKey {
    StateKey::Account(Address([n; 20]))
}

/// The id of a block that is made up.
pub fn id(n: u8) -> BlockId {
    BlockId(Hash32([n; 32]))
}

/// Writes of one byte each, or deletions.
pub fn writes(entries: &[(u8, Option<u8>)]) -> Writes {
    entries
        .iter()
        .map(|(n, value)| (key(*n), value.map(|v| vec![v])))
        .collect()
}

/// A store at height 0 with these values.
pub fn store(entries: &[(u8, Option<u8>)]) -> MemoryStore {
    MemoryStore::new(&genesis(), writes(entries)).unwrap()
}

/// The decision of an empty block after the store's tip.
pub fn next(store: &MemoryStore, writes: Writes) -> Decision {
    let tip = store.tip();
    let parent = store.header_at(tip.height).unwrap().unwrap();
    let header = Header {
        height: tip.height.next(),
        parent: tip.block,
        timestamp: parent.timestamp.next(),
        parent_state_root: tip.root,
        ..parent
    };
    let block = Block {
        header,
        body: Body::default(),
    };
    let view = Undecided::new(tip).view(store, tip.block).unwrap();
    let diff = Arc::new(compute_diff(&view, block.id(), writes).unwrap());
    Decision {
        block: Arc::new(block),
        diff,
        receipts: Vec::new(),
        finality: None,
        proposer: None,
    }
}

/// A certificate over a statement of a view, without signatures: stores do not verify them.
pub fn certificate(view: u64, subject: Subject) -> Certificate {
    let statement = Statement {
        epoch: Epoch(0),
        view: View(view),
        subject,
    };
    Certificate::from_votes(statement, &[])
}

/// The decision with a finalization of its block.
pub fn finalized(decision: Decision) -> Decision {
    let block = decision.block.id();
    let view = decision.block.header.height.0;
    let finality = Some(certificate(view, Subject::Finalize { block }));
    Decision {
        finality,
        ..decision
    }
}

/// The rule of the root, straight from its text: entries are sorted by key hash and share `depth` bits.
pub fn rule(entries: &[(Hash32, Hash32)], depth: usize) -> Hash32 {
    match entries {
        [] => EMPTY,
        [(key, value)] => Hash32::of_parts(Domain::STATE_LEAF, &[&key.0, &value.0]),
        _ => {
            let at = entries.partition_point(|(key, _)| !bit(key, depth));
            let left = rule(&entries[..at], depth + 1);
            let right = rule(&entries[at..], depth + 1);
            Hash32::of_parts(Domain::STATE_NODE, &[&left.0, &right.0])
        }
    }
}

fn bit(key: &Hash32, depth: usize) -> bool {
    key.0[depth / 8] & (0x80 >> (depth % 8)) != 0
}

/// The root of a state, by the rule.
pub fn root_of(content: &Writes) -> Hash32 {
    let hashed: BTreeMap<Hash32, Hash32> = content
        .iter()
        .filter_map(|(key, value)| Some((key.hash(), value_hash(value.as_deref()?))))
        .collect();
    rule(&hashed.into_iter().collect::<Vec<_>>(), 0)
}

/// True if the path leads from the key to the root, and shows the value or the absence: the check of a reader who has
/// nothing but the rule.
pub fn holds(root: &Hash32, key: &Hash32, value: Option<&[u8]>, proof: &StateProof) -> bool {
    let length = proof.siblings.len();
    let (end, shows) = match (proof.leaf, value) {
        (Some((leaf, found)), Some(value)) => (
            Hash32::of_parts(Domain::STATE_LEAF, &[&leaf.0, &found.0]),
            leaf == *key && found == value_hash(value),
        ),
        (Some((leaf, found)), None) => (
            Hash32::of_parts(Domain::STATE_LEAF, &[&leaf.0, &found.0]),
            leaf != *key && (0..length).all(|depth| bit(&leaf, depth) == bit(key, depth)),
        ),
        (None, Some(_)) => (EMPTY, false),
        (None, None) => (EMPTY, true),
    };
    let fold = |(above, at): (Hash32, usize), sibling: &Hash32| {
        let pair = if bit(key, at - 1) {
            [sibling, &above]
        } else {
            [&above, sibling]
        };
        let node = Hash32::of_parts(Domain::STATE_NODE, &[&pair[0].0, &pair[1].0]);
        (node, at - 1)
    };
    let (found, _) = proof.siblings.iter().fold((end, length), fold);
    shows && found == *root
}
