//! Blobs on disk: uploads by verified chunk that survive a crash, a quota, and retention by the set of wanted ids.
//!
//! - What [`BlobStore::has`] reports is complete, was hashed as a whole and is durable.
//! - An upload may stop at any chunk and go on later, also after a crash: marks are written after the bytes are synced.
//! - Complete blobs, stored chunks and reservations together never pass the quota. An upload takes the room of the
//!   chunks that came, so that a length that was only declared takes none; who fetches a blob itself reserves all.
//! - A blob whose bytes have rotted is never served: it is dropped and named in the error, and can be fetched again.

mod disk;
mod index;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use types::hash::BlobId;
use types::limits::{BLOB_CHUNK_BYTES, MAX_BLOB_BYTES};

use crate::chunk::{ChunkError, Encoder, chunk_count, chunk_length, verify_chunk};
use crate::error::{BlobStoreError, DiskOperation};
use disk::Disk;
use index::{BlobState, Index, PartialBlob};

/// The part of a blob that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobProgress {
    /// Number of chunks that are stored and durable.
    pub stored: u32,
    /// Number of chunks that the blob has.
    pub total: u32,
}

impl BlobProgress {
    /// True if all of it is here.
    #[must_use]
    pub fn is_complete(self) -> bool {
        self.stored == self.total
    }
}

/// An open directory of blobs.
#[derive(Debug)]
struct OpenStore {
    disk: Disk,
    quota: u64,
    /// Held while a blob becomes complete or goes, so that neither meets the other. Locked before the index.
    publishing: Mutex<()>,
    index: Mutex<Index>,
}

