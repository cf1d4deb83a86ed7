//! Certificates and header paths: one test per rule that they can break.

use state::{ChainStore, Writes};
use types::codec::Bounded;
use types::committee::ValidatorSet;
use types::hash::Address;
use types::number::{Stake, ValidatorIndex, View};
use types::vote::Certificate;

use super::*;
use crate::fixture::{KEY, certificate, chain, light, proof, receipt, secrets};

fn headers(from: u64, store: &impl ChainStore) -> FinalityProof {
    store.finality_proof(Height(from)).unwrap()
}

#[test]
fn a_quorum_and_a_path_make_a_header_final() {
    let store = chain(Writes::new(), &[&[], &[], &[0, 1, 2]]);
    for height in 1..=4 {
        let proof = headers(height, &store);
        assert_eq!(proof.headers.len(), usize::try_from(5 - height).unwrap());
        let light = light();
        let header = light.verify_finality(&proof).unwrap();
        assert_eq!(header.height, Height(height));
        assert_eq!(header.chain_id, light.chain());
    }
}

#[test]
fn less_than_a_quorum_does_not() {
    let store = chain(Writes::new(), &[&[0, 1]]);
    let refused = light().verify_finality(&headers(1, &store)).unwrap_err();
    assert_eq!(
        refused,
        CertificateError::NoQuorum {
            found: Stake(7),
            quorum: Stake(9)
        }
        .into()
    );
}

#[test]
fn only_the_signers_that_are_needed_stay() {
    let all = proof(&receipt());
    let light = light();
    let term = light.newest_term();
    for (given, kept) in [
        (&[0u16, 1, 2, 3][..], &[0u16, 1, 2][..]),
        (&[1, 2, 3], &[1, 2, 3]),
        (&[0, 2, 3], &[0, 2, 3]),
    ] {
        let full = certificate(all.finality.certificate.statement.subject, given);
        let minimal = full.smallest(&term);
        assert_eq!(
            minimal
                .signers
                .iter()
                .map(|index| index.0)
                .collect::<Vec<_>>(),
            kept
        );
        assert_eq!(minimal.smallest(&term), minimal);
        let mut proof = all.clone();
        proof.finality.certificate = minimal.clone();
        assert_eq!(light.verify_value(&proof, &KEY).unwrap().height, Height(1));
        // One fewer is too few.
        let mut signers = ValidatorSet::default();
        for index in &kept[1..] {
            signers.insert(ValidatorIndex(*index));
        }
        let signatures = Bounded::new(minimal.signatures[1..].to_vec()).unwrap();
        proof.finality.certificate = Certificate {
            signers,
            signatures,
            ..minimal
        };
        let refused = light.verify_value(&proof, &KEY).unwrap_err();
        assert!(matches!(
            refused,
            ValueError::Finality(FinalityError::Certificate(
                CertificateError::NoQuorum { .. }
            ))
        ));
    }
}

#[test]
fn signatures_must_be_of_the_members_on_this_statement() {
    let good = headers(1, &chain(Writes::new(), &[&[0, 1, 2, 3]]));
    let refuse = |change: &dyn Fn(&mut Certificate)| {
        let mut proof = good.clone();
        change(&mut proof.certificate);
        light().verify_finality(&proof).unwrap_err()
    };
    let signature = FinalityError::Certificate(CertificateError::Signature);
    assert_eq!(
        refuse(&|certificate| certificate.signatures.as_mut_slice()[2].0[5] ^= 1),
        signature
    );
    assert_eq!(
        refuse(&|certificate| certificate.signatures.as_mut_slice().swap(0, 1)),
        signature
    );
    assert_eq!(
        refuse(&|certificate| certificate.statement.view = View(8)),
        signature
    );
    let stranger = FinalityError::Certificate(CertificateError::Stranger(ValidatorIndex(4)));
    assert_eq!(
        refuse(&|certificate| {
            certificate.signers.insert(ValidatorIndex(4));
            certificate
                .signatures
                .push(secrets()[0].sign(&Hash32::ZERO))
                .unwrap();
        }),
        stranger
    );
    let count = refuse(&|certificate| {
        certificate
            .signatures
            .push(secrets()[0].sign(&Hash32::ZERO))
            .unwrap();
    });
    assert!(matches!(
        count,
        FinalityError::Certificate(CertificateError::Count {
            signers: 4,
            signatures: 5
        })
    ));
}

#[test]
fn votes_of_another_kind_or_block_do_not_finalize() {
    let good = headers(1, &chain(Writes::new(), &[&[0, 1, 2, 3]]));
    let block = good.headers.last().unwrap().id();
    let other = good.headers.first().unwrap().id();
    let subjects = [
        Subject::Notarize {
            parent_view: View(6),
            block,
        },
        Subject::Nullify,
        Subject::Finalize { block: other },
    ];
    for subject in subjects {
        let proof = FinalityProof {
            certificate: certificate(subject, &[0, 1, 2, 3]),
            ..good.clone()
        };
        assert_eq!(
            light().verify_finality(&proof),
            Err(FinalityError::NotFinalized(block))
        );
    }
}

