//! Decoders of the consensus channel and of what lies on disk, fed with changed bytes.

use consensus::log::{Log, LogStorage, MemoryStorage, Record};
use consensus::{Evidence, EvidenceBook, Message};
use types::codec::encode;
use types::key::SecretKey;
use types::number::{Epoch, ValidatorIndex};
use types::testing::fuzz::{AnswerMark, fuzz, fuzz_canonical};
use types::vote::{Subject, Term};

use crate::sim::{CHAIN, committee};
use crate::wire::{identity, messages, records, vote};

#[test]
fn fuzz_messages() {
    let seeds = messages()
        .into_iter()
        .map(|(_, message)| message.to_bytes());
    fuzz("consensus message", seeds.collect(), |input| {
        let answer = Message::from_bytes(input);
        if let Ok(message) = &answer {
            assert_eq!(message.to_bytes(), input, "a second encoding");
        }
        AnswerMark::of(&answer)
    });
}

#[test]
fn fuzz_records_of_the_vote_log() {
    // What lies behind the checksums of the log.
    let seeds = records().iter().map(encode).collect();
    fuzz_canonical::<Record>("record of the vote log", seeds, 1 << 20);
}

#[test]
fn fuzz_the_vote_log() {
    let mut log = Log::init(MemoryStorage::new(), identity()).unwrap();
    log.append(&records()).unwrap();
    let disk = log.into_storage();
    let number = disk.segments().unwrap()[0];
    let seed = disk.read(number).unwrap();
    fuzz("vote log", vec![seed], |input| {
        let mut disk = disk.clone();
        *disk.bytes_mut(number).unwrap() = input.to_vec();
        AnswerMark::of(&Log::open(disk, identity()))
    });
}

#[test]
fn fuzz_the_book_of_evidence() {
    let (committee, keys) = committee(&[4, 3, 3, 3]);
    let term = Term {
        chain: CHAIN,
        epoch: Epoch::FIRST,
        committee: &committee,
    };
    let by = |key: &SecretKey, subject| {
        let statement = vote(subject).statement;
        types::vote::Vote::sign(statement, ValidatorIndex(1), key, CHAIN)
    };
    let finalize = Subject::Finalize {
        block: types::hash::BlockId::default(),
    };
    let piece = Evidence::new(by(&keys[1], Subject::Nullify), by(&keys[1], finalize)).unwrap();
    fuzz("evidence", vec![encode(&vec![piece])], |input| {
        let mut disk = MemoryStorage::new();
        disk.rewrite(Epoch::FIRST.0, input).unwrap();
        AnswerMark::of(&EvidenceBook::open(disk, &term))
    });
}
