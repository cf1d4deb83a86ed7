//! Damaged disks: a log starts with what was synced or stops with a hint; it never starts with something else.

use proptest::prelude::*;
use types::hash::{BlockId, ChainId, Hash32};
use types::key::SecretKey;
use types::number::{Epoch, ValidatorIndex, View};
use types::vote::{Statement, Subject, Vote};

use super::{FileStorage, Identity, Log, LogError, LogStorage, MemoryStorage, Record};

mod deferred;

fn identity() -> Identity {
    Identity {
        chain: ChainId(Hash32([1; 32])),
        validator: SecretKey::from_bytes(&[2; 32]).public(),
        epoch: Epoch(3),
    }
}

fn vote(view: u64) -> Record {
    let subject = Subject::Finalize {
        block: BlockId(Hash32([9; 32])),
    };
    let statement = Statement {
        epoch: Epoch(3),
        view: View(view),
        subject,
    };
    let key = SecretKey::from_bytes(&[2; 32]);
    Record::Vote(Vote::sign(
        statement,
        ValidatorIndex(0),
        &key,
        identity().chain,
    ))
}

/// A log with one record per view, in segments of that size.
fn written(
    views: std::ops::RangeInclusive<u64>,
    segment_bytes: u64,
) -> (MemoryStorage, Vec<Record>) {
    let mut log = Log::init(MemoryStorage::new(), identity())
        .unwrap()
        .with_segment_bytes(segment_bytes);
    let records: Vec<Record> = views.map(vote).collect();
    for record in &records {
        log.append(std::slice::from_ref(record)).unwrap();
    }
    (log.into_storage(), records)
}

fn last_segment(disk: &MemoryStorage) -> u64 {
    *disk.segments().unwrap().last().unwrap()
}

fn open(disk: &MemoryStorage) -> Result<Vec<Record>, LogError> {
    Log::open(disk.clone(), identity()).map(|(_, records)| records)
}

/// Where records begin, from their lengths.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut at = vec![0];
    while *at.last().unwrap() < bytes.len() {
        let from = *at.last().unwrap();
        let length = u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap());
        at.push(from + usize::try_from(length).unwrap() + super::RECORD_OVERHEAD_BYTES);
    }
    at
}

#[test]
fn what_was_appended_is_read_back_in_order_across_segments() {
    let (disk, records) = written(1..=50, 900);
    assert!(disk.segments().unwrap().len() > 3);
    assert_eq!(open(&disk).unwrap(), records);
    let (mut log, _) = Log::open(disk, identity()).unwrap();
    log.append(&[vote(51), vote(52)]).unwrap();
    assert_eq!(open(log.storage()).unwrap().len(), 52);
}

#[test]
fn a_log_without_marker_refuses_to_open_and_an_old_one_to_be_made_again() {
    assert!(matches!(
        open(&MemoryStorage::new()),
        Err(LogError::NoMarker(Epoch(3)))
    ));
    let (disk, _) = written(1..=3, 900);
    assert!(matches!(
        Log::init(disk.clone(), identity()),
        Err(LogError::Exists)
    ));
    let text = open(&MemoryStorage::new()).unwrap_err().to_string();
    assert!(
        text.contains("gridproof node init") && text.contains("back as the last run left it"),
        "{text}"
    );
    assert!(
        !text.contains("next epoch"),
        "there is none in this version: {text}"
    );
    let mut empty = MemoryStorage::new();
    empty.create(0).unwrap();
    assert!(
        matches!(open(&empty), Err(LogError::NoMarker(_))),
        "a crash during init"
    );
}

#[test]
fn a_log_of_another_chain_or_validator_is_refused() {
    let (disk, _) = written(1..=3, 900);
    let other_chain = Identity {
        chain: ChainId(Hash32([8; 32])),
        ..identity()
    };
    assert!(matches!(
        Log::open(disk.clone(), other_chain),
        Err(LogError::OtherChain { .. })
    ));
    let other = Identity {
        validator: SecretKey::from_bytes(&[4; 32]).public(),
        ..identity()
    };
    assert!(matches!(
        Log::open(disk.clone(), other),
        Err(LogError::OtherValidator { .. })
    ));
    let earlier = Identity {
        epoch: Epoch(2),
        ..identity()
    };
    assert!(matches!(
        Log::open(disk, earlier),
        Err(LogError::LaterEpoch { .. })
    ));
}

