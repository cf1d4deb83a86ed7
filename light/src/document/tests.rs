//! The receipt document: every byte of it and of its proof is tampered with.

use types::codec::Bounded;
use types::hash::Hash32;
use types::job::Revocation;
use types::number::ProtocolVersion;
use types::params::{NEWEST_PROTOCOL_VERSION, UnknownProtocolVersion};
use types::testing::fuzz::{AnswerMark, fuzz};
use types::vote::Subject;

use super::*;
use crate::fixture::{certificate, light, proof, receipt, standing, standing_after, standing_at};
use crate::{FinalityError, JobProofError, ReceiptStanding, ValueError};

/// A proof whose certificates have the signers that they need.
fn smallest(proof: &ReceiptProof) -> ReceiptProof {
    let mut proof = proof.clone();
    for part in [&mut proof.time, &mut proof.revocation, &mut proof.receipt] {
        let certificate = &mut part.finality.certificate;
        *certificate = certificate.smallest(&light().newest_term());
    }
    proof
}

fn document() -> String {
    light().receipt_document(&standing(&receipt())).unwrap()
}

#[test]
fn a_document_verifies_and_reads_as_its_proof_says() {
    let text = document();
    let found = light().verify_receipt(&text).unwrap();
    let (header, stake) = (found.header, found.signed_stake);
    assert_eq!(
        (found.receipt, header.height, stake.0),
        (receipt(), Height(2), 10)
    );
    let expected = ReceiptStanding {
        height: Height(1),
        chain_time: ChainTime(8_000),
        is_final: false,
    };
    assert_eq!(found.standing, expected);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["format"], FORMAT);
    assert_eq!(json["receipt"]["job"], receipt().job.to_string());
    assert_eq!(json["proven"]["final_block"], header.id().to_string());
    let light = light();
    let signers = &light.newest_term().committee.ids()[..3];
    assert_eq!(json["proven"]["signers"], serde_json::json!(signers));
}

#[test]
fn no_byte_of_a_document_can_be_changed_added_or_left_out() {
    let (text, light) = (document(), light());
    let refused = |tampered: &[u8]| {
        let Ok(tampered) = std::str::from_utf8(tampered) else {
            return true;
        };
        light.verify_receipt(tampered).is_err()
    };
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        for flip in [1, 4, 0x20] {
            bytes[at] ^= flip;
            assert!(
                refused(&bytes),
                "byte {at} with bits {flip}: {:?}",
                char::from(bytes[at])
            );
            bytes[at] ^= flip;
        }
        bytes.insert(at, b' ');
        assert!(refused(&bytes), "a space at {at}");
        bytes.remove(at);
        bytes.remove(at);
        assert!(refused(&bytes), "without byte {at}");
    }
    assert!(refused((text.clone() + "\n").as_bytes()));
    assert!(!refused(text.as_bytes()));
}

#[test]
fn no_byte_of_a_proof_can_be_changed_even_with_the_text_made_to_fit() {
    let minimal = smallest(&standing(&receipt()));
    let (bytes, text, light) = (encode(&minimal), document(), light());
    let mut reached = 0;
    for at in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[at] ^= 1 << (at % 8);
        let Ok(proof) = decode::<ReceiptProof>(&tampered, MAX_DOCUMENT_BYTES) else {
            continue;
        };
        let Ok(fitted) = light.receipt_document(&proof) else {
            continue;
        };
        reached += 1;
        assert!(fitted != text, "byte {at} has no place in the document");
        let refused = light.verify_receipt(&fitted);
        assert!(
            matches!(
                refused,
                Err(JobProofError::Proof(_) | JobProofError::Document(_))
            ),
            "byte {at}: {refused:?}"
        );
    }
    assert!(
        reached > bytes.len() / 2,
        "only {reached} of {} reached the verifier",
        bytes.len()
    );
}

