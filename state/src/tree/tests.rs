//! The tree against the rule of its root, and against nodes that are missing or damaged.

use proptest::prelude::*;

use super::*;
use crate::TreeCorruption;
use crate::fixture::{rule, seeded};

type Nodes = BTreeMap<NodeKey, Vec<u8>>;
type Changes = BTreeMap<Hash32, Option<Hash32>>;

impl TreeNodes for Nodes {
    fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
        let stored = self.get(key);
        stored
            .map(|bytes| StateNode::from_bytes(key, bytes))
            .transpose()
    }
}

/// Few keys, some of which share long prefixes.
fn key(n: u8) -> Hash32 {
    let mut hash = if n.is_multiple_of(2) {
        Hash32([0xa5; 32])
    } else {
        value_hash(&[n])
    };
    hash.0[usize::from(n % 7) * 5] ^= n;
    hash
}

fn root_of(content: &BTreeMap<Hash32, Hash32>) -> Hash32 {
    rule(
        &content
            .iter()
            .map(|(key, value)| (*key, *value))
            .collect::<Vec<_>>(),
        0,
    )
}

/// Nodes as a store keeps them.
fn stored(new: BTreeMap<NodeKey, Arc<StateNode>>) -> impl Iterator<Item = (NodeKey, Vec<u8>)> {
    new.into_iter().map(|(name, node)| (name, node.to_bytes()))
}

/// A chain of versions over one set of nodes.
struct Chain {
    nodes: Nodes,
    content: BTreeMap<Hash32, Hash32>,
    root: Hash32,
    height: Height,
}

impl Chain {
    fn new(changes: &Changes) -> Self {
        let change = update(&(), None, Height::ZERO, changes).unwrap();
        let mut chain = Self {
            nodes: Nodes::new(),
            content: BTreeMap::new(),
            root: EMPTY,
            height: Height::ZERO,
        };
        chain.take(change, changes);
        chain
    }

    fn of(count: u8) -> Self {
        Self::new(
            &(0..count)
                .map(|n| (key(n), Some(value_hash(&[n, n]))))
                .collect(),
        )
    }

    fn update(&self, changes: &Changes) -> Result<TreeChange, StateError> {
        update(&self.nodes, Some(self.root), self.height.next(), changes)
    }

    fn take(&mut self, change: TreeChange, changes: &Changes) {
        self.nodes.extend(stored(change.new));
        self.root = change.root;
        for (key, value) in changes {
            match value {
                Some(value) => self.content.insert(*key, *value),
                None => self.content.remove(key),
            };
        }
    }

    fn step(&mut self, changes: &Changes) -> TreeChange {
        let change = self.update(changes).unwrap();
        self.height = self.height.next();
        self.take(change.clone(), changes);
        change
    }

    fn prove(&self, key: &Hash32) -> Result<StateProof, StateError> {
        prove(&self.nodes, self.height, &self.root, key)
    }
}

/// Keeps what changes something: the caller of the tree drops the rest.
fn effective(content: &BTreeMap<Hash32, Hash32>, changes: Vec<(u8, Option<u8>)>) -> Changes {
    let changes = changes
        .into_iter()
        .map(|(n, value)| (key(n), value.map(|v| value_hash(&[v]))));
    changes
        .collect::<Changes>()
        .into_iter()
        .filter(|(key, value)| content.get(key) != value.as_ref())
        .collect()
}

proptest! {
    #![proptest_config(seeded(96))]

    /// Roots follow the rule whatever the history, proofs hold, and no node is left that no version refers to.
    #[test]
    fn roots_depend_on_content_alone(
        steps in prop::collection::vec(prop::collection::vec((0..40u8, prop::option::weighted(0.6, any::<u8>())), 0..12), 1..12)
    ) {
        let mut chain = Chain::new(&Changes::new());
        prop_assert_eq!(chain.root, EMPTY);
        for step in steps {
            let changes = effective(&chain.content, step);
            let change = chain.step(&changes);
            prop_assert_eq!(chain.root, root_of(&chain.content));
            for stale in &change.stale {
                prop_assert!(chain.nodes.remove(stale).is_some(), "stale twice or never there: {:?}", stale);
            }
            let anew: Changes = chain.content.iter().map(|(key, value)| (*key, Some(*value))).collect();
            prop_assert_eq!(chain.nodes.len(), Chain::new(&anew).nodes.len());
            for n in 0..40 {
                let proof = chain.prove(&key(n)).unwrap();
                let found = proof.leaf.filter(|(leaf, _)| *leaf == key(n)).map(|(_, value)| value);
                prop_assert_eq!(found, chain.content.get(&key(n)).copied());
            }
        }
    }
}