#[test]
fn records_of_an_older_epoch_are_never_loaded() {
    let (disk, _) = written(1..=3, 900);
    let later = Identity {
        epoch: Epoch(4),
        ..identity()
    };
    assert!(
        matches!(Log::open(disk, later), Err(LogError::NoMarker(Epoch(4)))),
        "and its marker does not count"
    );
    // The term after it goes on in the same log.
    let (disk, _) = written(1..=3, u64::MAX);
    let (mut log, _) = Log::open(disk, identity()).unwrap();
    log.identity = later;
    log.begin_segment(1).unwrap();
    log.append(&[vote(4)]).unwrap();
    let (_, records) = Log::open(log.into_storage(), later).unwrap();
    assert_eq!(records, [vote(4)]);
}

#[test]
fn a_segment_bears_its_own_number() {
    let (disk, _) = written(1..=3, u64::MAX);
    let mut moved = MemoryStorage::new();
    moved.create(5).unwrap();
    *moved.bytes_mut(5).unwrap() = disk.read(0).unwrap();
    let damaged = |error: &LogError| {
        matches!(
            error,
            LogError::Damaged {
                segment: 5,
                offset: 0,
                ..
            }
        )
    };
    assert!(open(&moved).is_err_and(|error| damaged(&error)));
}

#[test]
fn cut_inside_every_record_it_starts_with_all_whole_ones() {
    let (disk, records) = written(1..=12, u64::MAX);
    let bytes = disk.read(0).unwrap();
    let boundaries = boundaries(&bytes);
    for length in boundaries[1]..bytes.len() {
        let mut cut = disk.clone();
        cut.bytes_mut(0).unwrap().truncate(length);
        let whole = boundaries
            .iter()
            .filter(|boundary| **boundary <= length)
            .count()
            - 2;
        let (mut log, found) = Log::open(cut, identity()).unwrap();
        assert_eq!(found, records[..whole]);
        log.append(&[vote(99)]).unwrap();
        assert_eq!(
            open(log.storage()).unwrap().len(),
            whole + 1,
            "and goes on where it was cut"
        );
    }
}

#[test]
fn any_bit_flipped_stops_it() {
    let (disk, _) = written(1..=8, 700);
    for segment in disk.segments().unwrap() {
        for at in 0..disk.read(segment).unwrap().len() {
            let mut damaged = disk.clone();
            damaged.bytes_mut(segment).unwrap()[at] ^= 1 << (at % 8);
            let error = open(&damaged).expect_err("a synced record was changed");
            let text = error.to_string();
            assert!(
                text.contains("damaged in segment") || text.contains("another"),
                "{text}"
            );
        }
    }
}

#[test]
fn records_doubled_moved_or_taken_out_stop_it() {
    let (disk, _) = written(1..=6, u64::MAX);
    let bytes = disk.read(0).unwrap();
    let at = boundaries(&bytes);
    let record = |n: usize| bytes[at[n]..at[n + 1]].to_vec();
    let all: Vec<Vec<u8>> = (0..7).map(record).collect();
    for i in 0..7 {
        for j in 0..7 {
            let mut doubled = all.clone();
            doubled.insert(j, all[i].clone());
            let mut swapped = all.clone();
            swapped.swap(i, j);
            let mut taken = all.clone();
            taken.remove(i);
            for (damage, bad) in [(doubled, true), (swapped, i != j), (taken, i != 6)] {
                let mut damaged = disk.clone();
                *damaged.bytes_mut(0).unwrap() = damage.concat();
                assert_eq!(open(&damaged).is_err(), bad, "records {i} and {j}");
            }
        }
    }
}

#[test]
fn a_missing_segment_stops_it() {
    let (disk, _) = written(1..=30, 700);
    let last = last_segment(&disk);
    for segment in 1..last {
        let mut damaged = disk.clone();
        damaged.remove(segment).unwrap();
        assert!(
            matches!(open(&damaged), Err(LogError::MissingSegment(number)) if number == segment)
        );
    }
    let mut short = disk.clone();
    short.bytes_mut(0).unwrap().truncate(650);
    assert!(
        matches!(open(&short), Err(LogError::Damaged { segment: 0, .. })),
        "only the last may be torn"
    );
}