#[test]
fn more_signers_than_needed_are_no_document() {
    let full = standing(&receipt());
    let minimal = document();
    let hex_of = |proof: &ReceiptProof| hex::encode(encode(proof));
    let cut = smallest(&full);
    let text = minimal.replace(&hex_of(&cut), &hex_of(&full));
    let differs = text.bytes().zip(minimal.bytes()).position(|(a, b)| a != b);
    let refused = light().verify_receipt(&text).unwrap_err();
    let JobProofError::Document(DocumentError::NotCanonical { at }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(Some(at), differs);
}

#[test]
fn each_way_of_being_no_document_has_its_error() {
    let parse = |text: &str| parse_document(text).unwrap_err();
    assert!(matches!(parse("receipt"), DocumentError::NotJson { .. }));
    assert!(matches!(parse("{}"), DocumentError::NotJson { .. }));
    assert!(matches!(
        parse(&"[".repeat(10_000)),
        DocumentError::NotJson { .. }
    ));
    assert_eq!(parse(r#"{"proof":"xy"}"#), DocumentError::NotHex);
    assert!(matches!(
        parse(r#"{"proof":"00"}"#),
        DocumentError::NotProof(_)
    ));
    let longest = " ".repeat(MAX_DOCUMENT_BYTES);
    assert!(matches!(parse(&longest), DocumentError::NotJson { .. }));
    let long = longest + " ";
    assert_eq!(
        parse(&long),
        DocumentError::TooLong {
            found: MAX_DOCUMENT_BYTES + 1
        }
    );
    let proof = standing(&receipt());
    let document = |value: Option<Vec<u8>>| {
        let mut proof = proof.clone();
        proof.receipt.value = value;
        light().receipt_document(&proof).unwrap_err()
    };
    assert_eq!(document(None), DocumentError::NoReceipt);
    assert!(matches!(
        document(Some(vec![1, 2])),
        DocumentError::NotReceipt(_)
    ));
    let mut timeless = proof.clone();
    timeless.time.value = None;
    let refused = light().receipt_document(&timeless);
    assert_eq!(refused, Err(DocumentError::NoTime));
}

/// A newer version may have receipts that this program cannot read: that is no fault of them. What only a liar signed is one.
#[test]
fn a_document_of_a_version_that_this_program_lacks_is_not_called_wrong() {
    let version = ProtocolVersion(NEWEST_PROTOCOL_VERSION.0 + 1);
    let newer = |part: &mut ValueProof, signers: &[u16]| {
        let mut headers: Vec<_> = part.finality.headers.iter().cloned().collect();
        let last = headers.last_mut().unwrap();
        last.protocol_version = version;
        let subject = Subject::Finalize { block: last.id() };
        part.finality.certificate = certificate(subject, signers);
        part.finality.headers = Bounded::new(headers).unwrap();
    };
    let quorum: &[u16] = &[0, 1, 2];
    let parts: [fn(&mut ReceiptProof) -> &mut ValueProof; 3] = [
        |proof| &mut proof.time,
        |proof| &mut proof.revocation,
        |proof| &mut proof.receipt,
    ];
    for part in parts {
        let mut proof = standing(&receipt());
        newer(part(&mut proof), quorum);
        let text = light().receipt_document(&proof).unwrap();
        let height = part(&mut proof).finality.headers.last().unwrap().height;
        let says_version = |text: &str| {
            let refused = light().verify_receipt(text);
            let Err(JobProofError::Proof(ValueError::Finality(FinalityError::Version(found)))) =
                refused
            else {
                return false;
            };
            assert_eq!(found, UnknownProtocolVersion { version, height });
            true
        };
        assert!(says_version(&text));
        // The same with a receipt, and with bookkeeping, that nobody here can read.
        for unreadable in [parts[0], parts[2]] {
            let mut proof = proof.clone();
            unreadable(&mut proof).value = Some(vec![1, 2]);
            let text = format!(r#"{{"proof":"{}"}}"#, hex::encode(encode(&proof)));
            assert!(says_version(&text));
            newer(part(&mut proof), &[0, 1]);
            let text = format!(r#"{{"proof":"{}"}}"#, hex::encode(encode(&proof)));
            let refused = light().verify_receipt(&text).unwrap_err();
            assert!(matches!(refused, JobProofError::Document(_)), "{refused}");
        }
    }
}

#[test]
fn a_receipt_stands_for_good_from_the_end_of_its_audit_window_on() {
    let until = receipt().revocable_until;
    for (chain_time, is_final) in [(ChainTime(until.0 - 1), false), (until, true)] {
        let proof = standing_at(&receipt(), chain_time, None);
        let text = light().receipt_document(&proof).unwrap();
        let found = light().verify_receipt(&text).unwrap().standing;
        assert_eq!((found.chain_time, found.is_final), (chain_time, is_final));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["standing"]["is_final"], is_final);
    }
}

#[test]
fn a_receipt_that_is_challenged_or_revoked_does_not_stand() {
    let height = Height(1);
    let challenger = types::hash::Address([4; 20]);
    for revocation in [
        Revocation::Challenged { challenger, height },
        Revocation::Refuted { verdict: 0, height },
        Revocation::NonCanonical { height },
    ] {
        let proof = standing_at(&receipt(), ChainTime(8_000), Some(revocation));
        let text = light().receipt_document(&proof).unwrap();
        let refused = light().verify_receipt(&text);
        assert!(matches!(refused, Err(JobProofError::NotStanding(found)) if found == revocation));
        // What stands there cannot be left out, nor another key's absence be shown in its place.
        let mut hidden = proof.clone();
        hidden.revocation.value = None;
        let text = light().receipt_document(&hidden).unwrap();
        let refused = light().verify_receipt(&text);
        assert!(
            matches!(refused, Err(JobProofError::Proof(_))),
            "{refused:?}"
        );
    }
}

/// An absence that is older than a chain time, or younger than the receipt, says nothing.
#[test]
fn the_parts_of_a_proof_must_be_of_states_in_order() {
    let early = standing(&receipt());
    let later = standing_after(&receipt(), ChainTime(8_000), None, 2);
    let mix = |time: &ReceiptProof, revocation: &ReceiptProof, receipt: &ReceiptProof| {
        let proof = ReceiptProof {
            time: time.time.clone(),
            revocation: revocation.revocation.clone(),
            receipt: receipt.receipt.clone(),
        };
        let text = light().receipt_document(&proof).unwrap();
        light().verify_receipt(&text)
    };
    assert!(mix(&early, &early, &later).is_ok());
    assert!(mix(&early, &later, &later).is_ok());
    for (time, revocation, receipt) in [(&later, &early, &later), (&early, &later, &early)] {
        let refused = mix(time, revocation, receipt);
        assert!(
            matches!(refused, Err(JobProofError::OutOfOrder { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_receipt_of_another_job_under_a_key_is_not_proven() {
    let mut moved = receipt();
    let mut proof = standing(&moved);
    moved.job = types::hash::JobId(Hash32([1; 32]));
    proof.receipt.value = Some(encode(&moved));
    let text = light().receipt_document(&proof).unwrap();
    assert!(matches!(
        light().verify_receipt(&text),
        Err(JobProofError::Proof(_))
    ));
}

/// Frozen: customers keep these files for years. To write it anew after a deliberate change:
/// `GRIDPROOF_BLESS=1 cargo test -p gridproof-light document`.
/// The document and the genesis that it is verified against: clients in other languages read both.
#[test]
fn the_document_stays_as_it_is() {
    let genesis = hex::encode(encode(&crate::fixture::genesis())) + "\n";
    let files = [("golden.json", document()), ("golden_genesis.hex", genesis)];
    for (name, text) in files {
        let path = format!("{}/src/document/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("GRIDPROOF_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert!(text == golden, "{name} has become another:\n{text}");
    }
}

#[test]
fn fuzz_documents() {
    let light = light();
    fuzz("receipt document", vec![document().into_bytes()], |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return AnswerMark::of(&Err::<(), _>("not UTF-8"));
        };
        AnswerMark::of(&light.verify_receipt(text))
    });
    let proof = proof(&receipt());
    fuzz("value proof", vec![encode(&proof)], |input| {
        let answer = decode::<ValueProof>(input, MAX_DOCUMENT_BYTES);
        let key = types::state_key::StateKey::Chain;
        AnswerMark::of(&answer.map(|proof| light.verify_value(&proof, &key).is_ok()))
    });
}
