//! Evidence outlives crashes, keeps within its bound, and accuses nobody after bytes were changed.

use types::committee::Committee;
use types::hash::{BlockId, ChainId, Hash32};
use types::key::SecretKey;
use types::vote::{Statement, Subject, Vote};

use super::*;
use crate::collector::fixtures::committee;
use crate::log::{FileStorage, MemoryStorage};

const CHAIN: ChainId = ChainId(Hash32([8; 32]));

struct Court {
    committee: Committee,
    keys: Vec<SecretKey>,
}

impl Court {
    fn new() -> Self {
        let (committee, keys) = committee(&[1; 4]);
        Self { committee, keys }
    }

    fn term(&self) -> Term<'_> {
        Term {
            chain: CHAIN,
            epoch: Epoch::FIRST,
            committee: &self.committee,
        }
    }

    fn vote(&self, signer: u16, view: u64, subject: Subject) -> Vote {
        let statement = Statement {
            epoch: Epoch::FIRST,
            view: View(view),
            subject,
        };
        let key = &self.keys[usize::from(signer)];
        Vote::sign(statement, ValidatorIndex(signer), key, CHAIN)
    }

    /// Nullify and finalize of one view.
    fn guilt(&self, signer: u16, view: u64) -> Evidence {
        let block = BlockId(Hash32([1; 32]));
        let nullify = self.vote(signer, view, Subject::Nullify);
        let finalize = self.vote(signer, view, Subject::Finalize { block });
        Evidence::new(nullify, finalize).unwrap()
    }

    fn open<S: LogStorage>(&self, storage: S) -> EvidenceBook<S> {
        EvidenceBook::open(storage, &self.term()).unwrap()
    }
}

#[test]
fn what_was_found_is_there_after_a_crash_whole_and_in_order() {
    let court = Court::new();
    let mut book = court.open(MemoryStorage::new());
    let found = [court.guilt(2, 9), court.guilt(1, 3)];
    for piece in found {
        assert!(book.add(piece).unwrap());
        book = court.open(book.storage.crashed(0));
        assert_eq!(
            book.pieces().last(),
            Some(&piece),
            "right after it was found"
        );
    }
    assert_eq!(book.pieces(), found);
}

#[test]
fn a_restart_in_files_finds_it_too() {
    let (court, folder) = (Court::new(), tempfile::tempdir().unwrap());
    let storage = || FileStorage::new(&folder.path().join("evidence")).unwrap();
    assert!(court.open(storage()).pieces().is_empty());
    assert!(court.open(storage()).add(court.guilt(3, 4)).unwrap());
    assert_eq!(court.open(storage()).pieces(), [court.guilt(3, 4)]);
}

#[test]
fn the_same_is_kept_once_whatever_came_first() {
    let court = Court::new();
    let mut book = court.open(MemoryStorage::new());
    let piece = court.guilt(1, 3);
    let turned = Evidence::new(piece.second, piece.first).unwrap();
    assert!(book.add(piece).unwrap());
    assert!(!book.add(piece).unwrap() && !book.add(turned).unwrap());
    assert!(!court.open(book.storage.crashed(0)).add(turned).unwrap());
    let again = court.vote(
        1,
        3,
        Subject::Finalize {
            block: BlockId(Hash32([2; 32])),
        },
    );
    let other = Evidence::new(piece.first, again).unwrap();
    assert!(book.add(other).unwrap(), "another piece of that view");
    assert_eq!(book.pieces(), [piece, other]);
}

#[test]
fn of_each_validator_the_first_pieces_are_kept() {
    let court = Court::new();
    let mut book = court.open(MemoryStorage::new());
    let last = u64::try_from(MAX_EVIDENCE_OF_ONE).unwrap();
    for view in 1..=last {
        assert!(book.add(court.guilt(1, view)).unwrap());
    }
    assert!(!book.add(court.guilt(1, last + 1)).unwrap());
    assert!(
        book.add(court.guilt(2, 1)).unwrap(),
        "another's room is its own"
    );
    assert_eq!(book.pieces().len(), MAX_EVIDENCE_OF_ONE + 1);
    let full = vec![court.guilt(1, 1); MAX_EVIDENCE];
    assert!(encode(&full).len() <= MAX_BOOK_BYTES, "a full book is read");
}

#[test]
fn what_could_not_be_written_does_not_count_as_kept() {
    let court = Court::new();
    let mut book = court.open(MemoryStorage::new());
    book.storage.fail_syncs_after(0);
    assert!(matches!(
        book.add(court.guilt(1, 1)),
        Err(EvidenceBookError::Storage(_))
    ));
    assert!(book.pieces().is_empty());
    let mut book = court.open(book.storage.restarted());
    assert!(book.add(court.guilt(1, 1)).unwrap());
}

#[test]
fn evidence_of_another_term_has_a_place_of_its_own() {
    let court = Court::new();
    let mut book = court.open(MemoryStorage::new());
    let mut piece = court.guilt(1, 1);
    for vote in [&mut piece.first, &mut piece.second] {
        vote.statement.epoch = Epoch(7);
    }
    assert!(!book.add(piece).unwrap());
    book.add(court.guilt(1, 1)).unwrap();
    let later = Term {
        epoch: Epoch(7),
        ..court.term()
    };
    let book = EvidenceBook::open(book.storage, &later).unwrap();
    assert!(book.pieces().is_empty());
}

#[test]
fn what_was_changed_on_the_disk_accuses_nobody() {
    let court = Court::new();
    let open = |pieces: &Vec<Evidence>, cut: usize| {
        let (mut storage, mut bytes) = (MemoryStorage::new(), encode(pieces));
        bytes.truncate(bytes.len() - cut);
        storage.rewrite(Epoch::FIRST.0, &bytes).unwrap();
        EvidenceBook::open(storage, &court.term()).map(|book| book.pieces)
    };
    let good = vec![court.guilt(1, 5), court.guilt(2, 6)];
    assert_eq!(open(&good, 0).unwrap(), good);
    assert!(matches!(
        open(&good, 1),
        Err(EvidenceBookError::Damaged { .. })
    ));
    let mut bad = good;
    bad[1].second.signature.0[5] ^= 1;
    assert!(matches!(
        open(&bad, 0),
        Err(EvidenceBookError::ProvesNothing {
            signer: ValidatorIndex(2),
            view: View(6),
            ..
        })
    ));
}
