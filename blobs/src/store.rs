//! Blobs on disk: uploads by verified chunk that survive a crash, a quota, and retention by the set of wanted ids.
//!
//! - What [`BlobStore::has`] reports is complete, was hashed as a whole and is durable.
//! - An upload may stop at any chunk and go on later, also after a crash: marks are written after the bytes are synced.
//! - Complete blobs, stored chunks and reservations together never pass the quota. An upload takes the room of the
//!   chunks that came, so that a length that was only declared takes none; who fetches a blob itself reserves all.
//! - A blob whose bytes have rotted is never served: it is dropped and named in the error, and can be fetched again.

mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use types::hash::BlobId;
use types::limits::{BLOB_CHUNK_BYTES, MAX_BLOB_BYTES};

use crate::chunk::{ChunkError, Encoder, chunk_count, chunk_length, verify_chunk};
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

impl Entry {
    fn is(&self, upload: &Arc<Mutex<Upload>>) -> bool {
        matches!(self, Self::Partial(current) if Arc::ptr_eq(current, upload))
    }
}

/// A blob's entry, and what of the quota it takes.
#[derive(Debug)]
struct Slot {
    entry: Entry,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Index {
    slots: BTreeMap<BlobId, Slot>,
    used: u64,
}

impl Index {
    fn insert(&mut self, id: BlobId, entry: Entry, bytes: u64) {
        self.used = self.used.saturating_add(bytes);
        self.slots.insert(id, Slot { entry, bytes });
    }

    fn remove(&mut self, id: BlobId) {
        if let Some(slot) = self.slots.remove(&id) {
            self.used = self.used.saturating_sub(slot.bytes);
        }
    }

    /// Gives an upload room for `more` bytes, for no more than the blob has in all. Gives what was added.
    fn grow(&mut self, id: BlobId, more: u64, quota: u64) -> Result<u64, StoreError> {
        let Some(slot) = self.slots.get_mut(&id) else {
            return Err(StoreError::Absent(id));
        };
        let needed = more.min(id.length.saturating_sub(slot.bytes));
        let free = quota.saturating_sub(self.used);
        if needed > free {
            return Err(StoreError::QuotaExceeded {
                needed,
                free,
                quota,
            });
        }
        slot.bytes += needed;
        self.used += needed;
        Ok(needed)
    }

