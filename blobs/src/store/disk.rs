//! The store's files, and the order in which they become durable.
//!
//! ```text
//! lock                       held by the process that uses the directory
//! partial/<hash>-<length>          bytes of an upload, at full length, sparse
//! partial/<hash>-<length>.marks    one byte per chunk: 1 once its bytes were synced
//! complete/<hash>-<length>         a whole blob
//! complete/<hash>-<length>.tree    its inner hashes, rebuilt from the bytes when missing
//! ```
//!
//! An upload is published by syncing its bytes, writing the tree beside its final place, renaming both and syncing the
//! directory: two syncs for a blob of one chunk, whose tree is empty. A crash in between leaves an upload that is
//! complete but for its renaming, a blob without its tree, or a blob that is an upload still.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use types::hash::BlobId;

use super::chunk_offset;
use crate::chunk::{Encoder, chunk_count};
use crate::error::{BlobStoreError, DiskOperation};

const MARKS: &str = "marks";
const TREE: &str = "tree";

/// The directory of a store.
#[derive(Debug)]
pub(super) struct Disk {
    partial: PathBuf,
    complete: PathBuf,
    /// Released by the system when the process ends.
    _lock: File,
}

fn failed(attempt: DiskOperation, path: &Path) -> impl FnOnce(io::Error) -> BlobStoreError {
    let path = path.to_owned();
    move |source| BlobStoreError::Io {
        attempt,
        path,
        source,
    }
}

fn name(id: BlobId) -> String {
    format!("{}-{}", id.hash, id.length)
}

/// The id that a file name stands for, if it is one that [`name`] gives.
fn parse(file: &str) -> Option<BlobId> {
    let (hash, length) = file.split_once('-')?;
    let id = BlobId {
        hash: hash.parse().ok()?,
        length: length.parse().ok()?,
    };
    (name(id) == file && id.is_allowed()).then_some(id)
}

fn sync_dir(path: &Path) -> Result<(), BlobStoreError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(failed(DiskOperation::Sync, path))
}

fn remove_if_there(path: &Path) -> Result<(), BlobStoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(DiskOperation::Remove, path)(error))
        }
        _ => Ok(()),
    }
}

fn file_names(dir: &Path) -> Result<Vec<String>, BlobStoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed(DiskOperation::List, dir))? {
        names.extend(
            entry
                .map_err(failed(DiskOperation::List, dir))?
                .file_name()
                .into_string(),
        );
    }
    names.sort_unstable();
    Ok(names)
}

