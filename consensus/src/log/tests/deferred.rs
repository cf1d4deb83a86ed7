//! Records that wait for the next group.

use types::codec::Bounded;
use types::committee::ValidatorSet;
use types::vote::Certificate;

use super::*;

/// A finalization that nobody signed: the log checks no signatures.
fn finalization(view: u64) -> Record {
    let Record::Vote(vote) = vote(view) else {
        unreachable!("a vote is a vote");
    };
    Record::Certificate(Certificate {
        statement: vote.statement,
        signers: ValidatorSet::default(),
        signatures: Bounded::default(),
    })
}

#[test]
fn of_all_records_a_finalization_alone_does_not_bind() {
    assert!(!finalization(1).binds());
    let Record::Certificate(mut certificate) = finalization(1) else {
        unreachable!("a certificate is one");
    };
    certificate.statement.subject = Subject::Nullify;
    let others = [
        vote(1),
        Record::Certificate(certificate),
        Record::Floor(View(1)),
        Record::Lost,
        Record::Conflict(View(1)),
        Record::Reserved(View(1)),
    ];
    assert!(others.iter().all(Record::binds));
}

#[test]
fn what_is_deferred_stands_before_the_next_group() {
    let mut log = Log::init(MemoryStorage::new(), identity()).unwrap();
    log.defer(vec![finalization(1)]);
    log.defer(vec![finalization(2)]);
    assert_eq!(open(log.storage()).unwrap(), [], "nothing is written yet");
    log.append(&[vote(3)]).unwrap();
    let all = [finalization(1), finalization(2), vote(3)];
    assert_eq!(open(log.storage()).unwrap(), all);
    log.defer(vec![finalization(3)]);
    log.append(&[]).unwrap();
    assert_eq!(open(log.storage()).unwrap().len(), 4);
    let crashed = log.into_storage().crashed(0);
    assert_eq!(open(&crashed).unwrap().len(), 4, "and synced");
}

#[test]
fn a_segment_is_kept_for_the_highest_view_that_was_deferred_into_it() {
    let log = Log::init(MemoryStorage::new(), identity()).unwrap();
    let mut log = log.with_segment_bytes(1);
    log.defer(vec![finalization(9)]);
    log.append(&[vote(3)]).unwrap();
    log.append(&[vote(10)]).unwrap();
    log.append(&[vote(11)]).unwrap();
    log.release(View(8)).unwrap();
    assert!(open(log.storage()).unwrap().contains(&finalization(9)));
    log.release(View(9)).unwrap();
    assert!(!open(log.storage()).unwrap().contains(&finalization(9)));
}