/// A directory of blobs. Cheap to clone; all methods block on the disk.
#[derive(Debug, Clone)]
pub struct BlobStore(Arc<OpenStore>);

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BlobStore {
    /// Opens or makes a store of at most `quota` bytes. What a crash left half done is resumed or dropped.
    pub fn open(dir: &Path, quota: u64) -> Result<Self, BlobStoreError> {
        let disk = Disk::open(dir)?;
        let mut index = Index::default();
        for id in disk.recover_complete()? {
            index.insert(id, BlobState::Complete, id.length);
        }
        for (id, marks) in disk.recover_partial()? {
            if index.rows.contains_key(&id) {
                disk.remove_upload(id)?;
                continue;
            }
            let stored = (0..).zip(&marks).filter(|(_, mark)| **mark);
            let bytes = stored
                .map(|(n, _)| chunk_length(id, n).unwrap_or_default())
                .sum();
            index.insert(id, BlobState::Partial(PartialBlob::new(marks)), bytes);
        }
        let store = Self(Arc::new(OpenStore {
            disk,
            quota,
            publishing: Mutex::default(),
            index: Mutex::new(index),
        }));
        store.finish_uploads()?;
        Ok(store)
    }

    /// Completes uploads of which a crash left only the last step undone.
    fn finish_uploads(&self) -> Result<(), BlobStoreError> {
        let entries: Vec<_> = held(&self.0.index)
            .rows
            .iter()
            .map(|(id, row)| (*id, row.entry.clone()))
            .collect();
        for (id, entry) in entries {
            let BlobState::Partial(upload) = entry else {
                continue;
            };
            let _writing = held(&upload.writing);
            if is_whole(&upload) {
                match self.complete(id, &upload) {
                    // The bytes are not the blob: the upload is dropped, and may begin anew.
                    Ok(()) | Err(BlobStoreError::Chunk(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Begins the upload of a blob if there is room for it now, and gives how much of it is here. Repeating it is
    /// harmless.
    pub fn begin(&self, id: BlobId) -> Result<BlobProgress, BlobStoreError> {
        self.entry(id)?;
        Ok(self.progress(id))
    }

    /// Like [`BlobStore::begin`]; from now on nothing else takes the room for what is missing, until the blob is
    /// removed or the store is opened again.
    pub fn reserve(&self, id: BlobId) -> Result<BlobProgress, BlobStoreError> {
        if matches!(self.entry(id)?, BlobState::Partial(_)) {
            held(&self.0.index).grow(id, id.length, self.0.quota)?;
        }
        Ok(self.progress(id))
    }

    /// Stores chunk `n`, verified. Begins the upload if need be; the last missing chunk completes the blob.
    ///
    /// If all chunks verify and the whole does not (a wrong length), the upload is dropped.
    pub fn put_chunk(
        &self,
        id: BlobId,
        n: u32,
        encoded: &[u8],
    ) -> Result<BlobProgress, BlobStoreError> {
        let bytes = verify_chunk(id, n, encoded)?;
        let BlobState::Partial(upload) = self.entry(id)? else {
            return Ok(self.progress(id));
        };
        let _writing = held(&upload.writing);
        if !self.is_current(id, &upload)? {
            return Ok(self.progress(id));
        }
        let at = usize::try_from(n).expect("a chunk's number fits memory");
        let is_there = held(&upload.marks)[at];
        if !is_there {
            let length = chunk_length(id, n).unwrap_or_default();
            self.with_room(id, &upload, length, || {
                self.0.disk.write_chunk(id, n, &bytes)
            })?;
            held(&upload.marks)[at] = true;
        }
        if is_whole(&upload) {
            self.complete(id, &upload)?;
            return Ok(BlobProgress {
                stored: chunk_count(id),
                total: chunk_count(id),
            });
        }
        Ok(count(&upload, id))
    }

    /// Stores bytes and names them.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<BlobId, BlobStoreError> {
        self.put_reader(BlobId::of(bytes), || Ok(bytes))
    }

    /// Stores a copy of a file and names its bytes.
    pub fn put_file(&self, path: &Path) -> Result<BlobId, BlobStoreError> {
        let fail = |source| BlobStoreError::Io {
            attempt: DiskOperation::Read,
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        if length > MAX_BLOB_BYTES {
            return Err(BlobStoreError::TooLarge { length });
        }
        let id = Encoder::of_reader(io::BufReader::new(file), length)
            .map_err(fail)?
            .id();
        self.put_reader(id, || File::open(path).map_err(fail))
    }

    fn put_reader<R: io::Read>(
        &self,
        id: BlobId,
        open: impl FnOnce() -> Result<R, BlobStoreError>,
    ) -> Result<BlobId, BlobStoreError> {
        if let BlobState::Partial(upload) = self.entry(id)? {
            let _writing = held(&upload.writing);
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
        upload: &Arc<PartialBlob>,
        bytes: u64,
        write: impl FnOnce() -> Result<(), BlobStoreError>,
    ) -> Result<(), BlobStoreError> {
        let added = held(&self.0.index).grow(id, bytes, self.0.quota)?;
        write().inspect_err(|_| held(&self.0.index).shrink(id, upload, added))
    }

    /// True if all of the blob is here, verified as a whole.
    #[must_use]
    pub fn has(&self, id: BlobId) -> bool {
        matches!(self.find(id), Some(BlobState::Complete))
    }

    /// How much of the blob is here.
    #[must_use]
    pub fn progress(&self, id: BlobId) -> BlobProgress {
        let total = chunk_count(id);
        match self.find(id) {
            None => BlobProgress { stored: 0, total },
            Some(BlobState::Complete) => BlobProgress {
                stored: total,
                total,
            },
            Some(BlobState::Partial(upload)) => count(&upload, id),
        }
    }

    /// The chunks that are missing, ascending.
    #[must_use]
    pub fn missing(&self, id: BlobId) -> Vec<u32> {
        match self.find(id) {
            None if id.is_allowed() => (0..chunk_count(id)).collect(),
            None | Some(BlobState::Complete) => Vec::new(),
            Some(BlobState::Partial(upload)) => (0..)
                .zip(held(&upload.marks).iter())
                .filter(|(_, mark)| !**mark)
                .map(|(n, _)| n)
                .collect(),
        }
    }

    /// Encodes chunk `n` of a complete blob with its proof.
    pub fn encode_chunk(&self, id: BlobId, n: u32) -> Result<Vec<u8>, BlobStoreError> {
        self.present(id)?;
        let (file, pairs) = self.0.disk.open_complete(id)?;
        let encoder = Encoder::from_pairs(id, pairs);
        match encoder.map(|encoder| encoder.encode(file, n)) {
            None | Some(Err(ChunkError::WrongHash { .. })) => Err(self.corrupt(id)),
            Some(result) => Ok(result?),
        }
    }

    /// All bytes of a complete blob, verified.
    pub fn read(&self, id: BlobId) -> Result<Vec<u8>, BlobStoreError> {
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
    pub fn remove(&self, id: BlobId) -> Result<(), BlobStoreError> {
        let _publishing = held(&self.0.publishing);
        let mut index = held(&self.0.index);
        if index.rows.contains_key(&id) {
            self.0.disk.remove(id)?;
            index.remove(id);
        }
        Ok(())
    }

    /// Removes everything that is not wanted.
    pub fn retain(&self, wanted: &BTreeSet<BlobId>) -> Result<(), BlobStoreError> {
        let unwanted: Vec<_> = held(&self.0.index)
            .rows
            .keys()
            .filter(|id| !wanted.contains(*id))
            .copied()
            .collect();
        unwanted.into_iter().try_for_each(|id| self.remove(id))
    }

    /// Ids of all blobs whose bytes are here completely, pinned or not.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<BlobId> {
        let index = held(&self.0.index);
        index
            .rows
            .iter()
            .filter(|(_, row)| matches!(row.entry, BlobState::Complete))
            .map(|(id, _)| *id)
            .collect()
    }

    /// All uploads in progress.
    #[must_use]
    pub fn uploads(&self) -> BTreeSet<BlobId> {
        let index = held(&self.0.index);
        index
            .rows
            .iter()
            .filter(|(_, row)| matches!(row.entry, BlobState::Partial(_)))
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
    fn find(&self, id: BlobId) -> Option<BlobState> {
        held(&self.0.index)
            .rows
            .get(&id)
            .map(|row| row.entry.clone())
    }

    /// True if the upload, which the caller holds, is still in progress; false if another thread has completed it.
    fn is_current(&self, id: BlobId, upload: &Arc<PartialBlob>) -> Result<bool, BlobStoreError> {
        match self.find(id) {
            Some(BlobState::Complete) => Ok(false),
            Some(BlobState::Partial(current)) if Arc::ptr_eq(&current, upload) => Ok(true),
            _ => Err(BlobStoreError::Absent(id)),
        }
    }

    /// The blob's entry, made if there was none and there is room for the blob.
    fn entry(&self, id: BlobId) -> Result<BlobState, BlobStoreError> {
        if !id.is_allowed() {
            return Err(BlobStoreError::TooLarge { length: id.length });
        }
        let mut index = held(&self.0.index);
        if let Some(row) = index.rows.get(&id) {
            return Ok(row.entry.clone());
        }
        let free = self.0.quota.saturating_sub(index.used);
        if id.length > free {
            return Err(BlobStoreError::QuotaExceeded {
                needed: id.length,
                free,
                quota: self.0.quota,
            });
        }
        self.0.disk.begin(id)?;
        let marks = (0..chunk_count(id)).map(|_| false).collect();
        let entry = BlobState::Partial(PartialBlob::new(marks));
        index.insert(id, entry.clone(), 0);
        Ok(entry)
    }

    /// Checks an upload as a whole and makes it a complete blob. The caller holds the upload's lock.
    fn complete(&self, id: BlobId, upload: &Arc<PartialBlob>) -> Result<(), BlobStoreError> {
        let encoder = self.0.disk.hash_partial(id)?;
        if encoder.id() != id {
            self.remove(id)?;
            return Err(ChunkError::WrongWhole {
                hash: id.hash,
                length: id.length,
            }
            .into());
        }
        // Not under the index: syncing takes as long as the disk does, and everybody asks the index.
        let _publishing = held(&self.0.publishing);
        if !self.is_current(id, upload)? {
            return Ok(());
        }
        self.0.disk.publish(id, encoder.pairs())?;
        if let Some(row) = held(&self.0.index).rows.get_mut(&id) {
            row.entry = BlobState::Complete;
        }
        Ok(())
    }

    fn present(&self, id: BlobId) -> Result<(), BlobStoreError> {
        if self.has(id) {
            Ok(())
        } else {
            Err(BlobStoreError::Absent(id))
        }
    }

    /// Drops a blob whose bytes have changed, and names it.
    fn corrupt(&self, id: BlobId) -> BlobStoreError {
        self.remove(id).err().unwrap_or(BlobStoreError::Corrupt(id))
    }
}

/// True if no chunk is missing.
fn is_whole(upload: &PartialBlob) -> bool {
    held(&upload.marks).iter().all(|mark| *mark)
}

fn count(upload: &PartialBlob, id: BlobId) -> BlobProgress {
    let marks = held(&upload.marks);
    let stored = marks.iter().filter(|mark| **mark).count();
    let stored = u32::try_from(stored).unwrap_or(u32::MAX);
    BlobProgress {
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