impl Disk {
    pub(super) fn open(dir: &Path) -> Result<Self, BlobStoreError> {
        let (partial, complete, lock) =
            (dir.join("partial"), dir.join("complete"), dir.join("lock"));
        for path in [&partial, &complete] {
            fs::create_dir_all(path).map_err(failed(DiskOperation::Make, path))?;
        }
        sync_dir(dir)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock);
        let file = file.map_err(failed(DiskOperation::Open, &lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                partial,
                complete,
                _lock: file,
            }),
            Err(TryLockError::WouldBlock) => Err(BlobStoreError::Locked(dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(DiskOperation::Lock, &lock)(error)),
        }
    }

    pub(super) fn complete_path(&self, id: BlobId) -> PathBuf {
        self.complete.join(name(id))
    }

    fn tree_path(&self, id: BlobId) -> PathBuf {
        self.complete.join(name(id)).with_extension(TREE)
    }

    fn partial_path(&self, id: BlobId) -> PathBuf {
        self.partial.join(name(id))
    }

    fn marks_path(&self, id: BlobId) -> PathBuf {
        self.partial.join(name(id)).with_extension(MARKS)
    }

    /// All blobs that were published. A blob without its tree is hashed again; files of nothing are removed.
    pub(super) fn recover_complete(&self) -> Result<Vec<BlobId>, BlobStoreError> {
        let mut ids = Vec::new();
        for file in file_names(&self.complete)? {
            let path = self.complete.join(&file);
            let Some(id) = parse(&file) else {
                let of = file.strip_suffix(".tree").and_then(parse);
                if of.is_none_or(|id| !self.complete_path(id).exists()) {
                    remove_if_there(&path)?;
                }
                continue;
            };
            if path
                .metadata()
                .map_err(failed(DiskOperation::Read, &path))?
                .len()
                != id.length
            {
                self.remove(id)?;
                continue;
            }
            if !self.tree_path(id).exists() {
                let encoder = hash_file(&path, id)?;
                if encoder.id() != id {
                    self.remove(id)?;
                    continue;
                }
                self.write_tree(id, encoder.pairs())?;
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// All uploads with the chunks that are durable. Files that belong to none are removed.
    pub(super) fn recover_partial(&self) -> Result<Vec<(BlobId, Vec<bool>)>, BlobStoreError> {
        let mut uploads = Vec::new();
        for file in file_names(&self.partial)? {
            let path = self.partial.join(&file);
            let Some(id) = parse(&file) else {
                if file
                    .strip_suffix(".marks")
                    .and_then(parse)
                    .is_none_or(|id| !self.partial_path(id).exists())
                {
                    remove_if_there(&path)?;
                }
                continue;
            };
            let marks_path = self.marks_path(id);
            let marks_length = marks_path.metadata().map_or(u64::MAX, |data| data.len());
            let length = path
                .metadata()
                .map_err(failed(DiskOperation::Read, &path))?
                .len();
            if length != id.length || marks_length != u64::from(chunk_count(id)) {
                remove_if_there(&path)?;
                remove_if_there(&marks_path)?;
                continue;
            }
            let marks = fs::read(&marks_path).map_err(failed(DiskOperation::Read, &marks_path))?;
            uploads.push((id, marks.into_iter().map(|mark| mark == 1).collect()));
        }
        Ok(uploads)
    }

    /// Makes the files of an upload of which nothing is here.
    pub(super) fn begin(&self, id: BlobId) -> Result<(), BlobStoreError> {
        for (path, length) in [
            (self.marks_path(id), u64::from(chunk_count(id))),
            (self.partial_path(id), id.length),
        ] {
            File::create(&path)
                .and_then(|file| file.set_len(length))
                .map_err(failed(DiskOperation::Make, &path))?;
        }
        Ok(())
    }

    /// Writes a chunk's bytes, makes them durable, then marks them.
    pub(super) fn write_chunk(
        &self,
        id: BlobId,
        n: u32,
        bytes: &[u8],
    ) -> Result<(), BlobStoreError> {
        let (path, marks) = (self.partial_path(id), self.marks_path(id));
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(failed(DiskOperation::Open, &path))?;
        file.write_all_at(bytes, chunk_offset(n))
            .and_then(|()| file.sync_data())
            .map_err(failed(DiskOperation::Write, &path))?;
        let file = OpenOptions::new()
            .write(true)
            .open(&marks)
            .map_err(failed(DiskOperation::Open, &marks))?;
        file.write_all_at(&[1], u64::from(n))
            .map_err(failed(DiskOperation::Write, &marks))
    }

    /// Writes all bytes of an upload, which become durable when it is published; too many or too few show when it is
    /// hashed.
    pub(super) fn write_whole(&self, id: BlobId, reader: impl Read) -> Result<(), BlobStoreError> {
        let path = self.partial_path(id);
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(failed(DiskOperation::Open, &path))?;
        io::copy(&mut reader.take(id.length), &mut file)
            .map_err(failed(DiskOperation::Write, &path))?;
        Ok(())
    }

    /// Hashes all bytes of an upload.
    pub(super) fn hash_partial(&self, id: BlobId) -> Result<Encoder, BlobStoreError> {
        hash_file(&self.partial_path(id), id)
    }

    /// Makes an upload whose bytes are all written a complete, durable blob.
    pub(super) fn publish(&self, id: BlobId, pairs: &[u8]) -> Result<(), BlobStoreError> {
        self.write_tree(id, pairs)?;
        let (from, to) = (self.partial_path(id), self.complete_path(id));
        File::open(&from)
            .and_then(|file| file.sync_all())
            .map_err(failed(DiskOperation::Sync, &from))?;
        fs::rename(&from, &to).map_err(failed(DiskOperation::Rename, &from))?;
        sync_dir(&self.complete)?;
        // Marks that a crash brings back are of nothing, and removed.
        remove_if_there(&self.marks_path(id))
    }

    fn write_tree(&self, id: BlobId, pairs: &[u8]) -> Result<(), BlobStoreError> {
        let (path, temporary) = (self.tree_path(id), self.complete.join("tree.tmp"));
        // An empty file has nothing that could be lost.
        let sync = || {
            if pairs.is_empty() {
                Ok(())
            } else {
                File::open(&temporary)?.sync_all()
            }
        };
        fs::write(&temporary, pairs)
            .and_then(|()| sync())
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(failed(DiskOperation::Write, &path))
    }

    /// Opens a complete blob and reads its tree, of the one size it can have.
    pub(super) fn open_complete(&self, id: BlobId) -> Result<(File, Vec<u8>), BlobStoreError> {
        let (path, tree) = (self.complete_path(id), self.tree_path(id));
        let file = File::open(&path).map_err(failed(DiskOperation::Open, &path))?;
        let mut pairs = Vec::new();
        let max = u64::from(chunk_count(id)) * 64;
        File::open(&tree)
            .and_then(|tree| tree.take(max).read_to_end(&mut pairs))
            .map_err(failed(DiskOperation::Read, &tree))?;
        Ok((file, pairs))
    }

    /// The bytes of a complete blob, at most one more than it has, unverified.
    pub(super) fn read_complete(&self, id: BlobId) -> Result<Vec<u8>, BlobStoreError> {
        let path = self.complete_path(id);
        let mut bytes = Vec::new();
        let max = id.length + 1;
        File::open(&path)
            .and_then(|file| file.take(max).read_to_end(&mut bytes))
            .map_err(failed(DiskOperation::Read, &path))?;
        Ok(bytes)
    }

    /// Removes whatever there is of a blob.
    pub(super) fn remove(&self, id: BlobId) -> Result<(), BlobStoreError> {
        remove_if_there(&self.complete_path(id))?;
        remove_if_there(&self.tree_path(id))?;
        self.remove_upload(id)
    }

    /// Removes whatever there is of an upload.
    pub(super) fn remove_upload(&self, id: BlobId) -> Result<(), BlobStoreError> {
        remove_if_there(&self.partial_path(id))?;
        remove_if_there(&self.marks_path(id))
    }
}

fn hash_file(path: &Path, id: BlobId) -> Result<Encoder, BlobStoreError> {
    let file = File::open(path).map_err(failed(DiskOperation::Open, path))?;
    Encoder::of_reader(BufReader::new(file), id.length).map_err(failed(DiskOperation::Read, path))
}
