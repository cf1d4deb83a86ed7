//! The rule of the tree against proofs that its engine made, and against tampered ones.

use proptest::prelude::*;
use state::{DecidedState, MemoryStore, Writes};
use types::codec::{decode, encode};
use types::hash::Address;
use types::number::Height;
use types::testing::seeded;

use super::*;
use crate::fixture::genesis;

fn key(n: u8) -> StateKey {
    StateKey::Account(Address([n; 20]))
}

fn store(keys: impl IntoIterator<Item = u8>) -> (MemoryStore, Hash32) {
    let writes: Writes = keys
        .into_iter()
        .map(|n| (key(n), Some(vec![n; 5])))
        .collect();
    let store = MemoryStore::new(&genesis(), writes).unwrap();
    let root = store.tip().root;
    (store, root)
}

proptest! {
    #![proptest_config(seeded(32))]

    /// What the tree's engine proves is accepted here, and proves nothing about any other key, value or root.
    #[test]
    fn proofs_of_the_engine_hold_here(keys in prop::collection::btree_set(0..64u8, 0..48)) {
        let (store, root) = store(keys.clone());
        let proofs: Vec<_> = (0..64).map(|n| store.prove(Height::ZERO, &key(n)).unwrap()).collect();
        for n in 0..64u8 {
            let (value, proof) = &proofs[usize::from(n)];
            prop_assert_eq!(value.is_some(), keys.contains(&n));
            prop_assert_eq!(verify_state(&root, &key(n), value.as_deref(), proof), Ok(()));
            let other_root = Hash32::of(Domain::STATE_NODE, &root);
            prop_assert!(verify_state(&other_root, &key(n), value.as_deref(), proof).is_err());
            prop_assert!(verify_state(&root, &key(n), Some(b"another"), proof).is_err());
            if value.is_some() {
                // No proof of the tree, of whatever key, shows a present key absent.
                prop_assert!(proofs.iter().all(|(_, proof)| verify_state(&root, &key(n), None, proof).is_err()));
            } else {
                prop_assert!(proofs.iter().all(|(_, proof)| verify_state(&root, &key(n), Some(&[n; 5]), proof).is_err()));
            }
        }
    }
}

#[test]
fn every_bit_of_a_proof_counts() {
    let (store, root) = store((0..40).map(|n| n * 2));
    for n in [2, 3, 40, 41] {
        let (value, proof) = store.prove(Height::ZERO, &key(n)).unwrap();
        assert_eq!(
            verify_state(&root, &key(n), value.as_deref(), &proof),
            Ok(())
        );
        let bytes = encode(&proof);
        for at in 0..bytes.len() * 8 {
            let mut tampered = bytes.clone();
            tampered[at / 8] ^= 1 << (at % 8);
            let accepted = decode::<StateProof>(&tampered, 1 << 16)
                .is_ok_and(|proof| verify_state(&root, &key(n), value.as_deref(), &proof).is_ok());
            assert!(!accepted, "bit {at} of the proof of {n}");
        }
    }
}

#[test]
fn each_rule_has_its_error() {
    let (store, root) = store([1, 2, 3, 4]);
    let (value, proof) = store.prove(Height::ZERO, &key(1)).unwrap();
    let (absent, elsewhere) = store.prove(Height::ZERO, &key(9)).unwrap();
    assert_eq!(absent, None);
    let verify =
        |key: &StateKey, value: Option<&[u8]>, proof| verify_state(&root, key, value, proof);
    assert_eq!(
        verify(&key(2), value.as_deref(), &proof),
        Err(TreeError::WrongKey)
    );
    let none = StateProof {
        leaf: None,
        ..proof.clone()
    };
    assert_eq!(
        verify(&key(1), value.as_deref(), &none),
        Err(TreeError::WrongKey)
    );
    assert!(matches!(
        verify(&key(1), Some(b"x"), &proof),
        Err(TreeError::WrongValue { .. })
    ));
    assert_eq!(verify(&key(1), None, &proof), Err(TreeError::Present));
    assert!(matches!(
        verify(&key(1), None, &none),
        Err(TreeError::WrongRoot { .. })
    ));
    assert!(matches!(
        verify(&key(1), None, &elsewhere),
        Err(TreeError::WrongRoot { .. } | TreeError::Elsewhere { .. })
    ));
    // The true path of another key, passed off as the end of the path of a key that leaves it earlier.
    let stranger = (0..=255)
        .find(|n| shared_bits(&key(*n).hash(), &key(1).hash()) < proof.siblings.len())
        .unwrap();
    assert!(matches!(
        verify(&key(stranger), None, &proof),
        Err(TreeError::Elsewhere { .. })
    ));
}

#[test]
fn an_empty_tree_shows_every_key_absent() {
    let (store, root) = store([]);
    let (value, proof) = store.prove(Height::ZERO, &key(1)).unwrap();
    assert_eq!((value, root), (None, EMPTY));
    assert_eq!(verify_state(&root, &key(1), None, &proof), Ok(()));
}
