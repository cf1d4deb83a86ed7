//! The store: uploads in any order, crashes between any two steps, the quota, retention and rotten disks.

use std::fs;

use tempfile::TempDir;
use types::hash::Hash32;

use super::*;

const CHUNK: usize = 256 << 10;
const QUOTA: u64 = 64 << 20;

fn bytes(length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new()
        .update(&length.to_le_bytes())
        .finalize_xof()
        .fill(&mut out);
    out
}

fn chunks(blob: &[u8]) -> (BlobId, Vec<Vec<u8>>) {
    let tree = Encoder::of(blob);
    let encoded = (0..chunk_count(tree.id())).map(|n| tree.encode(blob, n).unwrap());
    (tree.id(), encoded.collect())
}

fn store(dir: &TempDir) -> BlobStore {
    BlobStore::open(dir.path(), QUOTA).unwrap()
}

#[test]
fn an_upload_completes_in_any_order_and_serves_what_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let blob = bytes(3 * CHUNK + 17);
    let (id, encoded) = chunks(&blob);
    assert_eq!(
        store.begin(id).unwrap(),
        BlobProgress {
            stored: 0,
            total: 4
        }
    );
    for (stored, n) in [(1, 2), (2, 0), (3, 3)] {
        let progress = store
            .put_chunk(id, n, &encoded[usize::try_from(n).unwrap()])
            .unwrap();
        assert_eq!(progress, BlobProgress { stored, total: 4 });
        assert!(!store.has(id) && store.path(id).is_none());
        assert!(matches!(store.read(id), Err(BlobStoreError::Absent(_))));
    }
    assert_eq!(
        store.put_chunk(id, 3, &encoded[3]).unwrap().stored,
        3,
        "a repeated chunk changes nothing"
    );
    assert_eq!(store.missing(id), [1]);
    assert!(store.put_chunk(id, 1, &encoded[1]).unwrap().is_complete());
    assert!(store.has(id) && store.missing(id).is_empty());
    assert_eq!(store.read(id).unwrap(), blob);
    assert_eq!(fs::read(store.path(id).unwrap()).unwrap(), blob);
    for (n, chunk) in (0..).zip(&encoded) {
        assert_eq!(&store.encode_chunk(id, n).unwrap(), chunk);
    }
    assert!(matches!(
        store.encode_chunk(id, 4),
        Err(BlobStoreError::Chunk(ChunkError::NoSuchChunk { .. }))
    ));
    assert!(store.put_chunk(id, 1, &encoded[1]).unwrap().is_complete());
}

#[test]
fn a_wrong_chunk_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (id, mut encoded) = chunks(&bytes(CHUNK + 1));
    encoded[1][0] ^= 1;
    assert!(matches!(
        store.put_chunk(id, 1, &encoded[1]),
        Err(BlobStoreError::Chunk(_))
    ));
    assert_eq!(
        store.used(),
        0,
        "nothing is reserved for a chunk that does not verify"
    );
    assert_eq!(store.progress(id).stored, 0);
}

#[test]
fn a_wrong_length_never_completes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let blob = bytes(2 * CHUNK + 5_000);
    let (id, encoded) = chunks(&blob);
    for length in [id.length - 1, id.length + 1, id.length - 4_000, 3 * 262_144] {
        let wrong = BlobId { length, ..id };
        assert!(
            store.put_chunk(wrong, 0, &encoded[0]).is_ok(),
            "its proof holds"
        );
        assert!(store.put_chunk(wrong, 1, &encoded[1]).is_ok());
        assert!(
            store.put_chunk(wrong, 2, &encoded[2]).is_err(),
            "the last chunk shows the length"
        );
        assert!(!store.has(wrong));
    }
}

