//! Blobs on disk: uploads by verified chunk that survive a crash, a quota, and retention by the set of wanted ids.
//!
//! - What [`BlobStore::has`] reports is complete, was hashed as a whole and is durable.
//! - An upload may stop at any chunk and go on later, also after a crash: marks are written after the bytes are synced.
//! - The lengths of complete blobs and of begun uploads together never pass the quota.
//! - A blob whose bytes have rotted is never served: it is dropped and named in the error, and can be fetched again.

mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use types::hash::BlobId;
use types::limits::{BLOB_CHUNK_BYTES, MAX_BLOB_BYTES};

use crate::chunk::{ChunkError, Encoder, chunk_count, verify_chunk};
use disk::Disk;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The blob is larger than any job may name.
    #[error("a blob of {length} bytes, at most {MAX_BLOB_BYTES} are allowed")]
    TooLarge {
        /// Its length.
        length: u64,
    },
    /// There is no room below the quota. Retryable once something was removed.
    #[error("{needed} bytes are needed and {free} of the quota of {quota} are free")]
    QuotaExceeded {
        /// Length of the blob.
        needed: u64,
        /// What is free.
        free: u64,
        /// The quota.
        quota: u64,
    },
    /// The chunk is not the one it is said to be.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The blob is not here, or not completely.
    #[error("blob {} of {} bytes is not here", .0.hash, .0.length)]
    Absent(BlobId),
    /// The stored bytes are no longer the blob; they were dropped.
    #[error("the stored bytes of blob {} have changed on disk and were dropped", .0.hash)]
    Corrupt(BlobId),
    /// Another process uses the directory.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The system failed.
    #[error("cannot {attempt} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How much of a blob is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Chunks that are stored.
    pub stored: u32,
    /// Chunks that the blob has.
    pub total: u32,
}

impl Progress {
    /// True if all of it is here.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self.stored == self.total
    }
}

/// An upload in progress: which chunks are durable.
#[derive(Debug)]
struct Upload {
    marks: Vec<bool>,
}

#[derive(Debug, Clone)]
enum Entry {
    Partial(Arc<Mutex<Upload>>),
    Complete,
}

#[derive(Debug, Default)]
struct Index {
    entries: BTreeMap<BlobId, Entry>,
    used: u64,
}

#[derive(Debug)]
struct Shared {
    disk: Disk,
    quota: u64,
    index: Mutex<Index>,
}

