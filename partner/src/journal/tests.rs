//! What a journal keeps, and what a crash or a wrong file does to it.

use super::*;
use crate::assignment::AssignmentRole;
use types::codec::Bounded;
use types::hash::{Address, ChainId, JobId};
use types::number::{Attempt, Height, TaskIndex};

pub(super) fn own(job: u8) -> OwnCommitment {
    let assignment = Assignment {
        job: JobId(Hash32([job; 32])),
        attempt: Attempt(1),
        role: AssignmentRole::Verifier,
    };
    let leaves = Bounded::new(vec![(TaskIndex(2), Hash32([9; 32]))]).unwrap();
    OwnCommitment::new(
        assignment,
        Height(7),
        (ChainId::default(), Address::default()),
        Hash32([3; 32]),
        leaves,
    )
}

#[test]
fn what_is_kept_comes_back_until_it_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = DiskJournal::open(directory.path()).unwrap();
    assert_eq!(
        journal.load().unwrap(),
        (vec![], TransactionOutbox::default())
    );
    journal.keep(&own(1)).unwrap();
    journal.keep(&own(2)).unwrap();
    journal.keep_outbox(&TransactionOutbox::default()).unwrap();
    assert!(matches!(
        DiskJournal::open(directory.path()),
        Err(JournalError::InUse { .. })
    ));
    drop(journal);
    let mut journal = DiskJournal::open(directory.path()).unwrap();
    assert_eq!(journal.load().unwrap().0, vec![own(1), own(2)]);
    journal.forget(&own(1).assignment).unwrap();
    journal.forget(&own(1).assignment).unwrap();
    assert_eq!(journal.load().unwrap().0, vec![own(2)]);
}

#[test]
fn only_its_owner_may_read_it() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("journal");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let name = format!("{}{COMMITMENT_SUFFIX}", own(1).assignment);
    std::fs::write(directory.join(&name).with_extension("tmp"), b"old").unwrap();
    let mut journal = DiskJournal::open(&directory).unwrap();
    assert_eq!(mode(&directory), 0o700);
    journal.keep(&own(1)).unwrap();
    journal.keep_outbox(&TransactionOutbox::default()).unwrap();
    for name in [name.as_str(), OUTBOX, LOCK] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_look_into_it_disturbs_nobody() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("journal");
    assert_eq!(
        inspect(&directory).unwrap(),
        JournalStatus {
            in_use: false,
            commitments: vec![]
        }
    );
    assert!(!directory.exists());
    let mut journal = DiskJournal::open(&directory).unwrap();
    journal.keep(&own(1)).unwrap();
    assert_eq!(
        inspect(&directory).unwrap(),
        JournalStatus {
            in_use: true,
            commitments: vec![own(1)]
        }
    );
    drop(journal);
    assert_eq!(
        inspect(&directory).unwrap(),
        JournalStatus {
            in_use: false,
            commitments: vec![own(1)]
        }
    );
    // A daemon that starts at the moment of a look waits until it is over.
    let look = File::open(directory.join(LOCK)).unwrap();
    look.try_lock_shared().unwrap();
    let starting = std::thread::spawn(move || DiskJournal::open(&directory).map(|_| ()));
    drop(look);
    starting.join().unwrap().unwrap();
}

#[test]
fn a_write_that_was_cut_off_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = DiskJournal::open(directory.path()).unwrap();
    journal.keep(&own(1)).unwrap();
    let name = format!("{}{COMMITMENT_SUFFIX}", own(1).assignment);
    std::fs::write(directory.path().join(name).with_extension("tmp"), b"half").unwrap();
    assert_eq!(journal.load().unwrap().0, vec![own(1)]);
    journal.keep(&own(1)).unwrap();
}

#[test]
fn every_damage_is_found_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = DiskJournal::open(directory.path()).unwrap();
    journal.keep(&own(1)).unwrap();
    let path = directory
        .path()
        .join(format!("{}{COMMITMENT_SUFFIX}", own(1).assignment));
    let good = std::fs::read(&path).unwrap();
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        let error = journal.load().unwrap_err();
        assert!(
            error.to_string().contains(".commitment is damaged"),
            "byte {position}: {error}"
        );
    }
    for length in 0..good.len() {
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(journal.load().is_err(), "cut to {length} bytes");
    }
    let mut newer = good[..good.len() - CHECKSUM_BYTES].to_vec();
    newer[0] = FORMAT + 1;
    let checksum = Hash32::of_parts(Domain::LOG_RECORD, &[&newer]);
    newer.extend(checksum.0);
    std::fs::write(&path, &newer).unwrap();
    assert!(matches!(
        journal.load(),
        Err(JournalError::Newer { found: 2, .. })
    ));
}

#[test]
fn a_commitment_under_another_name_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = DiskJournal::open(directory.path()).unwrap();
    journal.keep(&own(1)).unwrap();
    let name = |job| {
        directory
            .path()
            .join(format!("{}{COMMITMENT_SUFFIX}", own(job).assignment))
    };
    std::fs::rename(name(1), name(2)).unwrap();
    assert!(matches!(journal.load(), Err(JournalError::Damaged { .. })));
}

#[test]
fn what_is_put_in_place_was_synced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let pipe = path.with_extension("tmp");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let _reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    // A pipe takes the bytes and refuses to be synced.
    assert!(write_whole(&path, b"secrets").is_err());
    assert!(!path.exists());
}
