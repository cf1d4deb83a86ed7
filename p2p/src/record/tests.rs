//! Records: what signs them, what they may hold.

use super::*;
use types::committee::Validator;
use types::hash::Hash32;
use types::number::Stake;
use types::testing::fuzz::{AnswerMark, fuzz};

const CHAIN: ChainId = ChainId(Hash32([1; 32]));

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

fn committee() -> Committee {
    let member = |seed: u8| Validator {
        key: key(seed).public(),
        vrf_key: types::key::VrfPublicKey::default(),
        node_key: key(seed + 100).public(),
        stake: Stake(1),
    };
    let mut members = vec![member(1), member(2)];
    members.sort_by_key(|member| member.key);
    Committee::new(members).unwrap()
}

fn record(addresses: &[&str]) -> PeerRecord {
    let addresses: Vec<Multiaddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    PeerRecord::new(key(1).public(), key(50).public(), &addresses, 7)
}

#[test]
fn a_record_verifies_with_both_signatures_on_its_chain_only() {
    let signed = record(&["/ip4/127.0.0.1/tcp/1"]).sign(CHAIN, &key(1), &key(50));
    assert_eq!(
        SignedRecord::from_bytes(&signed.to_bytes()).unwrap(),
        signed
    );
    assert_eq!(
        signed.verify(&committee(), CHAIN).unwrap(),
        key(1).public().validator_id()
    );
    let other = ChainId(Hash32([2; 32]));
    assert_eq!(
        signed.verify(&committee(), other),
        Err(RecordError::ValidatorSignature)
    );
    let forged = record(&[]).sign(CHAIN, &key(2), &key(50));
    assert_eq!(
        forged.verify(&committee(), CHAIN),
        Err(RecordError::ValidatorSignature)
    );
    let claimed = record(&[]).sign(CHAIN, &key(1), &key(51));
    assert_eq!(
        claimed.verify(&committee(), CHAIN),
        Err(RecordError::NodeSignature)
    );
    let mut later = signed;
    later.record.sequence += 1;
    assert_eq!(
        later.verify(&committee(), CHAIN),
        Err(RecordError::ValidatorSignature)
    );
}

#[test]
fn strangers_weak_keys_and_undialable_addresses_are_refused() {
    let stranger =
        PeerRecord::new(key(9).public(), key(50).public(), &[], 1).sign(CHAIN, &key(9), &key(50));
    assert_eq!(
        stranger.verify(&committee(), CHAIN),
        Err(RecordError::Stranger(key(9).public()))
    );
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = PeerRecord::new(key(1).public(), PublicKey(identity), &[], 1).sign(
        CHAIN,
        &key(1),
        &key(50),
    );
    assert_eq!(
        weak.verify(&committee(), CHAIN),
        Err(RecordError::NodeKey(KeyError::WeakPublicKey))
    );
    for bytes in [
        vec![1, 2, 3],
        "/dns4/no name/tcp/1".parse::<Multiaddr>().unwrap().to_vec(),
    ] {
        let mut bad = record(&[]);
        bad.addresses.push(Bounded::new(bytes).unwrap()).unwrap();
        assert_eq!(
            bad.sign(CHAIN, &key(1), &key(50))
                .verify(&committee(), CHAIN),
            Err(RecordError::Address)
        );
    }
}

#[test]
fn only_dialable_addresses_enter_a_record() {
    let kept = record(&[
        "/ip4/0.0.0.0/tcp/1",
        "/ip4/10.0.0.1/tcp/0",
        "/ip4/10.0.0.1/udp/5",
        "/dns4/example.com/tcp/5",
        "/dns4/a b/tcp/5",
        "/ip4/10.0.0.1/tcp/5/ws",
        "/ip6/::1/tcp/5",
        "/ip4/10.0.0.1/tcp/5",
    ]);
    let texts: Vec<_> = kept.dialable().iter().map(ToString::to_string).collect();
    let dialable = [
        "/dns4/example.com/tcp/5",
        "/ip6/::1/tcp/5",
        "/ip4/10.0.0.1/tcp/5",
    ];
    assert_eq!(texts, dialable);
}

#[test]
fn the_largest_record_fits_its_limit_and_trailing_bytes_are_refused() {
    let mut largest = record(&[]);
    while largest
        .addresses
        .push(Bounded::new(vec![0; MAX_ADDRESS_BYTES]).unwrap())
        .is_ok()
    {}
    let mut bytes = largest.sign(CHAIN, &key(1), &key(50)).to_bytes();
    assert!(bytes.len() <= MAX_RECORD_BYTES);
    assert!(SignedRecord::from_bytes(&bytes).is_ok());
    bytes.push(0);
    assert!(SignedRecord::from_bytes(&bytes).is_err());
    assert!(SignedRecord::from_bytes(&vec![0; MAX_RECORD_BYTES + 1]).is_err());
}

#[test]
fn fuzz_records() {
    let seeds = [&[][..], &["/ip4/127.0.0.1/tcp/1", "/dns/a.example/tcp/2"]];
    let seeds = seeds.map(|addresses| record(addresses).sign(CHAIN, &key(1), &key(50)).to_bytes());
    let committee = committee();
    fuzz("peer record", seeds.to_vec(), |input| {
        let answer = SignedRecord::from_bytes(input);
        if let Ok(record) = &answer {
            assert_eq!(record.to_bytes(), input, "a second encoding");
        }
        AnswerMark::of(&answer.and_then(|record| record.verify(&committee, CHAIN)))
    });
}