#[test]
fn siblings_of_one_parent_stand_side_by_side() {
    let chain = Chain::of(20);
    let first = chain
        .update(&Changes::from([(key(3), Some(value_hash(b"one")))]))
        .unwrap();
    let second = chain
        .update(&Changes::from([
            (key(3), None),
            (key(30), Some(value_hash(b"two"))),
        ]))
        .unwrap();
    for change in [first, second] {
        let mut nodes = chain.nodes.clone();
        nodes.extend(stored(change.new));
        let height = chain.height.next();
        assert!(prove(&nodes, height, &change.root, &key(3)).is_ok());
        assert!(prove(&nodes, chain.height, &chain.root, &key(3)).is_ok());
    }
}

#[test]
fn a_missing_parent_is_not_an_empty_tree() {
    let chain = Chain::of(5);
    let changes = Changes::from([(key(1), None)]);
    let update = |nodes: &Nodes, parent, height| update(nodes, parent, Height(height), &changes);
    assert_eq!(
        update(&chain.nodes, Some(chain.root), 2),
        Err(StateError::MissingRoot(Height(1)))
    );
    assert_eq!(
        update(&Nodes::new(), Some(chain.root), 1),
        Err(StateError::MissingRoot(Height(0)))
    );
    assert_eq!(
        update(&chain.nodes, None, 1),
        Err(StateError::MissingRoot(Height(1)))
    );
    assert_eq!(
        update(&chain.nodes, Some(chain.root), 0),
        Err(StateError::MissingRoot(Height(0)))
    );
    let expected = value_hash(b"another root");
    let mismatch = StateError::RootMismatch {
        height: Height(0),
        expected,
        found: chain.root,
    };
    assert_eq!(update(&chain.nodes, Some(expected), 1), Err(mismatch));
    assert_eq!(
        prove(&Nodes::new(), Height(0), &chain.root, &key(1)),
        Err(StateError::MissingRoot(Height(0)))
    );
}

#[test]
fn an_empty_block_makes_the_old_root_stale() {
    for mut chain in [Chain::of(0), Chain::of(1), Chain::of(30)] {
        let (root, old) = (chain.root, chain.nodes.keys().next().copied().unwrap());
        let change = chain.step(&Changes::new());
        assert_eq!((change.root, change.new.len()), (root, 1));
        assert_eq!(change.stale, BTreeSet::from([old]));
    }
}

#[test]
fn every_missing_or_damaged_node_is_an_error_and_never_a_panic_or_another_root() {
    let chain = Chain::of(30);
    let changes: Changes = (0..30)
        .map(|n| (key(n), (n % 3 > 0).then(|| value_hash(&[9, n]))))
        .collect();
    let after = chain.update(&changes).unwrap().root;
    let mut refused = 0;
    for node in chain.nodes.keys() {
        for damage in [
            None,
            Some(vec![]),
            Some(vec![0]),
            Some(vec![3, 1, 2]),
            Some(vec![1; 200]),
        ] {
            let mut broken = Chain {
                nodes: chain.nodes.clone(),
                content: BTreeMap::new(),
                ..chain
            };
            match damage {
                Some(bytes) => broken.nodes.insert(*node, bytes),
                None => broken.nodes.remove(node),
            };
            match broken.update(&changes) {
                Ok(change) => assert_eq!(change.root, after),
                Err(
                    StateError::CorruptTree { .. }
                    | StateError::MissingRoot(_)
                    | StateError::RootMismatch { .. },
                ) => {
                    refused += 1;
                }
                Err(other) => unreachable!("{other}"),
            }
            for n in 0..32 {
                let found = broken.prove(&key(n)).map(|proof| proof.leaf);
                assert!(found.is_err() || found == chain.prove(&key(n)).map(|proof| proof.leaf));
            }
        }
    }
    assert!(
        refused > 5 * chain.nodes.len() / 2,
        "only {refused} damages were noticed"
    );
}

