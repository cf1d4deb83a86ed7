//! Compiled code of modules on disk, kept between jobs.
//!
//! A file is named by the module's hash and length, its engine class and the build of the worker that made it, and is given to
//! workers of these three alone: who made a worker's compiler write other code than it should gains nothing for another module. It is
//! written here, never by a worker, from what the worker gave before anything ran. Its bytes are read by workers only.
//!
//! Promises: the files together never have more bytes than the quota; those that were not used the longest go first. A file that
//! is there is whole, unless the disk lost what it had synced. Files of other builds and of crashes are removed when the
//! cache is opened.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use blobs::Encoder;
use keys::folder;
use types::hash::BlobId;
use types::number::EngineClass;

use crate::error::PartnerError;

/// How names of files end that are being written.
const UNFINISHED: &str = ".new";

/// The cache in a folder of its own. Several jobs may use it at the same time.
#[derive(Debug)]
pub struct CodeCache {
    dir: PathBuf,
    /// Hash of the program whose workers made the code.
    build: String,
    quota: u64,
    kept: Mutex<KeptCode>,
}

/// What is on disk.
#[derive(Debug, Default)]
struct KeptCode {
    files: BTreeMap<String, KeptFile>,
    bytes: u64,
    /// Counts uses and files begun.
    clock: u64,
}

#[derive(Debug, Clone, Copy)]
struct KeptFile {
    bytes: u64,
    /// The clock at its last use.
    used: u64,
}

impl CodeCache {
    /// Opens the folder, with code of workers of `program` and of at most `quota` bytes.
    pub fn open(dir: &Path, program: &Path, quota: u64) -> Result<Self, PartnerError> {
        folder::create(dir)?;
        let build = build_of(program).map_err(PartnerError::io("read", program))?;
        let cache = Self {
            dir: dir.into(),
            build,
            quota,
            kept: Mutex::default(),
        };
        let mut found = Vec::new();
        let list = || PartnerError::io("list", dir);
        for entry in fs::read_dir(dir).map_err(list())? {
            let entry = entry.map_err(list())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let data = entry.metadata().map_err(list())?;
            if data.is_file() && name.ends_with(&format!("-{}", cache.build)) {
                found.push((data.modified().ok(), name, data.len()));
            } else {
                remove(&entry.path())?;
            }
        }
        // The files' times say in which order they were used before.
        found.sort();
        let mut kept = KeptCode::default();
        for (_, name, bytes) in found {
            kept.insert(name, bytes);
        }
        cache.evict(&mut kept)?;
        *cache.lock() = kept;
        Ok(cache)
    }

    fn lock(&self) -> MutexGuard<'_, KeptCode> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, module: BlobId, class: EngineClass) -> String {
        let BlobId { hash, length } = module;
        format!("{hash}-{length}-{class}-{}", self.build)
    }

    /// The file with a module's code, if there is one. It may go before it is opened.
    #[must_use]
    pub fn file(&self, module: BlobId, class: EngineClass) -> Option<PathBuf> {
        let name = self.name(module, class);
        if !self.lock().touch(&name) {
            return None;
        }
        let path = self.dir.join(name);
        // Only the order after the next start depends on it.
        let _told = OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(now()));
        Some(path)
    }

    /// Keeps a module's code in place of what was there, unless it alone is above the quota.
    pub fn keep(
        &self,
        module: BlobId,
        class: EngineClass,
        code: &[u8],
    ) -> Result<(), PartnerError> {
        let bytes = u64::try_from(code.len()).unwrap_or(u64::MAX);
        if bytes > self.quota {
            return Ok(());
        }
        let name = self.name(module, class);
        let number = self.lock().tick();
        let new = self.dir.join(format!("{name}.{number}{UNFINISHED}"));
        let written = write_synced(&new, code)
            .and_then(|()| fs::rename(&new, self.dir.join(&name)))
            .and_then(|()| File::open(&self.dir)?.sync_all());
        if let Err(error) = written {
            // What is left goes at the next start at the latest.
            let _removed = fs::remove_file(&new);
            return Err(PartnerError::io("write", new)(error));
        }
        let mut kept = self.lock();
        kept.insert(name, bytes);
        self.evict(&mut kept)
    }

    /// Removes what was not used the longest until the quota holds.
    fn evict(&self, kept: &mut KeptCode) -> Result<(), PartnerError> {
        while kept.bytes > self.quota {
            let Some(name) = kept.least_used() else { break };
            kept.remove(&name);
            remove(&self.dir.join(name))?;
        }
        Ok(())
    }
}

impl KeptCode {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn touch(&mut self, name: &str) -> bool {
        let used = self.tick();
        match self.files.get_mut(name) {
            Some(file) => {
                file.used = used;
                true
            }
            None => false,
        }
    }

    fn insert(&mut self, name: String, bytes: u64) {
        self.remove(&name);
        let used = self.tick();
        self.bytes = self.bytes.saturating_add(bytes);
        self.files.insert(name, KeptFile { bytes, used });
    }

    fn remove(&mut self, name: &str) {
        if let Some(file) = self.files.remove(name) {
            self.bytes = self.bytes.saturating_sub(file.bytes);
        }
    }

    fn least_used(&self) -> Option<String> {
        let oldest = self.files.iter().min_by_key(|(_, file)| file.used);
        oldest.map(|(name, _)| name.clone())
    }
}

/// Names the build of a program by its bytes.
fn build_of(program: &Path) -> io::Result<String> {
    let file = File::open(program)?;
    let length = file.metadata()?.len();
    Ok(Encoder::of_reader(file, length)?.id().hash.to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rim: a file's time is the order of use that outlives the process, and decides nothing else"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Writes a new file that its owner alone may read, and syncs it.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove(path: &Path) -> Result<(), PartnerError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(PartnerError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
