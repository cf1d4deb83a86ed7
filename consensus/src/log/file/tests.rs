//! The power is cut between any two operations on files, and everything that was not synced is lost: whatever was
//! promised is read back.

use std::cell::RefCell;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use types::hash::{BlockId, ChainId, Hash32};
use types::key::SecretKey;
use types::number::{Epoch, ValidatorIndex, View};
use types::vote::{Statement, Subject, Vote};

use super::*;
use crate::log::{Identity, Log, LogError, Record};

/// A file's bytes, and those of them that a power cut leaves.
#[derive(Debug, Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

/// The names in the one directory of files, as numbers of inodes, and those that a power cut leaves.
#[derive(Debug, Clone, Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    /// The directory itself is there, and would be after a power cut.
    made: bool,
    made_for_good: bool,
    /// Operations that change something and still succeed.
    left: usize,
}

impl Disk {
    /// What a power cut leaves: nothing that was not synced, but up to `torn` bytes of each file's last writes.
    fn after_power_cut(&self, torn: usize) -> Self {
        let inodes = self.inodes.iter().map(|inode| {
            let mut bytes = inode.synced.clone();
            let appended = inode.bytes.strip_prefix(inode.synced.as_slice());
            bytes.extend(appended.unwrap_or_default().iter().take(torn));
            Inode {
                synced: bytes.clone(),
                bytes,
            }
        });
        Self {
            inodes: inodes.collect(),
            names: self.synced_names.clone(),
            synced_names: self.synced_names.clone(),
            made: self.made_for_good,
            made_for_good: self.made_for_good,
            left: usize::MAX,
        }
    }
}

impl Disk {
    /// What a killed process leaves: everything that it wrote, in the cache alone as far as it was not synced.
    fn after_kill(&self) -> Self {
        Self {
            left: usize::MAX,
            ..self.clone()
        }
    }
}

/// Files in memory that fail from some operation on, as those of a machine without power do.
#[derive(Debug, Clone)]
struct Files(Rc<RefCell<Disk>>);

impl Files {
    fn new(disk: Disk) -> Self {
        Self(Rc::new(RefCell::new(disk)))
    }

    /// Counts an operation that changes something.
    fn change(&self) -> Result<std::cell::RefMut<'_, Disk>> {
        let mut disk = self.0.borrow_mut();
        disk.left = disk.left.checked_sub(1).ok_or(ErrorKind::BrokenPipe)?;
        Ok(disk)
    }

    fn named(&self, path: &Path) -> Result<usize> {
        let disk = self.0.borrow();
        let found = disk.names.get(path).copied();
        found.ok_or_else(|| Error::from(ErrorKind::NotFound))
    }
}

impl FileSystem for Files {
    type File = usize;

    fn make_directory(&mut self, _: &Path) -> Result<()> {
        self.change()?.made = true;
        Ok(())
    }

    fn sync_directory(&mut self, path: &Path) -> Result<()> {
        let mut disk = self.change()?;
        if path == directory() {
            disk.synced_names = disk.names.clone();
        } else {
            disk.made_for_good = disk.made;
        }
        Ok(())
    }

    fn list(&self, _: &Path) -> Result<Vec<String>> {
        let disk = self.0.borrow();
        let name = |path: &PathBuf| path.file_name()?.to_str().map(ToOwned::to_owned);
        Ok(disk.names.keys().filter_map(name).collect())
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let inode = self.named(path)?;
        Ok(self.0.borrow().inodes[inode].bytes.clone())
    }

    fn create_new(&mut self, path: &Path) -> Result<usize> {
        if self.named(path).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.create(path)
    }

    fn create(&mut self, path: &Path) -> Result<usize> {
        let mut disk = self.change()?;
        disk.inodes.push(Inode::default());
        let inode = disk.inodes.len() - 1;
        disk.names.insert(path.to_owned(), inode);
        Ok(inode)
    }

    fn open(&mut self, path: &Path) -> Result<usize> {
        self.named(path)
    }

    fn write(&mut self, file: &mut usize, bytes: &[u8]) -> Result<()> {
        self.change()?.inodes[*file].bytes.extend(bytes);
        Ok(())
    }

    fn sync(&mut self, file: &mut usize) -> Result<()> {
        let mut disk = self.change()?;
        let inode = &mut disk.inodes[*file];
        inode.synced.clone_from(&inode.bytes);
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let inode = self.named(from)?;
        let mut disk = self.change()?;
        disk.names.remove(from);
        disk.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        self.change()?.names.remove(path);
        Ok(())
    }
}

fn directory() -> PathBuf {
    PathBuf::from("/data/votes")
}