#[test]
fn a_path_that_is_none_is_refused() {
    let store = chain(Writes::new(), &[&[], &[0, 1, 2]]);
    let good = headers(1, &store);
    let with = |headers: Vec<Header>| FinalityProof {
        headers: Bounded::new(headers).unwrap(),
        ..good.clone()
    };
    let path = good.headers.to_vec();
    assert_eq!(
        light().verify_finality(&with(vec![])),
        Err(FinalityError::NoHeader)
    );
    let gap = with(vec![path[0].clone(), path[2].clone()]);
    assert_eq!(
        light().verify_finality(&gap),
        Err(FinalityError::BrokenPath { height: Height(3) })
    );
    let mut forged = path.clone();
    forged[0].parent_state_root = Hash32([1; 32]);
    assert_eq!(
        light().verify_finality(&with(forged)),
        Err(FinalityError::BrokenPath { height: Height(2) })
    );
    let mut skipped = path.clone();
    skipped[0].height = Height(9);
    skipped[1].parent = skipped[0].id();
    assert_eq!(
        light().verify_finality(&with(skipped)),
        Err(FinalityError::BrokenPath { height: Height(2) })
    );
}

#[test]
fn another_chain_or_committee_is_refused() {
    let good = headers(2, &chain(Writes::new(), &[&[0, 1, 2]]));
    let mut genesis = crate::fixture::genesis();
    genesis.time = types::number::Timestamp(7);
    let stranger = Light::new(&genesis).unwrap();
    assert!(matches!(
        stranger.verify_finality(&good),
        Err(FinalityError::OtherChain {
            height: Height(2),
            ..
        })
    ));
    let mut header = good.headers[0].clone();
    for (announced, accepted) in [
        (light().newest_term().committee.hash(), true),
        (Hash32([1; 32]), false),
    ] {
        header.next_committee = announced;
        let certificate = certificate(Subject::Finalize { block: header.id() }, &[0, 1, 2]);
        let proof = FinalityProof {
            headers: Bounded::new(vec![header.clone()]).unwrap(),
            certificate,
        };
        let refused = FinalityError::OtherCommittee {
            height: Height(2),
            announced,
        };
        assert_eq!(
            light().verify_finality(&proof).err(),
            (!accepted).then_some(refused)
        );
    }
}

#[test]
fn absence_is_proven_too_and_the_wrong_key_is_not() {
    let store = chain(crate::fixture::with_neighbours(&receipt()), &[&[0, 1, 2]]);
    let absent = StateKey::Account(Address([200; 20]));
    let proof = store.value_proof(&absent).unwrap();
    let value = light()
        .verify_value(&proof, &absent)
        .map(|value| (value.bytes.is_none(), value.height));
    assert_eq!(value, Ok((true, Height(1))));
    assert!(matches!(
        light().verify_value(&proof, &KEY),
        Err(ValueError::Tree(_))
    ));
}

#[test]
fn the_header_of_height_zero_names_no_state() {
    let mut proof = proof(&receipt());
    let header = crate::fixture::genesis().header();
    proof.finality.certificate = certificate(Subject::Finalize { block: header.id() }, &[0, 1, 2]);
    proof.finality.headers = Bounded::new(vec![header]).unwrap();
    assert_eq!(light().verify_value(&proof, &KEY), Err(ValueError::NoState));
}

#[test]
fn a_version_that_this_program_lacks_counts_once_a_quorum_has_said_it() {
    let store = chain(Writes::new(), &[&[0, 1, 2]]);
    let mut proof = headers(1, &store);
    let newer = types::number::ProtocolVersion(types::params::NEWEST_PROTOCOL_VERSION.0 + 1);
    let mut headers: Vec<_> = proof.headers.iter().cloned().collect();
    let last = headers.last_mut().unwrap();
    last.protocol_version = newer;
    let (block, height) = (last.id(), last.height);
    proof.headers = Bounded::new(headers).unwrap();
    let subject = Subject::Finalize { block };
    proof.certificate = certificate(subject, &[0, 1]);
    let liar = light().verify_finality(&proof).unwrap_err();
    assert!(matches!(liar, FinalityError::Certificate(_)), "{liar}");
    proof.certificate = certificate(subject, &[0, 1, 2]);
    let unknown = UnknownProtocolVersion {
        version: newer,
        height,
    };
    assert_eq!(
        light().verify_finality(&proof).unwrap_err(),
        FinalityError::Version(unknown)
    );
}
