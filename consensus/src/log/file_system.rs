//! The few operations that the files of the log ask of an operating system, so that a test can stand in for it.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write as _};
use std::path::Path;

/// Files and directories. What was not synced may be gone after a power cut, all of it or any part.
pub trait FileSystem {
    /// An open file that is written at its end.
    type File: std::fmt::Debug;

    /// Makes a directory and those above it, where they are missing.
    fn make_directory(&mut self, path: &Path) -> Result<()>;
    /// Makes the names in a directory survive a power cut: files made, renamed and removed.
    fn sync_directory(&mut self, path: &Path) -> Result<()>;
    /// The names in a directory, in any order.
    fn list(&self, path: &Path) -> Result<Vec<String>>;
    /// All bytes of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
    /// Makes an empty file where there is none.
    fn create_new(&mut self, path: &Path) -> Result<Self::File>;
    /// Makes an empty file, in place of one that may be there.
    fn create(&mut self, path: &Path) -> Result<Self::File>;
    /// Opens a file to write at its end.
    fn open(&mut self, path: &Path) -> Result<Self::File>;
    /// Writes at the end of a file.
    fn write(&mut self, file: &mut Self::File, bytes: &[u8]) -> Result<()>;
    /// Makes the bytes of a file and its length survive a power cut.
    fn sync(&mut self, file: &mut Self::File) -> Result<()>;
    /// Gives a file another name, in place of one that may have it.
    fn rename(&mut self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a file.
    fn remove(&mut self, path: &Path) -> Result<()>;
}

/// The operating system's files.
#[derive(Debug, Clone, Copy)]
pub struct OsFiles;

impl FileSystem for OsFiles {
    type File = File;

    fn make_directory(&mut self, path: &Path) -> Result<()> {
        std::fs::create_dir_all(path)
    }

    fn sync_directory(&mut self, path: &Path) -> Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            // A name that is no text is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn create_new(&mut self, path: &Path) -> Result<File> {
        OpenOptions::new().append(true).create_new(true).open(path)
    }

    fn create(&mut self, path: &Path) -> Result<File> {
        File::create(path)
    }

    fn open(&mut self, path: &Path) -> Result<File> {
        OpenOptions::new().append(true).open(path)
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> Result<()> {
        file.write_all(bytes)
    }

    /// Syncs the data and what is needed to read it back, the length among it.
    fn sync(&mut self, file: &mut File) -> Result<()> {
        file.sync_data()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        std::fs::remove_file(path)
    }
}
