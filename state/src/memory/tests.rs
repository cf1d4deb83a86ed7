//! The store in memory against a full copy of the state per height.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use types::block::Header;
use types::codec::Text;
use types::committee::Validator;
use types::hash::Address;
use types::key::{PublicKey, SecretKey, VrfPublicKey};
use types::number::{Stake, Timestamp};
use types::params::Params;

use super::*;
use crate::tree::{Jellyfish, StateTree};
use crate::{Undecided, compute_diff, tree_changes};

pub(crate) fn genesis() -> Genesis {
    let key = SecretKey::from_bytes(&[1; 32]).public();
    let validator = Validator {
        key,
        vrf_key: VrfPublicKey::default(),
        node_key: PublicKey::default(),
        stake: Stake(1),
    };
    Genesis {
        name: Text::new("test").unwrap(),
        time: Timestamp(1_000),
        params: Params::devnet(),
        accounts: Vec::new(),
        validators: vec![validator],
        partners: Vec::new(),
    }
}

/// Property tests with a seed that is printed: captured unless the test fails.
pub(crate) fn seeded(cases: u32) -> ProptestConfig {
    let config = ProptestConfig {
        cases,
        ..ProptestConfig::default()
    };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().build_hasher().finish(),
    };
    println!("replay with PROPTEST_RNG_SEED={seed}");
    ProptestConfig {
        rng_seed: RngSeed::Fixed(seed),
        ..config
    }
}

fn key(n: u8) -> StateKey {
    StateKey::Account(Address([n; 20]))
}

/// The decision of an empty block after the store's tip.
fn next(store: &MemoryStore, writes: Writes) -> Decision {
    let tip = store.tip();
    let parent = store.header_at(tip.height).unwrap().unwrap();
    let timestamp = parent.timestamp.next();
    let header = Header {
        height: tip.height.next(),
        parent: tip.block,
        timestamp,
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
    }
}

fn root_of(content: &Writes) -> Hash32 {
    Jellyfish
        .update(&(), None, Height::ZERO, &tree_changes(content))
        .unwrap()
        .root
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
            assert_eq!(
                proof.leaf.is_some_and(|(leaf, _)| leaf == key(n).hash()),
                value.is_some()
            );
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
        Err(StateError::RootMismatch { .. })
    ));
    let statement = types::vote::Statement {
        epoch: types::number::Epoch(0),
        view: types::number::View(1),
        subject: types::vote::Subject::Notarize {
            parent_view: types::number::View(0),
            block: good.block.id(),
        },
    };
    let certificate = Certificate::from_votes(statement, &[]);
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
            Err(StateError::Corrupt { .. })
        ));
    }
}