#[test]
fn a_crash_at_every_point_of_a_rotation_loses_nothing_that_was_synced() {
    let (disk, records) = written(1..=4, u64::MAX);
    let mut log = Log::open(disk, identity())
        .unwrap()
        .0
        .with_segment_bytes(10);
    for syncs in 0..3 {
        let mut disk = log.storage().clone();
        disk.fail_syncs_after(1 + syncs);
        let (failing, _) = Log::open(disk, identity()).unwrap();
        let mut failing = failing.with_segment_bytes(10);
        let appended = failing.append(&[vote(5)]);
        assert_eq!(appended.is_ok(), syncs == 2);
        assert_eq!(
            matches!(failing.append(&[vote(6)]), Err(LogError::Failed)),
            syncs < 2,
            "never retried"
        );
        for torn in 0..400 {
            let (mut again, found) =
                Log::open(failing.storage().crashed(torn), identity()).unwrap();
            assert_eq!(found[..4], records);
            again.append(&[vote(7)]).unwrap();
            assert_eq!(open(again.storage()).unwrap().len(), found.len() + 1);
        }
    }
    log.append(&[vote(5)]).unwrap();
    assert_eq!(open(log.storage()).unwrap().len(), 5);
}

/// A log whose last vote was written but not synced.
fn unsynced() -> MemoryStorage {
    let (mut disk, _) = written(1..=4, u64::MAX);
    disk.fail_syncs_after(1);
    let mut log = Log::open(disk, identity()).unwrap().0;
    log.append(&[vote(5)]).unwrap_err();
    log.into_storage()
}

#[test]
fn what_a_crash_left_unsynced_is_durable_before_it_is_acted_upon() {
    let disk = unsynced();
    let all = disk.read(0).unwrap().len();
    let (mut whole, mut lost) = (0, 0);
    for torn in 0..all {
        let (log, found) = Log::open(disk.crashed(torn), identity()).unwrap();
        assert_eq!(
            Log::open(log.storage().crashed(0), identity()).unwrap().1,
            found,
            "{torn} bytes were left"
        );
        *if found.len() == 5 {
            &mut whole
        } else {
            &mut lost
        } += 1;
    }
    assert!(
        whole > 0 && lost > 0,
        "the vote was found by some and not by others"
    );
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_durable_before_it_is_acted_upon() {
    // Kill -9, or the process that saw the sync fail gave up; the machine runs on, then loses power.
    let (log, found) = Log::open(unsynced().restarted(), identity()).unwrap();
    assert_eq!(found.last(), Some(&vote(5)), "the cache holds it");
    assert_eq!(
        Log::open(log.storage().crashed(0), identity()).unwrap().1,
        found
    );
}

#[test]
fn a_log_that_cannot_be_made_durable_is_not_given_out() {
    let mut disk = unsynced().restarted();
    disk.fail_syncs_after(0);
    assert!(matches!(
        Log::open(disk.clone(), identity()),
        Err(LogError::Storage(_))
    ));
    assert_eq!(
        open(&disk.restarted()).unwrap().len(),
        5,
        "and nothing is lost by the attempt"
    );
}

#[test]
fn a_segment_begun_in_a_crash_gets_its_marker_again() {
    let (disk, records) = written(1..=4, u64::MAX);
    let mut log = Log::open(disk.clone(), identity())
        .unwrap()
        .0
        .with_segment_bytes(10);
    log.append(&[vote(5)]).unwrap();
    let rotated = log.storage().read(1).unwrap();
    let marker = boundaries(&rotated)[1];
    for length in 0..=marker {
        let mut torn = disk.clone();
        torn.create(1).unwrap();
        torn.append(1, &rotated[..length]).unwrap();
        let (mut log, found) = Log::open(torn, identity()).unwrap();
        assert_eq!(found, records, "a marker of {length} of {marker} bytes");
        assert_eq!(log.storage().read(1).unwrap(), rotated[..marker]);
        log.append(&[vote(6)]).unwrap();
        assert_eq!(
            open(&log.storage().crashed(0)).unwrap().last(),
            Some(&vote(6))
        );
    }
}

#[test]
fn unsynced_space_of_zeros_at_the_end_is_cut() {
    let (mut disk, records) = written(1..=4, u64::MAX);
    disk.bytes_mut(0).unwrap().extend([0; 4_096]);
    assert_eq!(open(&disk).unwrap(), records);
}

#[test]
fn segments_go_once_everything_in_them_is_final_and_stored() {
    let (disk, _) = written(1..=30, 700);
    let (mut log, _) = Log::open(disk, identity()).unwrap();
    let all = log.storage().segments().unwrap().len();
    log.release(View(0)).unwrap();
    assert_eq!(log.storage().segments().unwrap().len(), all);
    log.release(View(15)).unwrap();
    let left = open(log.storage()).unwrap();
    assert!(
        left.len() < 30
            && left
                .iter()
                .filter(|record| record.view() > View(15))
                .count()
                == 15
    );
    log.release(View(1_000)).unwrap();
    assert_eq!(
        log.storage().segments().unwrap().len(),
        1,
        "never the one that is written to"
    );
    log.append(&[vote(31)]).unwrap();
    assert!(
        open(log.storage()).is_ok(),
        "the oldest left says itself what it follows"
    );
}

#[test]
fn files_behave_like_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("votes");
    let mut log = Log::init(FileStorage::new(&path).unwrap(), identity())
        .unwrap()
        .with_segment_bytes(900);
    let records: Vec<Record> = (1..=20).map(vote).collect();
    for pair in records.chunks(2) {
        log.append(pair).unwrap();
    }
    drop(log);
    assert!(matches!(
        Log::init(FileStorage::new(&path).unwrap(), identity()),
        Err(LogError::Exists)
    ));
    let (mut log, found) = Log::open(FileStorage::new(&path).unwrap(), identity()).unwrap();
    assert_eq!(found, records);
    log.release(View(10)).unwrap();
    drop(log);
    let newest = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max()
        .unwrap();
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() - 5]).unwrap();
    let (mut log, found) = Log::open(FileStorage::new(&path).unwrap(), identity()).unwrap();
    assert_eq!(found.last(), Some(&vote(19)));
    log.append(&[vote(21)]).unwrap();
    drop(log);
    let (_, found) = Log::open(FileStorage::new(&path).unwrap(), identity()).unwrap();
    assert_eq!(found.last(), Some(&vote(21)));
}

