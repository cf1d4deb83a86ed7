//! The few operations that the log asks of a disk.

/// Why the disk could not.
#[derive(Debug, thiserror::Error)]
#[error("{attempt}: {source}")]
pub struct StorageError {
    /// Operation that failed, with the file, for the operator.
    pub attempt: String,
    /// Error of the operating system.
    pub source: std::io::Error,
}

/// Numbered append-only files that a log is written to; each operation may fail.
pub trait LogStorage {
    /// The numbers of all segments, ascending.
    fn segments(&self) -> Result<Vec<u64>, StorageError>;
    /// All bytes of a segment.
    fn read(&self, segment: u64) -> Result<Vec<u8>, StorageError>;
    /// Makes an empty segment; it survives a crash once it was synced.
    fn create(&mut self, segment: u64) -> Result<(), StorageError>;
    /// Adds bytes at the end of a segment.
    fn append(&mut self, segment: u64, bytes: &[u8]) -> Result<(), StorageError>;
    /// Puts these bytes in place of a segment's, all or none of them, so that they survive a crash whatever became of
    /// earlier writes and syncs. The bytes are written, not only synced: after a failed sync a system may take for
    /// synced what never reached the disk.
    fn rewrite(&mut self, segment: u64, bytes: &[u8]) -> Result<(), StorageError>;
    /// Makes everything in the segment, and its existence, survive a crash.
    fn sync(&mut self, segment: u64) -> Result<(), StorageError>;
    /// Removes a segment; that it is gone need not survive a crash.
    fn remove(&mut self, segment: u64) -> Result<(), StorageError>;
}