/// A directory of blobs. Cheap to clone; all methods block on the disk.
#[derive(Debug, Clone)]
pub struct BlobStore(Arc<Shared>);

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BlobStore {
    /// Opens or makes a store of at most `quota` bytes. What a crash left half done is resumed or dropped.
    pub fn open(dir: &Path, quota: u64) -> Result<Self, StoreError> {
        let disk = Disk::open(dir)?;
        let mut index = Index::default();
        for id in disk.recover_complete()? {
            index.used = index.used.saturating_add(id.length);
            index.entries.insert(id, Entry::Complete);
        }
        for (id, marks) in disk.recover_partial()? {
            if let std::collections::btree_map::Entry::Vacant(vacant) = index.entries.entry(id) {
                vacant.insert(Entry::Partial(Arc::new(Mutex::new(Upload { marks }))));
                index.used = index.used.saturating_add(id.length);
            } else {
                disk.remove(id)?;
            }
        }
        let store = Self(Arc::new(Shared { disk, quota, index: Mutex::new(index) }));
        store.finish_uploads()?;
        Ok(store)
    }

    /// Completes uploads of which a crash left only the last step undone.
    fn finish_uploads(&self) -> Result<(), StoreError> {
        let entries = held(&self.0.index).entries.clone();
        for (id, entry) in entries {
            let Entry::Partial(upload) = entry else { continue };
            let held_upload = held(&upload);
            if held_upload.marks.iter().all(|mark| *mark) {
                match self.complete(id, &upload) {
                    // The bytes are not the blob: the upload is dropped, and may begin anew.
                    Ok(()) | Err(StoreError::Chunk(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Reserves room for a blob and gives how much of it is here. Repeating it is harmless.
    pub fn begin(&self, id: BlobId) -> Result<Progress, StoreError> {
        self.entry(id)?;
        Ok(self.progress(id))
    }

    /// Stores chunk `n`, verified. Begins the upload if need be; the last missing chunk completes the blob.
    ///
    /// If all chunks verify and the whole does not (a wrong length), the upload is dropped.
    pub fn put_chunk(&self, id: BlobId, n: u32, encoded: &[u8]) -> Result<Progress, StoreError> {
        let bytes = verify_chunk(id, n, encoded)?;
        let Entry::Partial(upload) = self.entry(id)? else { return Ok(self.progress(id)) };
        let mut held_upload = held(&upload);
        if !self.is_current(id, &upload)? {
            return Ok(self.progress(id));
        }
        let at = usize::try_from(n).expect("a chunk's number fits memory");
        if !held_upload.marks[at] {
            self.0.disk.write_chunk(id, n, &bytes)?;
            held_upload.marks[at] = true;
        }
        if held_upload.marks.iter().all(|mark| *mark) {
            self.complete(id, &upload)?;
            return Ok(Progress { stored: chunk_count(id), total: chunk_count(id) });
        }
        Ok(count(&held_upload, id))
    }

    /// Stores bytes and names them.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<BlobId, StoreError> {
        self.put_reader(BlobId::of(bytes), || Ok(bytes))
    }

    /// Stores a copy of a file and names its bytes.
    pub fn put_file(&self, path: &Path) -> Result<BlobId, StoreError> {
        let fail = |source| StoreError::Io { attempt: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        if length > MAX_BLOB_BYTES {
            return Err(StoreError::TooLarge { length });
        }
        let id = Encoder::of_reader(io::BufReader::new(file), length).map_err(fail)?.id();
        self.put_reader(id, || File::open(path).map_err(fail))
    }

    fn put_reader<R: io::Read>(
        &self,
        id: BlobId,
        open: impl FnOnce() -> Result<R, StoreError>,
    ) -> Result<BlobId, StoreError> {
        if let Entry::Partial(upload) = self.entry(id)? {
            let _held = held(&upload);
            if self.is_current(id, &upload)? {
                self.0.disk.write_whole(id, open()?)?;
                self.complete(id, &upload)?;
            }
        }
        Ok(id)
    }

    /// True if all of the blob is here, verified as a whole.
    #[must_use]
    pub fn has(&self, id: BlobId) -> bool {
        matches!(self.find(id), Some(Entry::Complete))
    }

    /// How much of the blob is here.
    #[must_use]
    pub fn progress(&self, id: BlobId) -> Progress {
        let total = chunk_count(id);
        match self.find(id) {
            None => Progress { stored: 0, total },
            Some(Entry::Complete) => Progress { stored: total, total },
            Some(Entry::Partial(upload)) => count(&held(&upload), id),
        }
    }

    /// The chunks that are missing, ascending.
    #[must_use]
    pub fn missing(&self, id: BlobId) -> Vec<u32> {
        match self.find(id) {
            None if id.is_allowed() => (0..chunk_count(id)).collect(),
            None | Some(Entry::Complete) => Vec::new(),
            Some(Entry::Partial(upload)) => {
                (0..).zip(&held(&upload).marks).filter(|(_, mark)| !**mark).map(|(n, _)| n).collect()
            }
        }
    }

    /// Encodes chunk `n` of a complete blob with its proof.
    pub fn encode_chunk(&self, id: BlobId, n: u32) -> Result<Vec<u8>, StoreError> {
        self.present(id)?;
        let (file, pairs) = self.0.disk.open_complete(id)?;
        let encoder = Encoder::from_pairs(id, pairs);
        match encoder.map(|encoder| encoder.encode(file, n)) {
            None | Some(Err(ChunkError::WrongHash { .. })) => Err(self.corrupt(id)),
            Some(result) => Ok(result?),
        }
    }

    /// All bytes of a complete blob, verified.
    pub fn read(&self, id: BlobId) -> Result<Vec<u8>, StoreError> {
        self.present(id)?;
        let bytes = self.0.disk.read_complete(id)?;
        if BlobId::of(&bytes) == id { Ok(bytes) } else { Err(self.corrupt(id)) }
    }

    /// The file of a complete blob, to be read only; who reads it checks its hash.
    #[must_use]
    pub fn path(&self, id: BlobId) -> Option<PathBuf> {
        self.has(id).then(|| self.0.disk.complete_path(id))
    }

    /// Removes a blob or an upload, if it is here.
    pub fn remove(&self, id: BlobId) -> Result<(), StoreError> {
        let mut index = held(&self.0.index);
        if index.entries.contains_key(&id) {
            self.0.disk.remove(id)?;
            index.entries.remove(&id);
            index.used = index.used.saturating_sub(id.length);
        }
        Ok(())
    }

    /// Removes everything that is not wanted and gives how many bytes that freed.
    pub fn retain(&self, wanted: &BTreeSet<BlobId>) -> Result<u64, StoreError> {
        let unwanted: Vec<_> = held(&self.0.index).entries.keys().filter(|id| !wanted.contains(*id)).copied().collect();
        let mut freed = 0u64;
        for id in unwanted {
            self.remove(id)?;
            freed = freed.saturating_add(id.length);
        }
        Ok(freed)
    }

    /// All complete blobs.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<BlobId> {
        let index = held(&self.0.index);
        index.entries.iter().filter(|(_, entry)| matches!(entry, Entry::Complete)).map(|(id, _)| *id).collect()
    }

    /// All uploads in progress.
    #[must_use]
    pub fn uploads(&self) -> BTreeSet<BlobId> {
        let index = held(&self.0.index);
        index.entries.iter().filter(|(_, entry)| matches!(entry, Entry::Partial(_))).map(|(id, _)| *id).collect()
    }

    /// Bytes taken by complete blobs and reserved by uploads.
    #[must_use]
    pub fn used(&self) -> u64 {
        held(&self.0.index).used
    }

    /// The most that [`Self::used`] may reach.
    #[must_use]
    pub fn quota(&self) -> u64 {
        self.0.quota
    }

    /// The blob's entry. The index is not held any more when this returns: an upload is locked before the index, never
    /// after it.
    fn find(&self, id: BlobId) -> Option<Entry> {
        held(&self.0.index).entries.get(&id).cloned()
    }

    /// True if the upload, which the caller holds, is still in progress; false if another thread has completed it.
    fn is_current(&self, id: BlobId, upload: &Arc<Mutex<Upload>>) -> Result<bool, StoreError> {
        match self.find(id) {
            Some(Entry::Complete) => Ok(false),
            Some(Entry::Partial(current)) if Arc::ptr_eq(&current, upload) => Ok(true),
            _ => Err(StoreError::Absent(id)),
        }
    }

    /// The blob's entry, made with its room reserved if there was none.
    fn entry(&self, id: BlobId) -> Result<Entry, StoreError> {
        if !id.is_allowed() {
            return Err(StoreError::TooLarge { length: id.length });
        }
        let mut index = held(&self.0.index);
        if let Some(entry) = index.entries.get(&id) {
            return Ok(entry.clone());
        }
        let free = self.0.quota.saturating_sub(index.used);
        if id.length > free {
            return Err(StoreError::QuotaExceeded { needed: id.length, free, quota: self.0.quota });
        }
        self.0.disk.begin(id)?;
        let marks = (0..chunk_count(id)).map(|_| false).collect();
        let entry = Entry::Partial(Arc::new(Mutex::new(Upload { marks })));
        index.entries.insert(id, entry.clone());
        index.used += id.length;
        Ok(entry)
    }

    /// Checks an upload as a whole and makes it a complete blob. The caller holds the upload's lock.
    fn complete(&self, id: BlobId, upload: &Arc<Mutex<Upload>>) -> Result<(), StoreError> {
        let encoder = self.0.disk.hash_partial(id)?;
        if encoder.id() != id {
            self.remove(id)?;
            return Err(ChunkError::WrongWhole { hash: id.hash, length: id.length }.into());
        }
        let mut index = held(&self.0.index);
        match index.entries.get_mut(&id) {
            Some(entry @ Entry::Partial(_)) => {
                let Entry::Partial(current) = &*entry else { return Ok(()) };
                if !Arc::ptr_eq(current, upload) {
                    return Err(StoreError::Absent(id));
                }
                self.0.disk.publish(id, encoder.pairs())?;
                *entry = Entry::Complete;
                Ok(())
            }
            Some(Entry::Complete) => Ok(()),
            None => Err(StoreError::Absent(id)),
        }
    }

    fn present(&self, id: BlobId) -> Result<(), StoreError> {
        if self.has(id) { Ok(()) } else { Err(StoreError::Absent(id)) }
    }

    /// Drops a blob whose bytes have changed, and names it.
    fn corrupt(&self, id: BlobId) -> StoreError {
        self.remove(id).err().unwrap_or(StoreError::Corrupt(id))
    }
}

fn count(upload: &Upload, id: BlobId) -> Progress {
    let stored = u32::try_from(upload.marks.iter().filter(|mark| **mark).count()).unwrap_or(u32::MAX);
    Progress { stored, total: chunk_count(id) }
}

/// Where chunk `n` begins.
fn chunk_offset(n: u32) -> u64 {
    u64::from(n) * BLOB_CHUNK_BYTES
}

#[cfg(test)]
mod tests;
