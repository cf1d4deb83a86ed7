//! Formats on wire and disk: frozen, canonical, and harmless when they are garbage.

use consensus::log::{Identity, Log, LogStorage, MemoryStorage, Record};
use consensus::{Message, Range, Request};
use proptest::prelude::*;
use types::codec::Bounded;
use types::hash::{BlobId, BlockId, Hash32};
use types::key::SecretKey;
use types::number::{Epoch, Height, ValidatorIndex, View};
use types::testing::validator_id;
use types::vote::{Certificate, Proposal, Statement, Subject, Vote};

use crate::sim::{CHAIN, block};

fn key() -> SecretKey {
    SecretKey::from_bytes(&[6; 32])
}

pub fn vote(subject: Subject) -> Vote {
    Vote::sign(
        Statement {
            epoch: Epoch(1),
            view: View(7),
            subject,
        },
        ValidatorIndex(2),
        &key(),
        CHAIN,
    )
}

fn certificate(subject: Subject) -> Certificate {
    let vote = vote(subject);
    Certificate::from_votes(vote.statement, &[vote])
}

fn proposal() -> Proposal {
    let block = block(BlockId(Hash32([1; 32])), 3, 1_000, validator_id(2));
    let signing = Proposal::signing_hash(Epoch(1), View(7), View(5), block.id(), CHAIN);
    let subject = Subject::Notarize {
        parent_view: View(5),
        block: block.id(),
    };
    Proposal {
        epoch: Epoch(1),
        view: View(7),
        parent_view: View(5),
        parent_certificate: Some(certificate(Subject::Finalize {
            block: block.header.parent,
        })),
        nullifications: Bounded::new(vec![certificate(Subject::Nullify)]).unwrap(),
        signature: key().sign(&signing),
        notarize: vote(subject).signature,
        block,
    }
}

pub fn messages() -> Vec<(&'static str, Message)> {
    let final_certificate = certificate(Subject::Finalize {
        block: BlockId(Hash32([1; 32])),
    });
    let whole = proposal().block;
    let range = Range {
        blocks: Bounded::new(vec![whole.clone()]).unwrap(),
        headers: Bounded::new(vec![whole.header.clone()]).unwrap(),
        certificate: final_certificate.clone(),
    };
    vec![
        ("proposal", Message::Proposal(Box::new(proposal()))),
        ("vote", Message::Vote(vote(Subject::Nullify))),
        (
            "certificate",
            Message::Certificate(final_certificate.clone()),
        ),
        (
            "block request",
            Message::Request(Request::Block(whole.id())),
        ),
        ("range request", Message::Request(Request::Range(Height(9)))),
        (
            "certificates request",
            Message::Request(Request::Certificates {
                from: View(2),
                to: View(4),
            }),
        ),
        (
            "vote recovery request",
            Message::Request(Request::VoteRecovery { session: 12 }),
        ),
        ("block", Message::Block(Box::new(whole))),
        ("range", Message::Range(Box::new(range))),
        (
            "certificates",
            Message::Certificates(Bounded::new(vec![final_certificate]).unwrap()),
        ),
        (
            "vote recovery",
            Message::VoteRecovery {
                session: 12,
                votes: Bounded::new(vec![vote(Subject::Nullify)]).unwrap(),
                entry: None,
            },
        ),
    ]
}

/// The hash of each encoding. A change here breaks every running network: raise the protocol version.
const MESSAGES: &str = "\
proposal: ad524cb41323fe4d
vote: 9d2f0da56f4a8742
certificate: 1a8d31a27064c3f1
block request: 48c9d4dcadc3b38e
range request: d631cd698a9de1bc
certificates request: 656524935a7fbe75
vote recovery request: 24ee9560ac72411f
block: 5169e55e4cd8fff0
range: 61ca88c915d46017
certificates: 65f6b655c9d1fc45
vote recovery: 3beb3f234f9fd15f";
const SEGMENT: &str = "12e7965fa5386e91";

#[test]
fn messages_are_frozen() {
    let lines: Vec<String> = messages()
        .iter()
        .map(|(name, message)| {
            format!(
                "{name}: {}",
                &BlobId::of(&message.to_bytes()).hash.to_string()[..16]
            )
        })
        .collect();
    assert_eq!(lines.join("\n"), MESSAGES);
}

pub fn identity() -> Identity {
    Identity {
        chain: CHAIN,
        validator: key().public(),
        epoch: Epoch(1),
    }
}

/// A record of each kind.
pub fn records() -> Vec<Record> {
    let block = Box::new(proposal().block);
    vec![
        Record::Proposal(Box::new(proposal())),
        Record::Vote(vote(Subject::Nullify)),
        Record::Block {
            view: View(7),
            block,
        },
        Record::Certificate(certificate(Subject::Nullify)),
        Record::Floor(View(4)),
        Record::Lost,
        Record::Conflict(View(7)),
        Record::Reserved(View(8)),
    ]
}

#[test]
fn the_log_is_frozen() {
    let mut log = Log::init(MemoryStorage::new(), identity()).unwrap();
    log.append(&records()).unwrap();
    assert_eq!(
        &BlobId::of(&log.storage().read(0).unwrap()).hash.to_string()[..16],
        SEGMENT
    );
}

#[test]
fn messages_read_as_they_were_written_and_nothing_may_follow() {
    for (name, message) in messages() {
        let mut bytes = message.to_bytes();
        assert_eq!(Message::from_bytes(&bytes).unwrap(), message, "{name}");
        bytes.push(0);
        assert!(Message::from_bytes(&bytes).is_err(), "{name}");
        for length in 0..bytes.len() - 1 {
            assert!(
                Message::from_bytes(&bytes[..length]).is_err(),
                "{name} cut to {length}"
            );
        }
    }
}

proptest! {
    #[test]
    fn changed_messages_are_refused_or_canonical(which in 0usize..11, at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = messages()[which].1.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(message) = Message::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }

    #[test]
    fn garbage_is_refused_or_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = Message::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }
}
