//! Key files on disk: mode 0600, whole or not there, synced with their folder before anything rests on them.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::{KeyFileError, MAX_KEY_FILE_BYTES};
use crate::folder::{sync_above, unfinished};

/// The text of a file that nobody else may read.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::TooOpen {
            path: path.into(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::with_capacity(4_096));
    file.take(MAX_KEY_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(io)?;
    Ok(text)
}

/// Writes a file that is not there yet; one that is stays as it is.
pub(super) fn create(path: &Path, text: &str) -> Result<(), KeyFileError> {
    if path.symlink_metadata().is_ok() {
        let source = ErrorKind::AlreadyExists.into();
        return Err(KeyFileError::Io {
            path: path.into(),
            source,
        });
    }
    // A second name, unlike a new one, fails where the name was taken meanwhile.
    put(path, text, |fresh| {
        std::fs::hard_link(fresh, path)?;
        std::fs::remove_file(fresh)
    })
}

/// Puts a new text in the place of a file: at every moment its name shows the old one or the new one, whole.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), KeyFileError> {
    put(path, text, |fresh| std::fs::rename(fresh, path))
}

fn put(
    path: &Path,
    text: &str,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.into(),
        source,
    };
    let fresh = unfinished(path);
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        // What a killed process left was never a key file.
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(io)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| place(&fresh));
    if let Err(error) = written {
        // The first failure counts.
        let _ = std::fs::remove_file(&fresh);
        return Err(io(error));
    }
    sync_above(path).map_err(io)
}