    /// Takes room back that [`Index::grow`] gave to this upload.
    fn shrink(&mut self, id: BlobId, upload: &Arc<Mutex<Upload>>, bytes: u64) {
        if let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.entry.is(upload)) {
            slot.bytes = slot.bytes.saturating_sub(bytes);
            self.used = self.used.saturating_sub(bytes);
        }
    }
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
            index.insert(id, Entry::Complete, id.length);
        }
        for (id, marks) in disk.recover_partial()? {
            if index.slots.contains_key(&id) {
                disk.remove_upload(id)?;
                continue;
            }
            let stored = (0..).zip(&marks).filter(|(_, mark)| **mark);
            let bytes = stored
                .map(|(n, _)| chunk_length(id, n).unwrap_or_default())
                .sum();
            index.insert(
                id,
                Entry::Partial(Arc::new(Mutex::new(Upload { marks }))),
                bytes,
            );
        }
        let store = Self(Arc::new(Shared {
            disk,
            quota,
            index: Mutex::new(index),
        }));
        store.finish_uploads()?;
        Ok(store)
    }

    /// Completes uploads of which a crash left only the last step undone.
    fn finish_uploads(&self) -> Result<(), StoreError> {
        let entries: Vec<_> = held(&self.0.index)
            .slots
            .iter()
            .map(|(id, slot)| (*id, slot.entry.clone()))
            .collect();
        for (id, entry) in entries {
            let Entry::Partial(upload) = entry else {
                continue;
            };
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

    /// Begins the upload of a blob if there is room for it now, and gives how much of it is here. Repeating it is
    /// harmless.
    pub fn begin(&self, id: BlobId) -> Result<Progress, StoreError> {
        self.entry(id)?;
        Ok(self.progress(id))
    }

    /// Like [`BlobStore::begin`]; from now on nothing else takes the room for what is missing, until the blob is
    /// removed or the store is opened again.
    pub fn reserve(&self, id: BlobId) -> Result<Progress, StoreError> {
        if matches!(self.entry(id)?, Entry::Partial(_)) {
            held(&self.0.index).grow(id, id.length, self.0.quota)?;
        }
        Ok(self.progress(id))
    }

    /// Stores chunk `n`, verified. Begins the upload if need be; the last missing chunk completes the blob.
    ///
    /// If all chunks verify and the whole does not (a wrong length), the upload is dropped.
    pub fn put_chunk(&self, id: BlobId, n: u32, encoded: &[u8]) -> Result<Progress, StoreError> {
        let bytes = verify_chunk(id, n, encoded)?;
        let Entry::Partial(upload) = self.entry(id)? else {
            return Ok(self.progress(id));
        };
        let mut held_upload = held(&upload);
        if !self.is_current(id, &upload)? {
            return Ok(self.progress(id));
        }
        let at = usize::try_from(n).expect("a chunk's number fits memory");
        if !held_upload.marks[at] {
            let length = chunk_length(id, n).unwrap_or_default();
            self.with_room(id, &upload, length, || {
                self.0.disk.write_chunk(id, n, &bytes)
            })?;
            held_upload.marks[at] = true;
        }
        if held_upload.marks.iter().all(|mark| *mark) {
            self.complete(id, &upload)?;
            return Ok(Progress {
                stored: chunk_count(id),
                total: chunk_count(id),
            });
        }
        Ok(count(&held_upload, id))
    }

    /// Stores bytes and names them.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<BlobId, StoreError> {
        self.put_reader(BlobId::of(bytes), || Ok(bytes))
    }

    /// Stores a copy of a file and names its bytes.
    pub fn put_file(&self, path: &Path) -> Result<BlobId, StoreError> {
        let fail = |source| StoreError::Io {
            attempt: "read",
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        if length > MAX_BLOB_BYTES {
            return Err(StoreError::TooLarge { length });
        }
        let id = Encoder::of_reader(io::BufReader::new(file), length)
            .map_err(fail)?
            .id();
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
                let reader = open()?;
                self.with_room(id, &upload, id.length, || {
                    self.0.disk.write_whole(id, reader)?;
                    self.complete(id, &upload)
                })?;
            }
        }
        Ok(id)
    }

    /// Writes so many bytes of an upload, which the caller holds; they take no room if that fails.
    fn with_room(
        &self,
        id: BlobId,
        upload: &Arc<Mutex<Upload>>,
        bytes: u64,
        write: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let added = held(&self.0.index).grow(id, bytes, self.0.quota)?;
        write().inspect_err(|_| held(&self.0.index).shrink(id, upload, added))
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
            Some(Entry::Complete) => Progress {
                stored: total,
                total,
            },
            Some(Entry::Partial(upload)) => count(&held(&upload), id),
        }
    }

    /// The chunks that are missing, ascending.
    #[must_use]
    pub fn missing(&self, id: BlobId) -> Vec<u32> {
        match self.find(id) {
            None if id.is_allowed() => (0..chunk_count(id)).collect(),
            None | Some(Entry::Complete) => Vec::new(),
            Some(Entry::Partial(upload)) => (0..)
                .zip(&held(&upload).marks)
                .filter(|(_, mark)| !**mark)
                .map(|(n, _)| n)
                .collect(),
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
        if BlobId::of(&bytes) == id {
            Ok(bytes)
        } else {
            Err(self.corrupt(id))
        }
    }

    /// The file of a complete blob, to be read only; who reads it checks its hash.
    #[must_use]
    pub fn path(&self, id: BlobId) -> Option<PathBuf> {
        self.has(id).then(|| self.0.disk.complete_path(id))
    }

    /// Removes a blob or an upload, if it is here.
    pub fn remove(&self, id: BlobId) -> Result<(), StoreError> {
        let mut index = held(&self.0.index);
        if index.slots.contains_key(&id) {
            self.0.disk.remove(id)?;
            index.remove(id);
        }
        Ok(())
    }

    /// Removes everything that is not wanted.
    pub fn retain(&self, wanted: &BTreeSet<BlobId>) -> Result<(), StoreError> {
        let unwanted: Vec<_> = held(&self.0.index)
            .slots
            .keys()
            .filter(|id| !wanted.contains(*id))
            .copied()
            .collect();
        unwanted.into_iter().try_for_each(|id| self.remove(id))
    }

    /// All complete blobs.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<BlobId> {
        let index = held(&self.0.index);
        index
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot.entry, Entry::Complete))
            .map(|(id, _)| *id)
            .collect()
    }

    /// All uploads in progress.
    #[must_use]
    pub fn uploads(&self) -> BTreeSet<BlobId> {
        let index = held(&self.0.index);
        index
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot.entry, Entry::Partial(_)))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Bytes of complete blobs and of stored chunks, and those that are reserved.
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
        held(&self.0.index)
            .slots
            .get(&id)
            .map(|slot| slot.entry.clone())
    }

    /// True if the upload, which the caller holds, is still in progress; false if another thread has completed it.
    fn is_current(&self, id: BlobId, upload: &Arc<Mutex<Upload>>) -> Result<bool, StoreError> {
        match self.find(id) {
            Some(Entry::Complete) => Ok(false),
            Some(Entry::Partial(current)) if Arc::ptr_eq(&current, upload) => Ok(true),
            _ => Err(StoreError::Absent(id)),
        }
    }

    /// The blob's entry, made if there was none and there is room for the blob.
    fn entry(&self, id: BlobId) -> Result<Entry, StoreError> {
        if !id.is_allowed() {
            return Err(StoreError::TooLarge { length: id.length });
        }
        let mut index = held(&self.0.index);
        if let Some(slot) = index.slots.get(&id) {
            return Ok(slot.entry.clone());
        }
        let free = self.0.quota.saturating_sub(index.used);
        if id.length > free {
            return Err(StoreError::QuotaExceeded {
                needed: id.length,
                free,
                quota: self.0.quota,
            });
        }
        self.0.disk.begin(id)?;
        let marks = (0..chunk_count(id)).map(|_| false).collect();
        let entry = Entry::Partial(Arc::new(Mutex::new(Upload { marks })));
        index.insert(id, entry.clone(), 0);
        Ok(entry)
    }

    /// Checks an upload as a whole and makes it a complete blob. The caller holds the upload's lock.
    fn complete(&self, id: BlobId, upload: &Arc<Mutex<Upload>>) -> Result<(), StoreError> {
        let encoder = self.0.disk.hash_partial(id)?;
        if encoder.id() != id {
            self.remove(id)?;
            return Err(ChunkError::WrongWhole {
                hash: id.hash,
                length: id.length,
            }
            .into());
        }
        let mut index = held(&self.0.index);
        match index.slots.get_mut(&id).map(|slot| &mut slot.entry) {
            Some(entry) if entry.is(upload) => {
                self.0.disk.publish(id, encoder.pairs())?;
                *entry = Entry::Complete;
                Ok(())
            }
            Some(Entry::Complete) => Ok(()),
            _ => Err(StoreError::Absent(id)),
        }
    }

    fn present(&self, id: BlobId) -> Result<(), StoreError> {
        if self.has(id) {
            Ok(())
        } else {
            Err(StoreError::Absent(id))
        }
    }

    /// Drops a blob whose bytes have changed, and names it.
    fn corrupt(&self, id: BlobId) -> StoreError {
        self.remove(id).err().unwrap_or(StoreError::Corrupt(id))
    }
}

fn count(upload: &Upload, id: BlobId) -> Progress {
    let stored =
        u32::try_from(upload.marks.iter().filter(|mark| **mark).count()).unwrap_or(u32::MAX);
    Progress {
        stored,
        total: chunk_count(id),
    }
}

/// Where chunk `n` begins.
fn chunk_offset(n: u32) -> u64 {
    u64::from(n) * BLOB_CHUNK_BYTES
}

#[cfg(test)]
mod tests;
