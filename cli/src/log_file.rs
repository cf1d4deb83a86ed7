//! A log file that cannot fill the disk: a full one is put aside under a number, and the oldest goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files that are kept beside the one that is written: FILE.1 is the newest of them.
const KEPT: u32 = 4;

/// A log file with a limit.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
}

impl LogFile {
    /// Goes on with the file of that path. Once it has `max_bytes` it is put aside.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        let (path, max_bytes) = (path.to_owned(), max_bytes.max(1));
        Ok(Self {
            path,
            file,
            bytes,
            max_bytes,
        })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn put_aside(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.file = append_to(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for LogFile {
    /// A line is never cut: the file may be longer than its limit by one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes >= self.max_bytes {
            self.put_aside()?;
        }
        self.file.write_all(line)?;
        let written = u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(written);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.log");
        let mut log = LogFile::open(&path, 10).unwrap();
        for number in 0..8 {
            log.write_all(format!("line {number} ...\n").as_bytes())
                .unwrap();
        }
        drop(log);
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(text("output.log"), "line 7 ...\n");
        assert_eq!(text("output.log.1"), "line 6 ...\n");
        assert_eq!(text("output.log.4"), "line 3 ...\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
        // What a run before left counts.
        let mut log = LogFile::open(&path, 10).unwrap();
        log.write_all(b"again\n").unwrap();
        assert_eq!(text("output.log.1"), "line 7 ...\n");
    }
}
