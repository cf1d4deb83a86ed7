//! Classes of errors: they decide what an operator is told, so none may be sorted by chance.

use super::*;
use crate::StoredRecord;

fn engine(failure: StorageFailure) -> StateError {
    let message = "the disk is full, damaged and gone".into();
    StateStorageError::Engine { failure, message }.into()
}

#[test]
fn the_kind_of_a_failure_decides_and_never_its_words() {
    for (failure, class) in [
        (StorageFailure::Full, ErrorClass::DiskFull),
        (StorageFailure::Checksum, ErrorClass::Damaged),
        (StorageFailure::Io, ErrorClass::Storage),
    ] {
        assert_eq!(engine(failure).class(), class);
    }
    let stopped = StateError::from(StateStorageError::Stopped);
    assert_eq!(stopped.class(), ErrorClass::Storage);
}

#[test]
fn wrong_bytes_on_disk_are_damage_and_not_a_divergence() {
    let height = Height(3);
    let root = Hash32([1; 32]);
    let record = StoredRecord::Undo;
    for error in [
        StateError::MissingRoot(height),
        StateError::RootMismatch {
            height,
            expected: root,
            found: Hash32::ZERO,
        },
        StateError::CorruptTree {
            height,
            corruption: TreeCorruption::PathLeadsElsewhere { key: root, root },
        },
        StoreDamage::MissingAt { record, height }.into(),
        StoreDamage::OtherCertificate(height).into(),
    ] {
        assert_eq!(error.class(), ErrorClass::Damaged, "{error}");
    }
}

#[test]
fn a_result_that_differs_is_a_divergence() {
    let block = BlockId(Hash32([1; 32]));
    let (before, now) = (Hash32([2; 32]), Hash32([3; 32]));
    for error in [
        StateError::Diverged { block, before, now },
        StateError::WrongParentRoot {
            block,
            named: before,
            root: now,
        },
        StateError::WrongDiff { block, diff: block },
        StateError::WrongCertificate(block),
    ] {
        assert_eq!(error.class(), ErrorClass::Diverged, "{error}");
    }
}

#[test]
fn a_question_about_what_is_not_kept_is_no_failure_of_the_node() {
    let height = Height(9);
    for error in [
        StateError::NotFinal(height),
        StateError::NothingToUndo(height),
        StateError::NotKept {
            height,
            oldest: Height(1),
            tip: Height(8),
        },
        StateError::UnknownBlock(BlockId(Hash32::ZERO)),
    ] {
        assert_eq!(error.class(), ErrorClass::NotAvailable, "{error}");
    }
}

#[test]
fn messages_name_the_values_that_broke_the_rule() {
    let damage = StoreDamage::OtherHeight {
        record: StoredRecord::Block,
        height: Height(4),
        found: Height(7),
    };
    let text = StateError::from(damage).to_string();
    let expected = "the stored data is damaged: the block of height 4 says it is of height 7";
    assert_eq!(text, expected);
    let long = StateError::PathTooLong {
        height: Height(1),
        finalized: Height(2_000),
        headers: 2_000,
        limit: 1_024,
    };
    let expected =
        "height 1 is final by height 2000: a proof would hold 2000 headers, the limit is 1024";
    assert_eq!(long.to_string(), expected);
}