/// The second guard behind the chunks' proofs: marks that lie do not make a blob.
#[test]
fn the_whole_is_hashed_before_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (id, encoded) = chunks(&bytes(2 * CHUNK));
    let opened = store(&dir);
    opened.begin(id).unwrap();
    drop(opened);
    let marks = dir
        .path()
        .join("partial")
        .join(format!("{}-{}.marks", id.hash, id.length));
    fs::write(&marks, [1, 0]).unwrap();
    let opened = store(&dir);
    assert_eq!(opened.missing(id), [1]);
    let result = opened.put_chunk(id, 1, &encoded[1]);
    assert!(
        matches!(
            result,
            Err(BlobStoreError::Chunk(ChunkError::WrongWhole { .. }))
        ),
        "{result:?}"
    );
    assert!(!opened.has(id));
    assert_eq!(
        (opened.used(), opened.missing(id).len()),
        (0, 2),
        "the upload is dropped and may begin anew"
    );
    drop(opened);

    let opened = store(&dir);
    opened.begin(id).unwrap();
    drop(opened);
    fs::write(&marks, [1, 1]).unwrap();
    assert!(!store(&dir).has(id));
}

#[test]
fn an_upload_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let blob = bytes(4 * CHUNK);
    let (id, encoded) = chunks(&blob);
    for (n, chunk) in (0..).zip(&encoded) {
        let store = store(&dir);
        assert_eq!(store.progress(id).stored, n);
        store.put_chunk(id, n, chunk).unwrap();
    }
    let store = store(&dir);
    assert_eq!(store.read(id).unwrap(), blob);
    assert_eq!(
        (store.used(), store.ids(), store.uploads()),
        (id.length, BTreeSet::from([id]), BTreeSet::new())
    );
}

/// Every state that a crash can leave between the steps of publishing, made by hand.
#[test]
fn a_crash_while_publishing_loses_nothing() {
    let blob = bytes(2 * CHUNK + 1);
    let (id, encoded) = chunks(&blob);
    let name = format!("{}-{}", id.hash, id.length);
    // What each crash undoes: the rename, the tree, the removal of the marks.
    for (is_renamed, has_tree, has_marks) in [
        (false, false, true),
        (false, true, true),
        (true, true, true),
        (true, false, true),
        (true, false, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        store(&dir).put_bytes(&blob).unwrap();
        let path = |folder: &str, name: &str| dir.path().join(folder).join(name);
        if !is_renamed {
            fs::rename(path("complete", &name), path("partial", &name)).unwrap();
        }
        if !has_tree {
            fs::remove_file(path("complete", &format!("{name}.tree"))).unwrap();
        }
        if has_marks {
            fs::write(path("partial", &format!("{name}.marks")), [1, 1, 1]).unwrap();
        }
        let store = store(&dir);
        assert_eq!(
            store.read(id).unwrap(),
            blob,
            "{is_renamed} {has_tree} {has_marks}"
        );
        assert_eq!(&store.encode_chunk(id, 1).unwrap(), &encoded[1]);
        assert_eq!(store.used(), id.length);
    }
}

/// A file system may bring back what was renamed away.
#[test]
fn a_blob_that_is_an_upload_too_is_a_blob() {
    let dir = tempfile::tempdir().unwrap();
    let blob = bytes(2 * CHUNK + 1);
    let id = store(&dir).put_bytes(&blob).unwrap();
    let name = format!("{}-{}", id.hash, id.length);
    let path = |folder: &str, name: &str| dir.path().join(folder).join(name);
    fs::copy(path("complete", &name), path("partial", &name)).unwrap();
    fs::write(path("partial", &format!("{name}.marks")), [1, 1, 1]).unwrap();
    let store = store(&dir);
    assert_eq!(
        (store.read(id).unwrap(), store.used(), store.uploads().len()),
        (blob, id.length, 0)
    );
    assert!(!path("partial", &name).exists());
}

#[test]
fn leftovers_and_strangers_in_the_folders_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(&dir));
    let (id, _) = chunks(&bytes(10));
    let name = format!("{}-{}", id.hash, id.length);
    fs::write(
        dir.path().join("complete").join(format!("{name}.tree")),
        b"of nothing",
    )
    .unwrap();
    fs::write(dir.path().join("complete/tree.tmp"), b"half").unwrap();
    fs::write(dir.path().join("complete").join(&name), b"too short").unwrap();
    fs::write(dir.path().join("partial").join(&name), b"without marks").unwrap();
    fs::write(dir.path().join("partial").join("README"), b"?").unwrap();
    let store = store(&dir);
    assert_eq!(
        (store.used(), store.ids().len(), store.uploads().len()),
        (0, 0, 0)
    );
    for folder in ["complete", "partial"] {
        assert_eq!(fs::read_dir(dir.path().join(folder)).unwrap().count(), 0);
    }
}

