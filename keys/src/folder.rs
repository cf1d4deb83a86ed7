//! Folders that hold secrets: mode 0700. One that others can enter is refused, as a key file that they can read is.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Why a folder cannot hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder cannot be made or looked at.
    #[error("folder {path}: {source}")]
    Io {
        /// Path of the folder.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Others can enter the folder.
    #[error("folder {path} has mode {mode:03o}, so others may look into it")]
    TooOpen {
        /// Path of the folder.
        path: PathBuf,
        /// Permission bits of the folder; 0o700 is expected.
        mode: u32,
    },
}

/// Makes a folder, and those above it that are missing, with mode 0700. One that exists is checked.
pub fn create(path: &Path) -> Result<(), FolderError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| FolderError::Io {
        path: path.into(),
        source,
    })?;
    check(path)
}

/// Refuses a folder that others than its owner may read, write or enter.
pub fn check(path: &Path) -> Result<(), FolderError> {
    let found = std::fs::metadata(path).map_err(|source| FolderError::Io {
        path: path.into(),
        source,
    })?;
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::TooOpen {
            path: path.into(),
            mode,
        });
    }
    Ok(())
}

/// The name that something beside it has until it is whole.
#[must_use]
pub fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}

/// Syncs the folder that a path lies in: a name that was made, moved or removed there then outlives a crash.
pub fn sync_above(path: &Path) -> io::Result<()> {
    let parent = path.parent();
    let named = parent.filter(|parent| !parent.as_os_str().is_empty());
    File::open(named.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folders_are_made_for_their_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("partner/keys");
        create(&path).unwrap();
        create(&path).unwrap();
        for made in [&path, path.parent().unwrap()] {
            check(made).unwrap();
        }
    }

    #[test]
    fn folders_that_others_may_enter_are_refused() {
        let root = tempfile::tempdir().unwrap();
        for mode in [0o701, 0o750, 0o755, 0o777] {
            std::fs::set_permissions(root.path(), Permissions::from_mode(mode)).unwrap();
            for refused in [check(root.path()), create(root.path())] {
                assert!(
                    matches!(refused, Err(FolderError::TooOpen { mode: found, .. }) if found == mode)
                );
            }
        }
        assert!(matches!(
            check(&root.path().join("gone")),
            Err(FolderError::Io { .. })
        ));
    }
}