#[test]
fn a_failure_of_the_storage_keeps_its_name() {
    struct Failing(Nodes);
    impl TreeNodes for Failing {
        fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
            if key.path().is_empty() {
                return self.0.node(key);
            }
            let failure = crate::StorageFailure::Io;
            let message = "unplugged".into();
            Err(crate::StateStorageError::Engine { failure, message }.into())
        }
    }
    let chain = Chain::of(9);
    let nodes = Failing(chain.nodes);
    let changes = Changes::from([(key(4), None)]);
    let failed = update(&nodes, Some(chain.root), Height(1), &changes);
    assert!(matches!(failed, Err(StateError::Storage(_))), "{failed:?}");
    let failed = prove(&nodes, Height(0), &chain.root, &key(4));
    assert!(matches!(failed, Err(StateError::Storage(_))), "{failed:?}");
}

#[test]
fn a_proof_against_another_root_is_refused() {
    let chain = Chain::of(9);
    let wrong = prove(&chain.nodes, Height(0), &value_hash(b"another"), &key(1));
    assert!(matches!(wrong, Err(StateError::CorruptTree { .. })));
}

/// Frozen: roots are what chains agree on, names and bytes of nodes are what stores hold.
#[test]
fn roots_and_stored_nodes_stay_as_they_are() {
    let mut chain = Chain::of(30);
    assert_eq!(
        chain.root.to_string(),
        "0a0dd2698bd28dac6dca9bec1917ffd20fd8dc7e061583a226e9c344403190d9"
    );
    let change = chain.step(&Changes::from([
        (key(3), None),
        (key(4), Some(value_hash(b"four"))),
    ]));
    assert_eq!(
        change.root.to_string(),
        "06d6a272968e1f9532c698233679bff85ae5877379c9ce0ce7be3056fb9db0f4"
    );
    let nodes = Hash32::of(Domain::STATE_NODE, &(&chain.nodes, &change.stale));
    assert_eq!(
        nodes.to_string(),
        "6a583c25cf6cb3bbed2ba562475acd152e5fa277c068ddc5726b4285195b2c17"
    );
    let root = change.new.keys().next().unwrap();
    assert_eq!(root.to_bytes(), [0, 0, 0, 0, 0, 0, 0, 1, 0]);
}

#[test]
fn the_same_changes_in_any_split_give_one_root() {
    let changes: Vec<_> = (0..20u8)
        .map(|n| (key(n), Some(value_hash(&[n, n]))))
        .collect();
    let whole = Chain::of(20).root;
    for size in [1, 3, 7, 19] {
        let mut chain = Chain::new(&Changes::new());
        for part in changes.chunks(size) {
            chain.step(&part.iter().copied().collect());
        }
        assert_eq!(chain.root, whole, "in parts of {size}");
        let all: Changes = changes.iter().map(|(key, _)| (*key, None)).collect();
        chain.step(&all);
        assert_eq!(chain.root, EMPTY, "and all of them go again");
    }
}

#[test]
fn a_missing_and_an_undecodable_node_are_named() {
    let chain = Chain::of(30);
    let inner: Vec<_> = chain
        .nodes
        .keys()
        .filter(|node| !node.path().is_empty())
        .copied()
        .collect();
    assert!(!inner.is_empty());
    for node in inner {
        let mut nodes = chain.nodes.clone();
        nodes.remove(&node);
        let errors = |nodes: &Nodes| -> Vec<StateError> {
            (0..30)
                .filter_map(|n| prove(nodes, chain.height, &chain.root, &key(n)).err())
                .collect()
        };
        let missing = StateError::CorruptTree {
            height: chain.height,
            corruption: TreeCorruption::MissingNode(node),
        };
        let found = errors(&nodes);
        assert!(
            !found.is_empty() && found.iter().all(|error| *error == missing),
            "{found:?}"
        );
        nodes.insert(node, vec![0xff; 7]);
        let found = errors(&nodes);
        let is_named = |error: &StateError| matches!(error, StateError::CorruptTree { corruption: TreeCorruption::TwoInOnePlace { node: bad, .. }, .. } if *bad == node);
        assert!(!found.is_empty() && found.iter().all(is_named), "{found:?}");
    }
}