#[test]
fn the_quota_holds_for_blobs_and_uploads_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(dir.path(), 1_000_000).unwrap();
    let first = store.put_bytes(&bytes(400_000)).unwrap();
    let (id, encoded) = chunks(&bytes(600_000));
    store.begin(id).unwrap();
    assert_eq!(store.used(), 400_000, "what is only declared takes no room");
    store.reserve(id).unwrap();
    store.reserve(id).unwrap();
    assert_eq!(store.used(), 1_000_000, "room is reserved once");
    let refused = store.put_bytes(b"x");
    assert!(
        matches!(
            refused,
            Err(BlobStoreError::QuotaExceeded {
                needed: 1,
                free: 0,
                quota: 1_000_000
            })
        ),
        "{refused:?}"
    );
    for (n, chunk) in (0..).zip(&encoded) {
        store.put_chunk(id, n, chunk).unwrap();
    }
    assert_eq!(store.used(), 1_000_000);
    store.remove(first).unwrap();
    store.remove(first).unwrap();
    assert_eq!(store.used(), 600_000);
    store.put_bytes(b"x").unwrap();
    let huge = BlobId {
        hash: Hash32::ZERO,
        length: MAX_BLOB_BYTES + 1,
    };
    assert!(matches!(
        store.begin(huge),
        Err(BlobStoreError::TooLarge { .. })
    ));
}

#[test]
fn an_upload_takes_the_room_of_the_chunks_that_came() {
    let dir = tempfile::tempdir().unwrap();
    let open = || BlobStore::open(dir.path(), 1_000_000).unwrap();
    let chunk = u64::try_from(CHUNK).unwrap();
    let (first, others) = (chunks(&bytes(600_000)), chunks(&bytes(600_001)));
    let store = open();
    for (id, encoded) in [&first, &others] {
        store.put_chunk(*id, 0, &encoded[0]).unwrap();
        store.put_chunk(*id, 0, &encoded[0]).unwrap();
    }
    assert_eq!(store.used(), 2 * chunk);
    drop(store);
    let store = open();
    assert_eq!(store.used(), 2 * chunk, "also after a restart");
    store.put_chunk(first.0, 1, &first.1[1]).unwrap();
    let refused = store.put_chunk(others.0, 1, &others.1[1]);
    assert!(
        matches!(refused, Err(BlobStoreError::QuotaExceeded { .. })),
        "{refused:?}"
    );
    assert!(matches!(
        store.reserve(others.0),
        Err(BlobStoreError::QuotaExceeded { .. })
    ));
    assert_eq!(store.used(), 3 * chunk, "what was refused takes no room");
    store.remove(others.0).unwrap();
    assert_eq!(store.used(), 2 * chunk);
    store.put_chunk(first.0, 2, &first.1[2]).unwrap();
    assert_eq!((store.used(), store.has(first.0)), (600_000, true));
    let fits = store.put_bytes(&bytes(400_000)).unwrap();
    assert_eq!((store.used(), store.has(fits)), (1_000_000, true));
}

#[test]
fn only_what_is_wanted_is_retained() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let ids: Vec<_> = (1..6)
        .map(|n| store.put_bytes(&bytes(n * 100)).unwrap())
        .collect();
    let upload = chunks(&bytes(CHUNK + 1)).0;
    store.begin(upload).unwrap();
    let wanted = BTreeSet::from([ids[1], ids[3]]);
    store.retain(&wanted).unwrap();
    assert_eq!(
        (store.ids(), store.uploads().len(), store.used()),
        (wanted, 0, 600)
    );
    drop(store);
    assert_eq!(BlobStore::open(dir.path(), QUOTA).unwrap().ids().len(), 2);
}

