//! Proofs against a reader that knows the rule alone: inclusion, exclusion, old versions, forgeries.

use super::*;
use crate::fixture::holds;

/// A proof holds for its key, value and root, and for nothing else.
#[test]
fn a_proof_shows_one_key_and_no_other() {
    let chain = Chain::of(30);
    let root = chain.root;
    for n in 0..45u8 {
        let (asked, value) = (key(n), [n, n]);
        let value = chain.content.contains_key(&asked).then_some(&value[..]);
        let proof = chain.prove(&asked).unwrap();
        assert!(holds(&root, &asked, value, &proof), "key {n}");
        let written = [n, n];
        let opposite = value.is_none().then_some(&written[..]);
        assert!(!holds(&root, &asked, opposite, &proof), "key {n}");
        assert!(!holds(&root, &asked, Some(b"another"), &proof));
        assert!(!holds(&value_hash(b"root"), &asked, value, &proof));
        for at in 0..proof.siblings.len() {
            let mut siblings = proof.siblings.to_vec();
            siblings[at].0[at % 32] ^= 1;
            let siblings = types::codec::Bounded::new(siblings).unwrap();
            let forged = StateProof {
                leaf: proof.leaf,
                siblings,
            };
            assert!(
                !holds(&root, &asked, value, &forged),
                "sibling {at} of key {n}"
            );
        }
        let mut shorter = proof.siblings.to_vec();
        if shorter.pop().is_some() {
            let forged = StateProof {
                leaf: proof.leaf,
                siblings: types::codec::Bounded::new(shorter).unwrap(),
            };
            assert!(!holds(&root, &asked, value, &forged));
        }
    }
}

#[test]
fn absence_is_shown_by_an_empty_subtree_or_by_another_leaf() {
    let chain = Chain::of(30);
    let (mut empty, mut other) = (0, 0);
    for n in 30..120u8 {
        let absent = value_hash(&[n, 77]);
        let proof = chain.prove(&absent).unwrap();
        assert!(holds(&chain.root, &absent, None, &proof));
        match proof.leaf {
            None => empty += 1,
            Some((leaf, _)) => {
                assert_ne!(leaf, absent);
                other += 1;
            }
        }
    }
    assert!(empty > 0 && other > 0, "{empty} empty, {other} other");
    let nothing = Chain::of(0);
    let proof = nothing.prove(&key(1)).unwrap();
    assert_eq!((proof.leaf, proof.siblings.len()), (None, 0));
    assert!(holds(&EMPTY, &key(1), None, &proof));
}

#[test]
fn old_versions_prove_what_they_held() {
    let mut chain = Chain::of(12);
    let mut versions = vec![(chain.height, chain.root, chain.content.clone())];
    for n in 0..12u8 {
        let value = (n % 3 > 0).then(|| value_hash(&[n, 200]));
        chain.step(&Changes::from([
            (key(n), value),
            (key(n + 12), Some(value_hash(&[n]))),
        ]));
        versions.push((chain.height, chain.root, chain.content.clone()));
    }
    for (height, root, content) in versions {
        for n in 0..26u8 {
            let proof = prove(&chain.nodes, height, &root, &key(n)).unwrap();
            let found = proof.leaf.filter(|(leaf, _)| *leaf == key(n));
            assert_eq!(found.map(|(_, value)| value), content.get(&key(n)).copied());
        }
    }
}
