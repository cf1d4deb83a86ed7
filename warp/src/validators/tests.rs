//! Who counts, how much, and what is no quorum.

use types::hash::Hash32;
use types::number::Height;

use super::*;
use crate::id::AvalancheId;
use crate::testing::BlsKey;

fn claim(root: u8) -> StateClaim {
    StateClaim {
        network: 12_345,
        chain: AvalancheId([3; 32]),
        height: Height(77),
        state_root: Hash32([root; 32]),
    }
}

fn id(number: u8) -> AvalancheNodeId {
    AvalancheNodeId([number; 20])
}

/// Nodes with keys of their own number and these weights.
fn nodes(weights: &[u64]) -> Vec<WeighedNode> {
    let node = |(number, weight): (u8, &u64)| WeighedNode {
        node: id(number),
        weight: *weight,
        key: Some(BlsKey::of(number).public()),
    };
    (1..).zip(weights).map(node).collect()
}

fn signatures(numbers: &[u8], claim: &StateClaim) -> Vec<(AvalancheNodeId, [u8; SIGNATURE_BYTES])> {
    let sign = |number: &u8| (id(*number), BlsKey::of(*number).sign(&claim.to_bytes()));
    numbers.iter().map(sign).collect()
}

#[test]
fn sixty_seven_percent_sign_and_a_part_less_does_not() {
    let set = WarpValidators::new(&nodes(&[34, 33, 33])).unwrap();
    let made = set.aggregate(&claim(1), &signatures(&[1, 3], &claim(1)));
    let made = made.unwrap();
    assert_eq!((made.signers, made.signed, made.total), (2, 67, 100));
    assert_eq!(set.verify(&made.message), Ok(67));
    let light = QuorumError::TooLight {
        signed: 66,
        total: 100,
        refused: 0,
    };
    let made = set.aggregate(&claim(1), &signatures(&[2, 3], &claim(1)));
    assert_eq!(made, Err(light));
}

#[test]
fn a_forged_root_gets_no_quorum() {
    let set = WarpValidators::new(&nodes(&[1; 5])).unwrap();
    let honest = signatures(&[1, 2, 3, 4, 5], &claim(1));
    let made = set.aggregate(&claim(2), &honest);
    let none = QuorumError::TooLight {
        signed: 0,
        total: 5,
        refused: 5,
    };
    assert_eq!(made, Err(none), "what was signed is another root");
    let mut message = set.aggregate(&claim(1), &honest).unwrap().message;
    message.claim = claim(2);
    assert_eq!(set.verify(&message), Err(QuorumError::Signature));
    // One liar, and others' signatures under its name or twice.
    let mut some = signatures(&[5], &claim(2));
    some.extend(signatures(&[5, 5], &claim(2)));
    some.extend(honest.iter().map(|(_, signature)| (id(4), *signature)));
    let Err(QuorumError::TooLight { signed: 1, .. }) = set.aggregate(&claim(2), &some) else {
        panic!("one of five is no quorum");
    };
}

#[test]
fn garbage_among_the_signatures_does_no_harm() {
    let set = WarpValidators::new(&nodes(&[1; 4])).unwrap();
    let mut all = vec![
        (id(1), [0; SIGNATURE_BYTES]),
        (id(9), [7; SIGNATURE_BYTES]),
        // The point at infinity is a signature of nobody.
        (
            id(4),
            std::array::from_fn(|at| if at == 0 { 0xc0 } else { 0 }),
        ),
    ];
    all.extend(signatures(&[1, 2, 3], &claim(1)));
    all.extend(signatures(&[8], &claim(1)));
    let made = set.aggregate(&claim(1), &all).unwrap();
    assert_eq!((made.signers, made.signed), (3, 3));
}

#[test]
fn weight_without_a_key_counts_against_and_one_key_is_one_validator() {
    let mut all = nodes(&[30, 30, 20, 20]);
    all[3].key = None;
    let set = WarpValidators::new(&all).unwrap();
    let made = set.aggregate(&claim(1), &signatures(&[1, 2, 3], &claim(1)));
    assert_eq!(made.unwrap().signed, 80);
    let made = set.aggregate(&claim(1), &signatures(&[1, 2, 4], &claim(1)));
    assert!(matches!(
        made,
        Err(QuorumError::TooLight { signed: 60, .. })
    ));
    all[3].key = all[0].key;
    let set = WarpValidators::new(&all).unwrap();
    let under = |number| (id(number), BlsKey::of(1).sign(&claim(1).to_bytes()));
    let more = [&signatures(&[2], &claim(1))[..], &[under(4), under(1)]].concat();
    let made = set.aggregate(&claim(1), &more).unwrap();
    assert_eq!((made.signers, made.signed), (2, 80));
}

#[test]
fn a_message_must_name_its_signers_in_one_way() {
    let set = WarpValidators::new(&nodes(&[1; 4])).unwrap();
    let good = set.aggregate(&claim(1), &signatures(&[1, 2, 3, 4], &claim(1)));
    let good = good.unwrap().message;
    assert_eq!(good.signers, [0b1111]);
    let with = |signers: &[u8]| SignedClaim {
        signers: signers.to_vec(),
        ..good.clone()
    };
    assert_eq!(
        set.verify(&with(&[0, 0b1111])),
        Err(QuorumError::SignerForm)
    );
    assert_eq!(
        set.verify(&with(&[0b1_1111])),
        Err(QuorumError::UnknownSigner {
            found: 4,
            validators: 4
        })
    );
    assert_eq!(set.verify(&with(&[0b0111])), Err(QuorumError::Signature));
    let light = set.verify(&with(&[]));
    assert!(matches!(
        light,
        Err(QuorumError::TooLight { signed: 0, .. })
    ));
    for at in 0..10_000 {
        let all = positions(&bits([at].into_iter())).unwrap();
        assert_eq!(all, [at]);
    }
}

#[test]
fn sets_that_are_none_are_refused() {
    let empty = WarpValidators::new(&[]).unwrap();
    let made = empty.aggregate(&claim(1), &signatures(&[1], &claim(1)));
    assert_eq!(made, Err(QuorumError::NoValidators));
    let mut keyless = nodes(&[5]);
    keyless[0].key = None;
    let keyless = WarpValidators::new(&keyless).unwrap();
    assert_eq!(
        keyless.aggregate(&claim(1), &[]),
        Err(QuorumError::NoValidators)
    );
    let large = WarpValidators::new(&nodes(&[u64::MAX, 1]));
    assert_eq!(large.unwrap_err(), ValidatorsError::Weight);
    let whole = WarpValidators::new(&nodes(&[u64::MAX])).unwrap();
    let made = whole.aggregate(&claim(1), &signatures(&[1], &claim(1)));
    assert_eq!(made.unwrap().signed, u64::MAX);
    let mut bad = nodes(&[1]);
    bad[0].key = Some([0xff; PUBLIC_KEY_BYTES]);
    let node = id(1);
    assert_eq!(
        WarpValidators::new(&bad).unwrap_err(),
        ValidatorsError::Key { node }
    );
}
