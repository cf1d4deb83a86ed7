//! The blocks on which execution failed here, in a file: a restart must not execute them again.
//!
//! One id a line, the oldest first, at most [`MAX_QUARANTINED`]. The file is replaced as a whole and synced, so a crash
//! leaves the old one or the new one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use types::hash::BlockId;

use crate::core::MAX_QUARANTINED;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file that could not be read or written.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A line that is no block's id.
    #[error("{}: line {line} is no block id", path.display())]
    Line {
        /// The file that somebody changed by hand.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// The file, and what it holds.
#[derive(Debug)]
pub struct Quarantine {
    path: PathBuf,
    blocks: Vec<BlockId>,
}

impl Quarantine {
    /// Reads the file; none is an empty one.
    pub fn open(path: PathBuf) -> Result<Self, QuarantineError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(source) => return Err(QuarantineError::Io { path, source }),
        };
        let mut blocks = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let Ok(block) = line.parse() else {
                let line = number + 1;
                return Err(QuarantineError::Line { path, line });
            };
            blocks.push(block);
        }
        Ok(Self { path, blocks })
    }

    /// The blocks that must not be executed.
    #[must_use]
    pub fn blocks(&self) -> BTreeSet<BlockId> {
        self.blocks.iter().copied().collect()
    }

    /// Adds a block; the oldest makes room.
    pub fn add(&mut self, block: BlockId) -> Result<(), QuarantineError> {
        if self.blocks.contains(&block) {
            return Ok(());
        }
        self.blocks.push(block);
        let surplus = self.blocks.len().saturating_sub(MAX_QUARANTINED);
        self.blocks.drain(..surplus);
        self.write()
    }

    /// Removes a block, so that the next run executes it: for one that is final, which a mended build may follow.
    pub fn remove(&mut self, block: &BlockId) -> Result<(), QuarantineError> {
        self.blocks.retain(|other| other != block);
        self.write()
    }

    fn write(&self) -> Result<(), QuarantineError> {
        let lines: Vec<String> = self.blocks.iter().map(BlockId::to_string).collect();
        let text = lines.join("\n") + "\n";
        let fresh = self.path.with_extension("new");
        let written = File::create(&fresh).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, &self.path)?;
            let folder = self.path.parent().unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        });
        written.map_err(|source| QuarantineError::Io {
            path: self.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use types::hash::Hash32;

    use super::*;

    fn block(number: u64) -> BlockId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        BlockId(Hash32(bytes))
    }

    #[test]
    fn blocks_are_there_after_a_restart_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine");
        let mut quarantine = Quarantine::open(path.clone()).unwrap();
        assert!(quarantine.blocks().is_empty());
        let last = u64::try_from(MAX_QUARANTINED).unwrap();
        for number in 0..=last {
            quarantine.add(block(number)).unwrap();
            quarantine.add(block(number)).unwrap();
        }
        quarantine.remove(&block(7)).unwrap();
        let again = Quarantine::open(path).unwrap().blocks();
        let expected = (1..=last).filter(|number| *number != 7).map(block);
        assert_eq!(again, expected.collect(), "the oldest made room");
    }

    #[test]
    fn what_is_put_in_place_was_synced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine");
        // A device without a disk below it takes what is written and cannot sync it.
        std::os::unix::fs::symlink("/dev/null", path.with_extension("new")).unwrap();
        let added = Quarantine::open(path.clone()).unwrap().add(block(1));
        assert!(matches!(added, Err(QuarantineError::Io { .. })));
        assert!(!path.exists());
    }

    #[test]
    fn a_line_that_is_no_block_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine");
        std::fs::write(&path, format!("{}\nnonsense\n", block(1))).unwrap();
        let error = Quarantine::open(path).unwrap_err();
        assert!(matches!(error, QuarantineError::Line { line: 2, .. }));
    }
}