#[test]
fn bytes_that_rot_are_named_and_never_served() {
    let blob = bytes(2 * CHUNK + 100);
    for (at, is_tree) in [
        (0, false),
        (CHUNK + 5, false),
        (blob.len() - 1, false),
        (3, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let id = store.put_bytes(&blob).unwrap();
        let path = store.path(id).unwrap();
        let path = if is_tree {
            path.with_extension("tree")
        } else {
            path
        };
        let mut rotten = fs::read(&path).unwrap();
        rotten[at] ^= 0x40;
        fs::write(&path, rotten).unwrap();
        let n = if is_tree {
            0
        } else {
            u32::try_from(at / CHUNK).unwrap()
        };
        let result = store.encode_chunk(id, n);
        assert!(
            matches!(result, Err(BlobStoreError::Corrupt(named)) if named == id),
            "{result:?}"
        );
        assert!(!store.has(id), "it can be fetched again");
        store.put_bytes(&blob).unwrap();
        assert_eq!(store.read(id).unwrap(), blob);
        fs::write(store.path(id).unwrap(), b"short").unwrap();
        assert!(matches!(store.read(id), Err(BlobStoreError::Corrupt(_))));
    }
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(&dir);
    assert!(matches!(
        BlobStore::open(dir.path(), QUOTA),
        Err(BlobStoreError::Locked(_))
    ));
    drop(first);
    assert!(BlobStore::open(dir.path(), QUOTA).is_ok());
}

#[test]
fn files_are_stored_as_bytes_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let path = dir.path().join("file");
    for length in [0, 10, 2 * CHUNK] {
        fs::write(&path, bytes(length)).unwrap();
        let id = store.put_file(&path).unwrap();
        assert_eq!(id, BlobId::of(&bytes(length)));
        assert_eq!(store.read(id).unwrap(), bytes(length));
        assert_eq!(store.put_bytes(&bytes(length)).unwrap(), id);
    }
    assert!(matches!(
        store.put_file(&dir.path().join("none")),
        Err(BlobStoreError::Io { .. })
    ));
}

#[test]
fn many_threads_upload_one_blob() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let blob = bytes(6 * CHUNK + 5);
    let (id, encoded) = chunks(&blob);
    std::thread::scope(|scope| {
        for shift in 0..3 {
            let (store, encoded) = (store.clone(), &encoded);
            scope.spawn(move || {
                for n in 0..encoded.len() {
                    let n = (n + shift * 2) % encoded.len();
                    store
                        .put_chunk(id, u32::try_from(n).unwrap(), &encoded[n])
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(store.read(id).unwrap(), blob);
    assert_eq!(store.used(), id.length);
}

#[test]
fn whoever_asks_does_not_wait_for_the_disk() {
    let dir = TempDir::new().unwrap();
    let store = store(&dir);
    let (id, chunks) = chunks(&bytes(600_000));
    store.put_chunk(id, 0, &chunks[0]).unwrap();
    let Some(BlobState::Partial(upload)) = store.find(id) else {
        panic!("an upload");
    };
    // As while a chunk is written or the whole is hashed, and while another blob is published.
    let (_writing, _publishing) = (held(&upload.writing), held(&store.0.publishing));
    let (answer, answered) = std::sync::mpsc::channel();
    let asking = store.clone();
    let thread = std::thread::spawn(move || {
        let missing = asking.missing(id);
        let _ = answer.send((asking.progress(id), missing, asking.has(id)));
    });
    let (progress, missing, has) = answered
        .recv_timeout(std::time::Duration::from_secs(20))
        .expect("an answer while the locks are held");
    assert_eq!((progress.stored, missing, has), (1, vec![1, 2], false));
    thread.join().unwrap();
}
