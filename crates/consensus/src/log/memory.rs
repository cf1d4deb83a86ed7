//! A disk in memory that forgets, on a crash, what was not synced.

use std::collections::BTreeMap;

use super::storage::{LogStorage, StorageError};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// Nothing until the first sync: the file itself may be lost.
    synced: Option<Vec<u8>>,
}

/// Segments in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MemoryStorage {
    segments: BTreeMap<u64, Segment>,
    /// Syncs that still succeed; nothing means all do.
    syncs_left: Option<u64>,
}

impl MemoryStorage {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a crash leaves: everything synced, and up to `torn` bytes of what was appended after.
    #[must_use]
    pub fn crashed(&self, torn: usize) -> Self {
        let mut left = Self::default();
        for (number, segment) in &self.segments {
            let Some(synced) = &segment.synced else { continue };
            let mut bytes = synced.clone();
            if let Some(appended) = segment.bytes.strip_prefix(synced.as_slice()) {
                bytes.extend(appended.iter().take(torn));
            }
            left.segments.insert(*number, Segment { synced: Some(bytes.clone()), bytes });
        }
        left
    }

    /// Makes every sync after the next `count` fail.
    pub fn fail_syncs_after(&mut self, count: u64) {
        self.syncs_left = Some(count);
    }

    /// The bytes of a segment, for tests that damage them.
    pub fn bytes_mut(&mut self, segment: u64) -> Option<&mut Vec<u8>> {
        self.segments.get_mut(&segment).map(|segment| &mut segment.bytes)
    }

    fn segment(&self, number: u64) -> Result<&Segment, StorageError> {
        self.segments.get(&number).ok_or_else(|| missing(number))
    }

    fn segment_mut(&mut self, number: u64) -> Result<&mut Segment, StorageError> {
        self.segments.get_mut(&number).ok_or_else(|| missing(number))
    }
}

fn missing(number: u64) -> StorageError {
    StorageError { attempt: format!("segment {number}"), source: std::io::ErrorKind::NotFound.into() }
}

impl LogStorage for MemoryStorage {
    fn segments(&self) -> Result<Vec<u64>, StorageError> {
        Ok(self.segments.keys().copied().collect())
    }

    fn read(&self, segment: u64) -> Result<Vec<u8>, StorageError> {
        self.segment(segment).map(|segment| segment.bytes.clone())
    }

    fn create(&mut self, segment: u64) -> Result<(), StorageError> {
        self.segments.insert(segment, Segment::default());
        Ok(())
    }

    fn append(&mut self, segment: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.segment_mut(segment)?.bytes.extend(bytes);
        Ok(())
    }

    fn truncate(&mut self, segment: u64, length: u64) -> Result<(), StorageError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.segment_mut(segment)?.bytes.truncate(length);
        Ok(())
    }

    fn sync(&mut self, segment: u64) -> Result<(), StorageError> {
        if let Some(left) = &mut self.syncs_left {
            *left = left.checked_sub(1).ok_or_else(|| StorageError {
                attempt: format!("sync segment {segment}"),
                source: std::io::ErrorKind::StorageFull.into(),
            })?;
        }
        let segment = self.segment_mut(segment)?;
        segment.synced = Some(segment.bytes.clone());
        Ok(())
    }

    fn remove(&mut self, segment: u64) -> Result<(), StorageError> {
        self.segments.remove(&segment);
        Ok(())
    }
}