fn identity() -> Identity {
    Identity {
        chain: ChainId(Hash32([1; 32])),
        validator: SecretKey::from_bytes(&[2; 32]).public(),
        epoch: Epoch::FIRST,
    }
}

fn vote(view: u64) -> Record {
    let statement = Statement {
        epoch: Epoch::FIRST,
        view: View(view),
        subject: Subject::Finalize {
            block: BlockId(Hash32([9; 32])),
        },
    };
    let key = SecretKey::from_bytes(&[2; 32]);
    Record::Vote(Vote::sign(
        statement,
        ValidatorIndex(0),
        &key,
        identity().chain,
    ))
}

/// Two lives of a log; in each votes are written, and segments begin and go. Notes the views that were promised, and the
/// highest one up to which records may be gone.
fn live(
    files: &Files,
    promised: &mut Vec<u64>,
    released: &mut u64,
) -> std::result::Result<(), LogError> {
    let mut log = Log::init(FileStorage::on(files.clone(), &directory())?, identity())?;
    promised.push(0);
    for life in 0..2 {
        log = log.with_segment_bytes(500);
        for view in life * 6 + 1..=life * 6 + 6 {
            log.append(&[vote(view)])?;
            promised.push(view);
        }
        *released = life * 6 + 2;
        log.release(View(*released))?;
        let (again, records) =
            Log::open(FileStorage::on(files.clone(), &directory())?, identity())?;
        assert_eq!(views(&records).last(), promised.last());
        log = again;
    }
    Ok(())
}

fn views(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.view().0).collect()
}

/// Operations of both lives.
fn operations() -> usize {
    let disk = Disk {
        left: usize::MAX,
        ..Disk::default()
    };
    let files = Files::new(disk);
    live(&files, &mut Vec::new(), &mut 0).unwrap();
    usize::MAX - files.0.borrow().left
}

#[test]
fn what_was_promised_survives_a_power_cut_at_every_operation() {
    let operations = operations();
    assert!(operations > 60, "{operations}");
    for left in 0..operations {
        for torn in [0, 1, 30, 150, 1_000] {
            let (mut promised, mut released) = (Vec::new(), 0);
            let files = Files::new(Disk {
                left,
                ..Disk::default()
            });
            live(&files, &mut promised, &mut released).expect_err("the power is cut");
            let disk = files.0.borrow().after_power_cut(torn);
            let case = format!("after {left} operations, {torn} bytes torn");
            if promised.is_empty() {
                continue;
            }
            assert!(disk.made, "{case}: the directory is gone");
            let files = Files::new(disk);
            let storage = FileStorage::on(files.clone(), &directory()).unwrap();
            let (mut log, records) = Log::open(storage, identity()).expect(&case);
            let found = views(&records);
            let must = promised.iter().filter(|view| **view > released);
            for view in must {
                assert!(found.contains(view), "{case}: view {view} of {found:?}");
            }
            // What it gave out it rests upon, so that a second cut takes nothing of it; and it goes on.
            let again = Files::new(files.0.borrow().after_power_cut(0));
            let storage = FileStorage::on(again, &directory()).unwrap();
            assert_eq!(Log::open(storage, identity()).expect(&case).1, records);
            log.append(&[vote(99)]).unwrap();
        }
    }
}

#[test]
fn what_is_given_out_after_a_kill_at_every_operation_survives_a_power_cut_after_it() {
    for left in 0..operations() {
        let (mut promised, mut released) = (Vec::new(), 0);
        let files = Files::new(Disk {
            left,
            ..Disk::default()
        });
        live(&files, &mut promised, &mut released).expect_err("the process is killed");
        let files = Files::new(files.0.borrow().after_kill());
        let open = |files: &Files| {
            let storage = FileStorage::on(files.clone(), &directory()).unwrap();
            Log::open(storage, identity()).map(|(_, records)| records)
        };
        let Ok(records) = open(&files) else {
            assert!(promised.is_empty(), "after {left} operations");
            continue;
        };
        let again = Files::new(files.0.borrow().after_power_cut(0));
        assert_eq!(open(&again).unwrap(), records, "after {left} operations");
    }
}

#[test]
fn a_sync_of_the_systems_files_asks_the_system() {
    // A device without a disk below it cannot sync and says so: whoever does not ask does not hear it.
    let device = Path::new("/dev/null");
    let mut file = OsFiles.open(device).unwrap();
    OsFiles.write(&mut file, b"gone").unwrap();
    assert!(OsFiles.sync(&mut file).is_err());
    assert!(OsFiles.sync_directory(device).is_err());
}
