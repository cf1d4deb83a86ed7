//! A disk in memory that forgets, on a crash, what was not synced.

use std::collections::BTreeMap;

use super::storage::{LogStorage, StorageError};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// What every crash leaves; nothing until the first sync, since the file itself may be lost.
    synced: Option<Vec<u8>>,
    /// A sync failed. Its bytes are taken for synced from then on, so that no later sync brings them to the disk.
    stuck: bool,
}

/// Segments in memory, for the simulator and tests: what was not synced is lost at a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MemoryStorage {
    segments: BTreeMap<u64, Segment>,
    /// Syncs that still succeed; nothing means all do.
    syncs_left: Option<u64>,
}

impl MemoryStorage {
    /// A disk without segments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a crash leaves: everything synced, and up to `torn` bytes of what was appended after. Those are still not
    /// synced: the next crash may take them. A segment that never was synced is there, one byte shorter, or not at all.
    #[must_use]
    pub fn crashed(&self, torn: usize) -> Self {
        let mut left = Self::default();
        for (number, segment) in &self.segments {
            let synced = segment.synced.as_deref().unwrap_or_default();
            let torn = if segment.synced.is_some() {
                Some(torn)
            } else {
                torn.checked_sub(1)
            };
            let Some(torn) = torn else { continue };
            let mut bytes = synced.to_vec();
            if let Some(appended) = segment.bytes.strip_prefix(synced) {
                bytes.extend(appended.iter().take(torn));
            }
            left.segments.insert(
                *number,
                Segment {
                    bytes,
                    synced: segment.synced.clone(),
                    stuck: false,
                },
            );
        }
        left
    }

    /// What the next process finds when this one was killed or gave up and the machine ran on: every byte that was
    /// written, and no more on the disk than before. Syncs succeed again.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self {
            segments: self.segments.clone(),
            syncs_left: None,
        }
    }

    /// True if a crash would take nothing.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        let synced = |segment: &Segment| segment.synced.as_ref() == Some(&segment.bytes);
        self.segments.values().all(synced)
    }

    /// Makes every sync after the next `count` fail.
    pub fn fail_syncs_after(&mut self, count: u64) {
        self.syncs_left = Some(count);
    }

    /// The bytes of a segment, for tests that damage them.
    pub fn bytes_mut(&mut self, segment: u64) -> Option<&mut Vec<u8>> {
        self.segments
            .get_mut(&segment)
            .map(|segment| &mut segment.bytes)
    }

    /// Counts a sync; false if it fails.
    fn may_sync(&mut self) -> bool {
        let left = self.syncs_left.map(|left| left.checked_sub(1));
        self.syncs_left = left.map(Option::unwrap_or_default);
        left != Some(None)
    }

    fn segment(&self, number: u64) -> Result<&Segment, StorageError> {
        self.segments.get(&number).ok_or_else(|| missing(number))
    }

    fn segment_mut(&mut self, number: u64) -> Result<&mut Segment, StorageError> {
        self.segments
            .get_mut(&number)
            .ok_or_else(|| missing(number))
    }
}

fn full(number: u64) -> StorageError {
    StorageError {
        attempt: format!("sync segment {number}"),
        source: std::io::ErrorKind::StorageFull.into(),
    }
}

fn missing(number: u64) -> StorageError {
    StorageError {
        attempt: format!("segment {number}"),
        source: std::io::ErrorKind::NotFound.into(),
    }
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

    fn rewrite(&mut self, segment: u64, bytes: &[u8]) -> Result<(), StorageError> {
        if !self.may_sync() {
            return Err(full(segment));
        }
        let new = Segment {
            bytes: bytes.to_vec(),
            synced: Some(bytes.to_vec()),
            stuck: false,
        };
        self.segments.insert(segment, new);
        Ok(())
    }

    fn sync(&mut self, segment: u64) -> Result<(), StorageError> {
        let (number, synced) = (segment, self.may_sync());
        let segment = self.segment_mut(number)?;
        segment.stuck |= !synced;
        if !synced {
            return Err(full(number));
        }
        if !segment.stuck {
            segment.synced = Some(segment.bytes.clone());
        }
        Ok(())
    }

    fn remove(&mut self, segment: u64) -> Result<(), StorageError> {
        self.segments.remove(&segment);
        Ok(())
    }
}