/// The node of another place decodes, and is not taken for the one that its parent refers to.
#[test]
fn nodes_that_do_not_fit_each_other_are_corruption() {
    let (chain, other) = (Chain::of(30), Chain::of(29));
    let mut noticed = 0;
    for (node, bytes) in &chain.nodes {
        let Some(replacement) = other.nodes.values().find(|other| *other != bytes) else {
            continue;
        };
        let mut nodes = chain.nodes.clone();
        nodes.insert(*node, replacement.clone());
        for n in 0..30 {
            match prove(&nodes, chain.height, &chain.root, &key(n)) {
                Ok(proof) => assert_eq!(Ok(proof), chain.prove(&key(n))),
                Err(StateError::CorruptTree { corruption, .. }) => {
                    noticed += 1;
                    assert!(
                        matches!(
                            corruption,
                            TreeCorruption::PathLeadsElsewhere { .. }
                                | TreeCorruption::OtherNode { .. }
                                | TreeCorruption::Misplaced { .. }
                                | TreeCorruption::Lonely(_)
                        ),
                        "{corruption}"
                    );
                }
                Err(other) => unreachable!("{other}"),
            }
        }
    }
    assert!(noticed > 0);
}

/// Thousands of keys, so that nodes are full and stand several levels deep; some parts change wholly, some hardly.
#[test]
fn a_large_tree_follows_the_rule_through_many_versions() {
    let spread = |n: u32| Hash32::of(Domain::DRAW, &n);
    let value = |n: u32, round: u32| value_hash(&[n.to_le_bytes(), round.to_le_bytes()].concat());
    let mut chain = Chain::new(&(0..5_000).map(|n| (spread(n), Some(value(n, 0)))).collect());
    for round in 1..=6u32 {
        let touched = (0..6_000).filter(|n| n % (7 * round) == round);
        let changes: Changes = touched
            .map(|n| (spread(n), (n % 3 > 0).then(|| value(n, round))))
            .filter(|(key, value)| chain.content.get(key) != value.as_ref())
            .collect();
        let change = chain.step(&changes);
        assert_eq!(chain.root, root_of(&chain.content), "round {round}");
        for stale in &change.stale {
            assert!(chain.nodes.remove(stale).is_some(), "{stale} was there");
        }
        for n in (0..6_000).step_by(97) {
            let proof = chain.prove(&spread(n)).unwrap();
            let found = proof.leaf.filter(|(leaf, _)| *leaf == spread(n));
            let expected = chain.content.get(&spread(n)).copied();
            assert_eq!(found.map(|(_, value)| value), expected);
        }
    }
    let anew: Changes = chain
        .content
        .iter()
        .map(|(key, value)| (*key, Some(*value)))
        .collect();
    assert_eq!(chain.nodes.len(), Chain::new(&anew).nodes.len());
}

/// A block reads no more than the nodes on the paths of what it changes.
#[test]
fn an_update_reads_and_makes_the_nodes_on_its_paths_alone() {
    struct Counting<'a>(&'a Nodes, std::cell::RefCell<BTreeSet<NodeKey>>);
    impl TreeNodes for Counting<'_> {
        fn node(&self, key: &NodeKey) -> Result<Option<Arc<StateNode>>, StateError> {
            assert!(self.1.borrow_mut().insert(*key), "{key} is read once");
            self.0.node(key)
        }
    }
    let spread = |n: u32| Hash32::of(Domain::DRAW, &n);
    let chain = Chain::new(&(0..4_000).map(|n| (spread(n), Some(spread(n)))).collect());
    let key = spread(17);
    let nodes = Counting(&chain.nodes, std::cell::RefCell::default());
    let changes = Changes::from([(key, Some(spread(18)))]);
    let change = update(&nodes, Some(chain.root), Height(1), &changes).unwrap();
    let read = nodes.1.into_inner();
    assert!((3..=5).contains(&read.len()), "{} nodes", read.len());
    assert!(read.iter().all(|name| name.path().leads_to(&key)));
    assert_eq!(read, change.stale, "what is read is made anew");
    assert_eq!(change.new.len(), read.len());
}

#[test]
fn names_of_nodes_sort_by_version_and_say_it() {
    let mut chain = Chain::of(9);
    chain.step(&Changes::from([(key(2), None)]));
    let versions: Vec<_> = chain.nodes.keys().map(NodeKey::height).collect();
    assert!(versions.is_sorted());
    assert_eq!(
        (versions.first(), versions.last()),
        (Some(&Height(0)), Some(&Height(1)))
    );
    let root = chain.nodes.keys().next_back().unwrap();
    let text = root.to_string();
    assert_eq!(text.len(), 2 * root.to_bytes().len());
    assert!(text.starts_with("0000000000000001"), "{text}");
}

mod proofs;
