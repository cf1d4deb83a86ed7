//! The log's segments as files of one directory.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::storage::{LogStorage, StorageError};

const SUFFIX: &str = ".log";
/// Of a segment that is being rewritten; what a crash leaves of it is not looked at.
const NEW: &str = "new";

/// Files `00000000000000000000.log`, ... in a directory. One process at a time: the directory's owner locks it.
#[derive(Debug)]
pub struct FileStorage {
    directory: PathBuf,
    open: BTreeMap<u64, File>,
}

impl FileStorage {
    /// Uses a directory, which is made if it does not exist.
    pub fn new(directory: &Path) -> Result<Self, StorageError> {
        let attempt = || format!("create directory {}", directory.display());
        std::fs::create_dir_all(directory).map_err(|source| StorageError {
            attempt: attempt(),
            source,
        })?;
        if let Some(parent) = directory
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            sync_directory(parent)?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            open: BTreeMap::new(),
        })
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.directory.join(format!("{segment:020}{SUFFIX}"))
    }

    fn file(&mut self, segment: u64) -> Result<&mut File, StorageError> {
        let path = self.path(segment);
        match self.open.entry(segment) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let file = OpenOptions::new()
                    .append(true)
                    .open(&path)
                    .map_err(failed("open", &path))?;
                Ok(entry.insert(file))
            }
        }
    }
}

fn failed<'a>(verb: &'a str, path: &'a Path) -> impl FnOnce(std::io::Error) -> StorageError + 'a {
    move |source| StorageError {
        attempt: format!("{verb} {}", path.display()),
        source,
    }
}

fn sync_directory(directory: &Path) -> Result<(), StorageError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(failed("sync directory", directory))
}

impl LogStorage for FileStorage {
    fn segments(&self) -> Result<Vec<u64>, StorageError> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(failed("list", &self.directory))? {
            let entry = entry.map_err(failed("list", &self.directory))?;
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read(&self, segment: u64) -> Result<Vec<u8>, StorageError> {
        let path = self.path(segment);
        std::fs::read(&path).map_err(failed("read", &path))
    }

    fn create(&mut self, segment: u64) -> Result<(), StorageError> {
        let path = self.path(segment);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(failed("create", &path))?;
        self.open.clear();
        self.open.insert(segment, file);
        sync_directory(&self.directory)
    }

    fn append(&mut self, segment: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(segment);
        self.file(segment)?
            .write_all(bytes)
            .map_err(failed("append to", &path))
    }

    fn rewrite(&mut self, segment: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(segment);
        let new = path.with_extension(NEW);
        let mut file = File::create(&new).map_err(failed("create", &new))?;
        file.write_all(bytes).map_err(failed("write", &new))?;
        file.sync_all().map_err(failed("sync", &new))?;
        self.open.remove(&segment);
        std::fs::rename(&new, &path).map_err(failed("put in place", &path))?;
        sync_directory(&self.directory)
    }

    fn sync(&mut self, segment: u64) -> Result<(), StorageError> {
        let path = self.path(segment);
        self.file(segment)?
            .sync_data()
            .map_err(failed("sync", &path))
    }

    fn remove(&mut self, segment: u64) -> Result<(), StorageError> {
        let path = self.path(segment);
        self.open.remove(&segment);
        std::fs::remove_file(&path).map_err(failed("remove", &path))
    }
}
