//! The log's segments as files of one directory.
//!
//! What survives a power cut is what was synced: the bytes of a file by syncing the file, its name by syncing the
//! directory. Every operation goes through [`FileSystem`], so that a test can cut the power between any two of them and
//! lose all that was not synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::file_system::{FileSystem, OsFiles};
use super::storage::{LogStorage, StorageError};

#[cfg(test)]
mod tests;

const SUFFIX: &str = ".log";
/// Of a segment that is being rewritten; what a crash leaves of it is not looked at.
const NEW: &str = "new";

/// Files `00000000000000000000.log`, ... in a directory. One process at a time: the directory's owner locks it.
#[derive(Debug)]
pub struct FileStorage<F: FileSystem = OsFiles> {
    files: F,
    directory: PathBuf,
    open: BTreeMap<u64, F::File>,
}

impl FileStorage {
    /// Uses a directory, which is made if it does not exist.
    pub fn new(directory: &Path) -> Result<Self, StorageError> {
        Self::on(OsFiles, directory)
    }
}

impl<F: FileSystem> FileStorage<F> {
    /// Uses a directory of a file system, which is made if it does not exist.
    pub(super) fn on(mut files: F, directory: &Path) -> Result<Self, StorageError> {
        files
            .make_directory(directory)
            .map_err(failed("create directory", directory))?;
        if let Some(parent) = directory
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            sync_directory(&mut files, parent)?;
        }
        Ok(Self {
            files,
            directory: directory.to_owned(),
            open: BTreeMap::new(),
        })
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.directory.join(format!("{segment:020}{SUFFIX}"))
    }

    /// Opens a segment, unless it is.
    fn opened(&mut self, segment: u64) -> Result<(), StorageError> {
        if !self.open.contains_key(&segment) {
            let path = self.path(segment);
            let file = self.files.open(&path).map_err(failed("open", &path))?;
            self.open.insert(segment, file);
        }
        Ok(())
    }
}

fn failed<'a>(verb: &'a str, path: &'a Path) -> impl FnOnce(std::io::Error) -> StorageError + 'a {
    move |source| StorageError {
        attempt: format!("{verb} {}", path.display()),
        source,
    }
}

fn sync_directory(files: &mut impl FileSystem, directory: &Path) -> Result<(), StorageError> {
    files
        .sync_directory(directory)
        .map_err(failed("sync directory", directory))
}

impl<F: FileSystem> LogStorage for FileStorage<F> {
    fn segments(&self) -> Result<Vec<u64>, StorageError> {
        let names = self
            .files
            .list(&self.directory)
            .map_err(failed("list", &self.directory))?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(SUFFIX));
        let mut numbers: Vec<u64> = stems.filter_map(|stem| stem.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read(&self, segment: u64) -> Result<Vec<u8>, StorageError> {
        let path = self.path(segment);
        self.files.read(&path).map_err(failed("read", &path))
    }

    fn create(&mut self, segment: u64) -> Result<(), StorageError> {
        let path = self.path(segment);
        let file = self
            .files
            .create_new(&path)
            .map_err(failed("create", &path))?;
        self.open.clear();
        self.open.insert(segment, file);
        sync_directory(&mut self.files, &self.directory)
    }

    fn append(&mut self, segment: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.opened(segment)?;
        let path = self.path(segment);
        let file = self.open.get_mut(&segment).expect("opened above");
        self.files
            .write(file, bytes)
            .map_err(failed("append to", &path))
    }

    fn rewrite(&mut self, segment: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(segment);
        let new = path.with_extension(NEW);
        let mut file = self.files.create(&new).map_err(failed("create", &new))?;
        self.files
            .write(&mut file, bytes)
            .map_err(failed("write", &new))?;
        self.files.sync(&mut file).map_err(failed("sync", &new))?;
        self.open.remove(&segment);
        self.files
            .rename(&new, &path)
            .map_err(failed("put in place", &path))?;
        sync_directory(&mut self.files, &self.directory)
    }

    fn sync(&mut self, segment: u64) -> Result<(), StorageError> {
        self.opened(segment)?;
        let path = self.path(segment);
        let file = self.open.get_mut(&segment).expect("opened above");
        self.files.sync(file).map_err(failed("sync", &path))
    }

    fn remove(&mut self, segment: u64) -> Result<(), StorageError> {
        let path = self.path(segment);
        self.open.remove(&segment);
        self.files.remove(&path).map_err(failed("remove", &path))
    }
}