#[test]
fn opening_puts_a_new_file_in_place_of_the_last_segment() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::init(FileStorage::new(directory.path()).unwrap(), identity()).unwrap();
    log.append(&[vote(1)]).unwrap();
    drop(log);
    let segment = directory.path().join("00000000000000000000.log");
    let before = directory.path().join("before");
    std::fs::hard_link(&segment, &before).unwrap();
    let old = std::fs::read(&before).unwrap();
    // What a crash in an earlier attempt left.
    std::fs::write(segment.with_extension("new"), [7; 5_000]).unwrap();
    let (mut log, found) =
        Log::open(FileStorage::new(directory.path()).unwrap(), identity()).unwrap();
    assert_eq!(found, [vote(1)]);
    assert_eq!(std::fs::read(&segment).unwrap(), old);
    log.append(&[vote(2)]).unwrap();
    assert_eq!(
        std::fs::read(&before).unwrap(),
        old,
        "the pages of the old file are relied upon no more"
    );
    drop(log);
    let (_, found) = Log::open(FileStorage::new(directory.path()).unwrap(), identity()).unwrap();
    assert_eq!(found, [vote(1), vote(2)]);
}

proptest! {
    #[test]
    fn garbage_in_place_of_a_log_never_panics_and_never_starts(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut disk = MemoryStorage::new();
        disk.create(0).unwrap();
        disk.append(0, &bytes).unwrap();
        prop_assert!(open(&disk).is_err());
    }

    #[test]
    fn any_splice_of_a_log_starts_with_a_prefix_or_stops(from in 0usize..2_000, length in 0usize..300, to in 0usize..2_000) {
        let (mut disk, records) = written(1..=8, u64::MAX);
        let bytes = disk.bytes_mut(0).unwrap();
        let from = from % bytes.len();
        let piece: Vec<u8> = bytes[from..(from + length).min(bytes.len())].to_vec();
        let to = to % bytes.len();
        bytes.splice(to..to, piece);
        if let Ok(found) = open(&disk) {
            prop_assert!(records.starts_with(&found));
        }
    }
}
